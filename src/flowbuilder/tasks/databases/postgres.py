"""PostgreSQL, by psycopg 3; values are bound by the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.databases.base import CHUNK, Ask, Bound, Result, missing, too_many
from flowbuilder.tasks.databases.fetching import joined, table_of
from flowbuilder.tasks.databases.pool import AsyncPool, pool_size
from flowbuilder.tasks.databases.rows import unique_names

if TYPE_CHECKING:
    from flowbuilder.core.connections import Connection
    from flowbuilder.core.sql import Dialect

_NAMES: Final = {"database": "dbname"}
_OURS: Final = ("url", "pool")
_KINDS: Final = {
    "08": "sql.connect",
    "23": "sql.constraint",
    "40": "sql.busy",
    "42": "sql.syntax",
    "53": "sql.busy",
    "55": "sql.busy",
    "57": "sql.connect",
}
"""By the class of the SQLSTATE."""


class Postgres:
    """A PostgreSQL server."""

    dialect: Dialect = "postgres"
    style = "numeric"

    def __init__(self, connection: Connection) -> None:
        try:
            import psycopg  # an extra
            from psycopg.types.json import Jsonb
        except ImportError:
            raise missing("psycopg", "postgres") from None
        self._psycopg = psycopg
        self._json = Jsonb
        given = {"connect_timeout": 10, **connection.options}
        self._given = {
            _NAMES.get(key, key): value
            for key, value in given.items()
            if key not in _OURS and value is not None
        }
        self._pool: AsyncPool[Any] = AsyncPool(
            self._connect,
            check=lambda opened: opened.execute("SELECT 1"),
            disconnect=lambda opened: opened.close(),
            size=pool_size(connection.get("pool")),
        )

    async def _connect(self) -> Any:
        psycopg = self._psycopg
        try:
            return await psycopg.AsyncConnection.connect(
                autocommit=True,
                cursor_factory=psycopg.AsyncRawCursor,
                application_name="flowbuilder",
                **self._given,
            )
        except psycopg.Error as error:
            raise TaskFailed("sql.connect", _message(error)) from None

    async def run(self, statements: Sequence[Bound], ask: Ask) -> list[Result]:
        """Carry out statements; on cancellation psycopg has the server end the statement."""
        async with self._pool.using() as opened:
            try:
                if not ask.transaction:
                    return await self._all(opened, statements, ask)
                async with opened.transaction():
                    if ask.timeout is not None:
                        # so that the server gives up too where the engine has died
                        most = max(1, int(ask.timeout * 1000))
                        await opened.execute(f"SET LOCAL statement_timeout = {most}")
                    return await self._all(opened, statements, ask)
            except self._psycopg.Error as error:
                raise _failure(error) from None

    async def _all(self, opened: Any, statements: Sequence[Bound], ask: Ask) -> list[Result]:
        results = []
        for number, statement in enumerate(statements):
            async with opened.cursor() as cursor:
                await cursor.execute(statement.text, [self._taken(v) for v in statement.values] or None)
                results.append(await _take(cursor, ask, last=number == len(statements) - 1))
        return results

    def _taken(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._json(value)
        if isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
            return self._json(value)
        return value

    async def version(self) -> str:
        """Connect, and ask for the version."""
        found = await self.run([Bound("SHOW server_version")], Ask())
        return f"PostgreSQL {found[0].rows[0][0]}"

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()


async def _take(cursor: Any, ask: Ask, *, last: bool) -> Result:
    if cursor.description is None:
        return Result([], [], cursor.rowcount)
    columns = unique_names([column.name for column in cursor.description])
    if ask.arrow and last:
        tables = []
        while rows := await cursor.fetchmany(CHUNK):
            tables.append(table_of(columns, rows))
        table = joined(tables or [table_of(columns, [])])
        return Result(columns, [], table.num_rows, table)
    if ask.most is not None and cursor.rowcount > ask.most:
        raise too_many(ask.most)
    rows = await cursor.fetchall()
    return Result(columns, rows, len(rows))


def _failure(error: Any) -> TaskFailed:
    state = error.sqlstate or ""
    data: dict[str, Any] = {"code": state} if state else {}
    if (position := getattr(error.diag, "statement_position", None)) is not None:
        data["position"] = int(position)
    if state == "57014":
        return TaskFailed("sql.timeout", _message(error), data)
    kind = _KINDS.get(state[:2])
    if kind is None:
        kind = (
            "sql.error"
            if state
            else "sql.connect"
            if type(error).__name__ == "OperationalError"
            else "sql.error"
        )
    return TaskFailed(kind, _message(error), data)


def _message(error: Exception) -> str:
    diag = getattr(error, "diag", None)
    primary = getattr(diag, "message_primary", None)
    if not primary:
        return " ".join(str(error).split())
    detail = getattr(diag, "message_detail", None)
    hint = getattr(diag, "message_hint", None)
    return ". ".join(part for part in (primary, detail, hint) if part)
