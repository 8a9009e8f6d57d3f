"""SQLite, by Python's own driver."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.databases.base import Ask, Bound, Result
from flowbuilder.tasks.databases.fetching import take
from flowbuilder.tasks.databases.pool import BlockingPool, pool_size
from flowbuilder.tasks.databases.rows import simple

if TYPE_CHECKING:
    from flowbuilder.core.connections import Connection
    from flowbuilder.core.sql import Dialect

BUSY = 5.0
"""Seconds to wait for another writer."""


class Sqlite:
    """A file of SQLite, or `:memory:`, which lives as long as the engine."""

    dialect: Dialect = "sqlite"
    style = "qmark"

    def __init__(self, connection: Connection) -> None:
        path = str(connection.get("path") or "")
        if not path:
            raise TaskFailed("connection", f"the connection '{connection.name}' has no 'path'")
        self._path = path if path == ":memory:" else str(Path(connection.folder) / Path(path).expanduser())
        self._pool: BlockingPool[sqlite3.Connection] = BlockingPool(
            self._connect,
            check=lambda opened: opened.execute("SELECT 1"),
            interrupt=lambda opened: opened.interrupt(),
            disconnect=lambda opened: opened.close(),
            size=1 if path == ":memory:" else pool_size(connection.get("pool")),
        )

    def _connect(self) -> sqlite3.Connection:
        folder = Path(self._path).parent
        if self._path != ":memory:" and not folder.is_dir():
            raise TaskFailed("sql.connect", f"there is no folder {folder}")
        try:
            return sqlite3.connect(self._path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise TaskFailed("sql.connect", f"{self._path} cannot be opened: {error}") from None

    async def run(self, statements: Sequence[Bound], ask: Ask) -> list[Result]:
        """Carry out statements."""

        def work(opened: sqlite3.Connection) -> list[Result]:
            try:
                return _run(opened, statements, ask)
            except (sqlite3.Error, OverflowError) as error:
                raise _failure(error) from None
            finally:
                if opened.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        opened.execute("ROLLBACK")

        return await self._pool.use(work)

    async def version(self) -> str:
        """Open the file."""
        found = await self.run([Bound("SELECT sqlite_version()")], Ask(only_reads=True))
        await self.run([Bound("SELECT count(*) FROM sqlite_master")], Ask(only_reads=True))
        return f"SQLite {found[0].rows[0][0]}"

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()


def _run(opened: sqlite3.Connection, statements: Sequence[Bound], ask: Ask) -> list[Result]:
    results = []
    if ask.transaction:
        opened.execute("BEGIN" if ask.only_reads else "BEGIN IMMEDIATE")
    for number, statement in enumerate(statements):
        cursor = opened.execute(statement.text, [simple(value) for value in statement.values])
        results.append(take(cursor, ask, number == len(statements) - 1, cursor.rowcount))
        cursor.close()
    if ask.transaction:
        opened.execute("COMMIT")
    return results


def _failure(error: Exception) -> TaskFailed:
    message = str(error)
    if isinstance(error, OverflowError):
        return TaskFailed("input", "'params': an integer beyond 64 bits")
    name = getattr(error, "sqlite_errorname", "") or ""
    data: Any = {"code": name} if name else None
    if isinstance(error, sqlite3.IntegrityError):
        return TaskFailed("sql.constraint", message, data)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return TaskFailed("sql.busy", f"{message}: another program writes to the file", data)
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_NOTADB", "SQLITE_READONLY", "SQLITE_IOERR")):
        return TaskFailed("sql.connect", message, data)
    if name == "SQLITE_ERROR":
        return TaskFailed("sql.syntax", message, data)
    return TaskFailed("sql.error", message, data)
