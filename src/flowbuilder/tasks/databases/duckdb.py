"""DuckDB, which runs inside the engine's process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.databases.base import Ask, Bound, Result, missing
from flowbuilder.tasks.databases.fetching import take
from flowbuilder.tasks.databases.pool import BlockingPool, pool_size
from flowbuilder.tasks.databases.rows import as_json, unique_names

if TYPE_CHECKING:
    from flowbuilder.core.connections import Connection
    from flowbuilder.core.sql import Dialect


class DuckDb:
    """A file of DuckDB, or `:memory:`, which lives as long as the engine."""

    dialect: Dialect = "duckdb"
    style = "qmark"

    def __init__(self, connection: Connection) -> None:
        try:
            import duckdb  # an extra
        except ImportError:
            raise missing("duckdb", "duckdb") from None
        self._duckdb = duckdb
        path = str(connection.get("path") or ":memory:")
        self._path = path if path == ":memory:" else str(Path(connection.folder) / Path(path).expanduser())
        self._whole: Any = None
        self._opening = threading.Lock()
        self._pool: BlockingPool[Any] = BlockingPool(
            self._connect,
            check=lambda opened: opened.execute("SELECT 1"),
            interrupt=lambda opened: opened.interrupt(),
            disconnect=lambda opened: opened.close(),
            size=pool_size(connection.get("pool")),
        )

    def _connect(self) -> Any:
        try:
            with self._opening:
                if self._whole is None:
                    self._whole = self._duckdb.connect(self._path)
            return self._whole.cursor()
        except self._duckdb.Error as error:
            raise TaskFailed("sql.connect", f"{self._path} cannot be opened: {error}") from None

    async def run(self, statements: Sequence[Bound], ask: Ask) -> list[Result]:
        """Carry out statements."""

        def work(opened: Any) -> list[Result]:
            try:
                return _run(opened, statements, ask)
            except self._duckdb.Error as error:
                with contextlib.suppress(self._duckdb.Error):
                    opened.execute("ROLLBACK")
                raise self._failure(error) from None
            except BaseException:
                with contextlib.suppress(self._duckdb.Error):
                    opened.execute("ROLLBACK")
                raise

        return await self._pool.use(work)

    async def version(self) -> str:
        """Open the file."""
        found = await self.run([Bound("SELECT version()")], Ask())
        return f"DuckDB {found[0].rows[0][0]}"

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()
        if self._whole is not None:
            self._whole.close()

    def _failure(self, error: Exception) -> TaskFailed:
        duckdb, message = self._duckdb, str(error)
        data = {"code": type(error).__name__}
        if isinstance(error, duckdb.ConstraintException):
            return TaskFailed("sql.constraint", message, data)
        if isinstance(error, duckdb.TransactionException):
            return TaskFailed("sql.busy", message, data)
        if isinstance(error, duckdb.ParserException | duckdb.BinderException | duckdb.CatalogException):
            return TaskFailed("sql.syntax", message, data)
        return TaskFailed("sql.error", message, data)


def _run(opened: Any, statements: Sequence[Bound], ask: Ask) -> list[Result]:
    results = []
    if ask.transaction:
        opened.execute("BEGIN")
    for number, statement in enumerate(statements):
        last = number == len(statements) - 1
        values = [_taken(value) for value in statement.values]
        if ask.arrow and last:
            results.append(_table(opened.sql(statement.text, params=values or None)))
            continue
        opened.execute(statement.text, values)
        results.append(_result(opened, ask, last=last))
    if ask.transaction:
        opened.execute("COMMIT")
    return results


def _result(opened: Any, ask: Ask, *, last: bool) -> Result:
    """Return what a statement gave; one that changes rows gives their number as its only row."""
    description = opened.description or []
    if [column[0] for column in description] == ["Count"]:
        rows = opened.fetchall()
        return Result([], [], rows[0][0] if rows else -1)
    if not description or [column[0] for column in description] == ["Success"]:
        return Result([], [], -1)
    return take(opened, ask, last, -1)


def _table(relation: Any) -> Result:
    """Return rows as DuckDB itself makes an Arrow table of them."""
    if relation is None:
        return Result([], [], -1)
    columns = unique_names(list(relation.columns))
    table = relation.to_arrow_table().rename_columns(columns)
    return Result(columns, [], table.num_rows, table)


def _taken(value: Any) -> Any:
    return as_json(value) if isinstance(value, dict) else value
