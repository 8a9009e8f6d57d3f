"""Deleting runs: by name, by age, by count; in steps that hold up no writer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.storage.sqlite.query import all_rows
from flowbuilder.storage.sqlite.runs import LIVE_SQL, first_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

_OF_RUN = (
    "DELETE FROM journal WHERE run_id = ?",
    "DELETE FROM logs WHERE run_id = ?",
    "DELETE FROM log_sizes WHERE run_id = ?",
    "DELETE FROM commands WHERE run_id = ?",
    "DELETE FROM runs WHERE id = ?",
)


def delete(cursor: apsw.Cursor, run_ids: Iterable[str]) -> int:
    """Delete ended runs with all that belongs to them; returns how many there were."""
    count = 0
    for run_id in run_ids:
        ended = all_rows(cursor, f"SELECT 1 FROM runs WHERE id = ? AND NOT {LIVE_SQL}", (run_id,))
        if ended:
            for statement in _OF_RUN:
                cursor.execute(statement, (run_id,))
            count += 1
    return count


def expired(cursor: apsw.Cursor, older_than: float, keep: int | None, limit: int) -> list[str]:
    """Return ended runs that ended before `older_than`, or that are not among the newest `keep`, oldest first."""
    newest_to_go = ""
    if keep is not None:
        found = all_rows(
            cursor, f"SELECT id FROM runs WHERE NOT {LIVE_SQL} ORDER BY id DESC LIMIT 1 OFFSET ?", (keep,)
        )
        newest_to_go = found[0][0] if found else ""
    # A run ends after it was made: those made later than both limits need no look.
    rows = all_rows(
        cursor,
        f"SELECT id FROM runs WHERE id < max(?1, ?2 || ' ') AND NOT {LIVE_SQL} "
        "AND (ended_at < ?3 OR id <= ?2) ORDER BY id LIMIT ?4",
        (first_id(older_than), newest_to_go, older_than, limit),
    )
    return [run_id for (run_id,) in rows]
