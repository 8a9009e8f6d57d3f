"""MySQL and MariaDB, by PyMySQL on threads.

The driver binds values on this side: it writes each as a literal, escaped as
the server's mode asks, into a place that our tokenizer has found to be none
inside of a text or comment.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.databases.base import Ask, Bound, Result, missing
from flowbuilder.tasks.databases.fetching import take
from flowbuilder.tasks.databases.pool import BlockingPool, pool_size
from flowbuilder.tasks.databases.rows import as_json

if TYPE_CHECKING:
    from flowbuilder.core.connections import Connection
    from flowbuilder.core.sql import Dialect

_BUSY: Final = (1205, 1213, 3572)
_SYNTAX: Final = (1054, 1064, 1146, 1049)
_GONE: Final = (1040, 1044, 1045, 2003, 2002, 2006, 2013, 2055)
_ENDED: Final = (1317, 1969, 3024)


class MySql:
    """A MySQL or MariaDB server."""

    dialect: Dialect = "mysql"
    style = "pyformat"

    def __init__(self, connection: Connection) -> None:
        try:
            import pymysql  # an extra
        except ImportError:
            raise missing("PyMySQL", "mysql") from None
        self._pymysql = pymysql
        get = connection.get
        given = {
            "host": get("host"),
            "port": None if get("port") is None else int(get("port")),
            "unix_socket": get("socket"),
            "user": get("user"),
            "password": get("password"),
            "database": get("database"),
            "charset": get("charset", "utf8mb4"),
            "connect_timeout": int(get("connect_timeout", 10)),
        }
        self._given = {key: value for key, value in given.items() if value is not None}
        self._pool: BlockingPool[Any] = BlockingPool(
            self._connect,
            check=lambda opened: opened.ping(reconnect=False),
            interrupt=self._kill,
            disconnect=lambda opened: opened.close(),
            size=pool_size(get("pool")),
        )

    def _connect(self) -> Any:
        try:
            return self._pymysql.connect(autocommit=True, **self._given)
        except self._pymysql.Error as error:
            raise TaskFailed("sql.connect", _message(error), _code(error)) from None
        except (OSError, RuntimeError, ValueError) as error:
            raise TaskFailed("sql.connect", str(error)) from None

    def _kill(self, opened: Any) -> None:
        """End what a connection is doing, by another one."""
        with contextlib.closing(self._connect()) as other, other.cursor() as cursor:
            cursor.execute(f"KILL QUERY {int(opened.thread_id())}")

    async def run(self, statements: Sequence[Bound], ask: Ask) -> list[Result]:
        """Carry out statements."""

        def work(opened: Any) -> list[Result]:
            try:
                if ask.transaction:
                    opened.begin()
                results = [
                    _one(opened, statement, ask, number == len(statements) - 1)
                    for number, statement in enumerate(statements)
                ]
                if ask.transaction:
                    opened.commit()
                return results
            except self._pymysql.Error as error:
                self._back(opened)
                raise _failure(self._pymysql, error) from None
            except BaseException:
                self._back(opened)
                raise

        return await self._pool.use(work)

    @staticmethod
    def _back(opened: Any) -> None:
        with contextlib.suppress(Exception):  # the connection may be gone, and its transaction with it
            opened.rollback()

    async def version(self) -> str:
        """Connect, and ask for the version."""
        found = await self.run([Bound("SELECT VERSION()")], Ask())
        version = str(found[0].rows[0][0])
        return f"MariaDB {version}" if "maria" in version.lower() else f"MySQL {version}"

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()


def _one(opened: Any, statement: Bound, ask: Ask, last: bool) -> Result:
    with opened.cursor() as cursor:
        cursor.execute(statement.text, [_taken(value) for value in statement.values] or None)
        return take(cursor, ask, last, cursor.rowcount)


def _taken(value: Any) -> Any:
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).replace(tzinfo=None)  # MySQL's own kind has no zone
    if isinstance(value, dict | list):
        return as_json(value)
    return value


def _code(error: Any) -> Any:
    number = error.args[0] if error.args else None
    return {"code": number} if isinstance(number, int) else None


def _message(error: Any) -> str:
    return str(error.args[1] if len(error.args) > 1 else error)


def _failure(pymysql: Any, error: Any) -> TaskFailed:
    number = error.args[0] if error.args else None
    if number in _BUSY:
        kind = "sql.busy"
    elif number in _ENDED:
        kind = "sql.timeout"
    elif isinstance(error, pymysql.err.IntegrityError):
        kind = "sql.constraint"
    elif number in _GONE:
        kind = "sql.connect"
    elif number in _SYNTAX or isinstance(error, pymysql.err.ProgrammingError):
        kind = "sql.syntax"
    else:
        kind = "sql.error"
    return TaskFailed(kind, _message(error), _code(error))
