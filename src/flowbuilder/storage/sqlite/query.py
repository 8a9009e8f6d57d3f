"""Asking a cursor: rows as tuples of whatever their columns are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import apsw


def all_rows(cursor: apsw.Cursor, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return all rows of a statement."""
    found: list[tuple[Any, ...]] = cursor.execute(statement, values).fetchall()
    return found


def first_row(cursor: apsw.Cursor, statement: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
    """Return the first row of a statement, or None; the others are not looked at."""
    found: tuple[Any, ...] | None = cursor.execute(statement, values).fetchone()
    return found


def first_value(cursor: apsw.Cursor, statement: str, values: tuple[Any, ...] = ()) -> Any:
    """Return the first column of the first row, or None where there is no row."""
    found = first_row(cursor, statement, values)
    return None if found is None else found[0]
