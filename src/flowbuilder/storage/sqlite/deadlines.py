"""By when runs have ended: those at rest are found by an index that holds no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.storage.sqlite import runs
from flowbuilder.storage.sqlite.query import all_rows, first_value

if TYPE_CHECKING:
    import apsw

    from flowbuilder.storage.api import RunRow

_AT_REST = (
    "deadline_at IS NOT NULL AND ended_at IS NULL "
    "AND (status IN ('queued', 'paused') OR status = 'waiting' AND started_at IS NULL)"
)
TABLES = f"""
ALTER TABLE runs ADD COLUMN deadline_at REAL;
CREATE INDEX runs_by_deadline ON runs (deadline_at, id) WHERE {_AT_REST};
"""
_OVERDUE = (
    f"SELECT {runs.COLUMNS} FROM runs INDEXED BY runs_by_deadline "
    f"WHERE {_AT_REST} AND deadline_at <= ? ORDER BY deadline_at, id LIMIT ?"
)
_NEXT = f"SELECT min(deadline_at) FROM runs INDEXED BY runs_by_deadline WHERE {_AT_REST}"


def overdue(cursor: apsw.Cursor, now: float, limit: int) -> list[RunRow]:
    """Return runs at rest whose deadline has come, the earliest first."""
    return [runs.as_row(columns) for columns in all_rows(cursor, _OVERDUE, (now, limit))]


def next_deadline(cursor: apsw.Cursor) -> float | None:
    """Return the earliest deadline of a run at rest."""
    moment: float | None = first_value(cursor, _NEXT)
    return moment
