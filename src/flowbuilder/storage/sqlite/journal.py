"""The batches of runs' journals: the first one lies in the run's own row where it came with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.storage.sqlite.bulk import Bulk
from flowbuilder.storage.sqlite.query import all_rows

if TYPE_CHECKING:
    import apsw

_insert = Bulk("INSERT INTO journal VALUES ", 3)


def append(cursor: apsw.Cursor, batches: list[tuple[str, int, bytes]]) -> None:
    """Add batches (run, sequence, data); a sequence that is there already is an error."""
    _insert.execute(cursor, batches)


def fits_one(batches: list[tuple[str, int, bytes]]) -> bool:
    """Say whether so many batches are one statement."""
    return _insert.fits_one(len(batches))


def read(cursor: apsw.Cursor, run_id: str) -> list[bytes]:
    """Return a run's batches in order."""
    found = all_rows(
        cursor,
        "SELECT 0 AS sequence, first_batch FROM runs WHERE id = ?1 AND first_batch IS NOT NULL "
        "UNION ALL SELECT sequence, data FROM journal WHERE run_id = ?1 ORDER BY sequence",
        (run_id,),
    )
    return [data for _, data in found]
