"""What all databases have in common: a query made ready, what comes of it, how drivers fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from flowbuilder.core.errors import TaskFailed

if TYPE_CHECKING:
    from flowbuilder.core.sql import Dialect

CHUNK = 5_000
"""Rows that are fetched at once."""


class Bound(msgspec.Struct, frozen=True):
    """A statement as a driver takes it: values have places, never a text."""

    text: str
    values: Sequence[Any] = ()
    word: str = ""
    """The first, in capitals."""
    line: int = 1
    """Of the query, on which it begins."""


class Result(msgspec.Struct):
    """What a statement gave."""

    columns: list[str]
    """Empty for a statement that gives no rows."""
    rows: list[Sequence[Any]]
    count: int
    """Rows that it gave, or changed; -1 where the database does not say."""
    table: Any = None
    """The rows as a pyarrow table, where that was asked for."""


class Ask(msgspec.Struct, frozen=True):
    """How statements are to be carried out."""

    transaction: bool = True
    most: int | None = None
    """Rows; more fail."""
    arrow: bool = False
    """The last statement's rows are wanted as a pyarrow table."""
    only_reads: bool = False
    timeout: float | None = None
    """Seconds after which the server is to give up by itself."""


class Database(Protocol):
    """A database that was connected to: a pool of connections, closed when the engine ends."""

    dialect: Dialect
    style: str
    """How places are written: `qmark`, `numeric`, `pyformat`."""

    async def run(self, statements: Sequence[Bound], ask: Ask) -> list[Result]:
        """Carry out statements one after the other; all or none unless `transaction` is false.

        On cancellation the statement is ended in the database too, and nothing of it is kept.

        Raises:
            TaskFailed: `sql.connect`, `sql.constraint`, `sql.busy`, `sql.syntax`, `sql.rows`,
                `sql.timeout`, `sql.error`.
        """
        ...

    async def version(self) -> str:
        """Connect, and return what the server says it is."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def too_many(most: int) -> TaskFailed:
    """Return the failure of a result that is too long."""
    return TaskFailed(
        "sql.rows",
        f"the query gave more than {most:,} rows: add a LIMIT, fetch them as 'arrow', or raise 'max_rows'",
    )


def missing(library: str, extra: str) -> TaskFailed:
    """Return the failure of a driver that is not installed."""
    return TaskFailed(
        "connection", f"the library '{library}' is not installed: `pip install 'flowbuilder[{extra}]'`"
    )
