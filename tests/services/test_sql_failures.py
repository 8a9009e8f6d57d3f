"""Where a query failed, and what of it counts all the same: only what nobody can know is undone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from flowbuilder.testing import load_text

if TYPE_CHECKING:
    from flowbuilder import RunView
    from flowbuilder.sdk.engine import Engine

Ask = Callable[..., Any]


async def rows(ask: Ask, url: str, query: str) -> list[Any]:
    view = await ask(url, query)
    assert view.status == "succeeded", view.error
    return [list(row.values()) for row in view.tasks["a"].output["rows"]]


async def undone(engine: Engine, url: str, query: str, folder: Path, **more: Any) -> RunView:
    """Run a query whose undo leaves a line in the table `said`."""
    given = msgspec.json.encode({"connection": url, "query": query, **more}).decode()
    undo = msgspec.json.encode({"connection": url, "query": "INSERT INTO said VALUES (1)"}).decode()
    run = await engine.start(
        load_text(
            f"flow: t\ntasks:\n  a:\n    type: sql\n    with: {given}\n    undo: {{type: sql, with: {undo}}}\n",
            folder,
        )
    )
    return await run.wait()


SECOND_FAILS = "INSERT INTO part VALUES (2); INSERT INTO part VALUES (1)"
FIRST_FAILS = "INSERT INTO part VALUES (1); INSERT INTO part VALUES (2)"
GIVES_TOO_MUCH = "INSERT INTO part VALUES (5), (6) RETURNING id"


async def fresh(ask: Ask, url: str) -> None:
    made = await ask(
        url,
        "DROP TABLE IF EXISTS part; DROP TABLE IF EXISTS said;"
        "CREATE TABLE part (id INTEGER PRIMARY KEY); CREATE TABLE said (n INTEGER); INSERT INTO part VALUES (1)",
    )
    assert made.status == "succeeded", made.error


@pytest.mark.parametrize(
    ("query", "more", "part", "said"),
    [
        (SECOND_FAILS, {}, [1], False),
        (SECOND_FAILS, {"transaction": False}, [1, 2], True),
        (FIRST_FAILS, {"transaction": False}, [1], False),
        (GIVES_TOO_MUCH, {"max_rows": 1}, [1], False),
        (GIVES_TOO_MUCH, {"max_rows": 1, "transaction": False}, [1, 5, 6], True),
    ],
    ids=["all-or-none", "half", "none", "too-much-taken-back", "too-much-kept"],
)
async def test_what_a_failed_query_has_left_is_undone(
    ask: Ask,
    engine: Engine,
    database: tuple[str, str],
    tmp_path: Path,
    query: str,
    more: dict[str, Any],
    part: list[int],
    said: bool,
) -> None:
    _, url = database
    await fresh(ask, url)

    view = await undone(engine, url, query, tmp_path, **more)

    assert view.status == "failed"
    assert await rows(ask, url, "SELECT id FROM part ORDER BY id") == [[id] for id in part]
    assert await rows(ask, url, "SELECT n FROM said") == ([[1]] if said else [])


async def test_what_mysql_keeps_in_spite_of_the_transaction_is_undone(
    ask: Ask, engine: Engine, mysql: str, tmp_path: Path
) -> None:
    await fresh(ask, mysql)
    query = "INSERT INTO part VALUES (2); CREATE TABLE IF NOT EXISTS said (n INTEGER); INSERT INTO part VALUES (1)"

    await undone(engine, mysql, query, tmp_path)

    assert await rows(ask, mysql, "SELECT id FROM part ORDER BY id") == [[1], [2]]
    assert await rows(ask, mysql, "SELECT n FROM said") == [[1]]


async def test_the_statement_and_the_line_that_failed_are_named(ask: Ask, database: tuple[str, str]) -> None:
    _, url = database
    view = await ask(url, "-- three of them\nSELECT 1;\nSELECT 2;\n\nSELECT 3 FROM nowhere;\nSELECT 4")

    assert view.error["message"].startswith("statement 3 of 4, line 5: ")
    assert view.error["data"]["statement"] == 3
    assert view.error["data"]["line"] == 5


async def test_postgres_says_on_which_line_of_a_statement_it_stumbled(ask: Ask, postgres: str) -> None:
    view = await ask(postgres, "SELECT 1,\n       2,\n       nothing\nFROM (SELECT 1) AS one")

    assert view.error["message"].startswith('line 3: column "nothing" does not exist')


async def test_a_query_of_one_line_is_named_by_nothing_but_itself(
    ask: Ask, database: tuple[str, str]
) -> None:
    _, url = database
    view = await ask(url, "SELECT 1 FROM nowhere")

    assert not view.error["message"].startswith(("line", "statement"))


KILLS = {
    "postgres": (
        "INSERT INTO part VALUES (2); SELECT pg_sleep(60), 'to-be-killed'",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%to-be-killed%' AND state = 'active' AND pid <> pg_backend_pid()",
    ),
    "mysql": (
        "INSERT INTO part VALUES (2); SELECT SLEEP(60), 'to-be-killed'",
        "SELECT id FROM information_schema.processlist WHERE info LIKE '%to-be-killed%' AND id <> connection_id()",
    ),
}


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
async def test_a_connection_that_breaks_off_leaves_the_query_in_doubt_and_the_next_has_a_new_one(
    ask: Ask, engine: Engine, request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    url = request.getfixturevalue(kind)
    await fresh(ask, url)
    query, kill = KILLS[kind]

    async with asyncio.timeout(30):
        working = asyncio.create_task(undone(engine, url, query, tmp_path))
        while not (found := await rows(ask, url, kill)):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.02)
        if kind == "mysql":
            await ask(url, f"KILL {found[0][0]}", transaction=False)
        view = await working

    assert view.error is not None
    assert view.error["kind"] == "sql.connect"
    assert await rows(ask, url, "SELECT id FROM part") == [[1]]
    assert await rows(ask, url, "SELECT n FROM said") == [[1]]
