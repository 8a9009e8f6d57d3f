"""The batches of runs' journals: the first one lies in the run's own row where it came with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from flowbuilder.storage.sqlite.bulk import Bulk
from flowbuilder.storage.sqlite.query import all_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

    from flowbuilder.storage.api import Compact

_insert = Bulk("INSERT INTO journal VALUES ", 3)


def append(cursor: apsw.Cursor, batches: list[tuple[str, int, bytes]]) -> None:
    """Add batches (run, sequence, data); a sequence that is there already is an error."""
    _insert.execute(cursor, batches)


def fits_one(batches: list[tuple[str, int, bytes]]) -> bool:
    """Say whether so many batches are one statement."""
    return _insert.fits_one(len(batches))


def compact(cursor: apsw.Cursor, compacts: Iterable[Compact]) -> None:
    """Put one batch in place of all up to a number, where a batch of that number is still there."""
    for run_id, through, data in map(msgspec.structs.astuple, compacts):
        if through == 0:
            cursor.execute(
                "UPDATE runs SET first_batch = ?2 WHERE id = ?1 AND first_batch IS NOT NULL", (run_id, data)
            )
        cursor.execute(
            "UPDATE journal SET data = ?3 WHERE run_id = ?1 AND sequence = ?2", (run_id, through, data)
        )
        if cursor.connection.changes() and through:
            cursor.execute("DELETE FROM journal WHERE run_id = ? AND sequence < ?", (run_id, through))
            cursor.execute("UPDATE runs SET first_batch = NULL WHERE id = ?", (run_id,))


def read(cursor: apsw.Cursor, run_id: str) -> list[bytes]:
    """Return a run's batches in order."""
    found = all_rows(
        cursor,
        "SELECT 0 AS sequence, first_batch FROM runs WHERE id = ?1 AND first_batch IS NOT NULL "
        "UNION ALL SELECT sequence, data FROM journal WHERE run_id = ?1 ORDER BY sequence",
        (run_id,),
    )
    return [data for _, data in found]
