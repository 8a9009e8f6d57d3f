"""Taking rows from a cursor of the Python database API: up to a bound, or as an Arrow table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flowbuilder.tasks.databases.base import CHUNK, Ask, Result, too_many
from flowbuilder.tasks.databases.rows import unique_names


def take(cursor: Any, ask: Ask, last: bool, count: int) -> Result:
    """Return what a statement gave; `count` is what it changed, where it gave no rows."""
    if cursor.description is None:
        return Result([], [], count)
    columns = unique_names([column[0] for column in cursor.description])
    if ask.arrow and last:
        table = as_table(columns, lambda: cursor.fetchmany(CHUNK))
        return Result(columns, [], table.num_rows, table)
    if ask.most is None:
        rows = list(cursor.fetchall())
        return Result(columns, rows, len(rows))
    rows = list(cursor.fetchmany(ask.most + 1))
    if len(rows) > ask.most:
        raise too_many(ask.most)
    return Result(columns, rows, len(rows))


def as_table(columns: Sequence[str], more: Callable[[], Sequence[Sequence[Any]]]) -> Any:
    """Return rows as a pyarrow table; types are those of the values, widened where chunks differ."""
    import pyarrow  # an extra

    tables = []
    while rows := more():
        tables.append(table_of(columns, rows))
    if not tables:
        return pyarrow.table({name: pyarrow.array([], pyarrow.null()) for name in columns})
    return joined(tables)


def table_of(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    """Return one chunk of rows as a table."""
    import pyarrow  # an extra

    arrays = [_array([row[number] for row in rows]) for number in range(len(columns))]
    return pyarrow.table(arrays, names=list(columns))


def joined(tables: Sequence[Any]) -> Any:
    """Return chunks as one table; a column whose kinds do not agree becomes text."""
    import pyarrow  # an extra

    try:
        return pyarrow.concat_tables(tables, promote_options="permissive")
    except (pyarrow.ArrowTypeError, pyarrow.ArrowInvalid):
        names = tables[0].column_names
        columns = [
            _array([value for table in tables for value in table.column(name).to_pylist()]) for name in names
        ]
        return pyarrow.table(columns, names=names)


def _array(values: list[Any]) -> Any:
    import pyarrow  # an extra

    try:
        return pyarrow.array(values)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, pyarrow.ArrowNotImplementedError, OverflowError):
        return pyarrow.array([None if value is None else str(value) for value in values])
