"""`sql`: queries of databases, with values bound, over connections that are kept."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core.errors import TaskFailed
from flowbuilder.core.sql import effect_of
from flowbuilder.tasks.databases.base import Ask, Database, Result, missing
from flowbuilder.tasks.databases.parameters import bind, params_of
from flowbuilder.tasks.databases.rows import Reading
from flowbuilder.tasks.databases.steps import Steps
from flowbuilder.tasks.params import get_boolean, mapping, refuse, text
from flowbuilder.tasks.specs.sql import FETCH, MOST_ROWS, SQL

if TYPE_CHECKING:
    from flowbuilder.core.connections import Connection
    from flowbuilder.tasks.api import Call

DRIVERS: Final = {
    "sqlite": "sqlite:Sqlite",
    "postgres": "postgres:Postgres",
    "mysql": "mysql:MySql",
    "duckdb": "duckdb:DuckDb",
}
"""By the type of the connection; each is imported when it is first used."""


class Sql:
    """Carries out a query; all its statements count, or none does."""

    spec = SQL

    async def run(self, call: Call) -> Any:
        """Do one attempt.

        Raises:
            TaskFailed: `connection`, `input`, and what `databases.base.Database.run` raises.
        """
        params = mapping(call.params)
        query, fetch = text(params, "query"), params.get("fetch", "all")
        if fetch not in FETCH:
            raise TaskFailed("input", "'fetch' is one of " + ", ".join(FETCH))
        transaction = get_boolean(params, "transaction", True)
        connection = call.services.connection(call, text(params, "connection"))
        database = await connected(call, connection)
        ask = Ask(
            transaction=transaction,
            most=None if fetch == "arrow" else _most(params),
            arrow=fetch == "arrow",
            only_reads=effect_of(query) == "read",
            timeout=None if call.deadline is None else call.deadline - call.services.clock.monotonic() + 1,
        )
        if ask.arrow:
            _need_pyarrow()
        given = params_of(params.get("params"))
        statements = bind(query, given, database.dialect, database.style, transaction=transaction)
        steps = Steps(statements, ask, database.dialect)
        try:
            results = await database.run(steps, ask)
        except TaskFailed as error:
            raise steps.told(error) from None
        if ask.arrow:
            from flowbuilder.tasks.arrow import keep  # an extra

            return await keep(call, results[-1].table)
        zone = "UTC" if call.plan is None else call.plan.timezone
        reading = Reading(zone, params.get("decimals", "number"))
        return await call.services.in_thread(functools.partial(_output, results, fetch, reading))


async def connected(call: Call, connection: Connection) -> Database:
    """Return the database of a connection; the same one for all who ask while the engine runs."""
    key = ("sql", connection.type, connection.folder, msgspec.json.encode(dict(connection.options)))

    async def make() -> Database:
        return open_database(connection)

    found: Database = await call.services.lend(key, make)
    return found


def open_database(connection: Connection) -> Database:
    """Return a database; nothing is connected to before it is asked.

    Raises:
        TaskFailed: `connection` if there is no such sort, or its driver is not installed.
    """
    driver = DRIVERS.get(connection.type)
    if driver is None:
        raise TaskFailed(
            "connection",
            f"the connection '{connection.name}' is of type '{connection.type}', which is no database; "
            f"'sql' takes {', '.join(DRIVERS)}",
        )
    module, _, name = driver.partition(":")
    made: Database = getattr(importlib.import_module(f"flowbuilder.tasks.databases.{module}"), name)(
        connection
    )
    return made


def _need_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401 - an extra
    except ImportError:
        raise missing("pyarrow", "arrow") from None


def _most(params: dict[str, Any]) -> int:
    most = params.get("max_rows", MOST_ROWS)
    if type(most) is not int or most < 1:
        refuse("max_rows", "a whole number above 0", most)
    return most


def _output(results: list[Result], fetch: str, reading: Reading) -> Any:
    """Return what the task yields."""
    last = results[-1]
    match fetch:
        case "none":
            return {"row_count": last.count}
        case "many":
            return [_whole(result, reading) for result in results]
        case "one":
            return _row(last, last.rows[0], reading) if last.rows else None
        case "value":
            return reading.value(last.rows[0][0]) if last.rows else None
        case _:
            return _whole(last, reading)


def _whole(result: Result, reading: Reading) -> dict[str, Any]:
    rows = [_row(result, row, reading) for row in result.rows]
    return {"rows": rows, "columns": result.columns, "row_count": result.count}


def _row(result: Result, row: Any, reading: Reading) -> dict[str, Any]:
    return {name: reading.value(value) for name, value in zip(result.columns, row, strict=True)}
