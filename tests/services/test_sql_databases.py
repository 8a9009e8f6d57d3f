"""`sql` over real databases: the same flow means the same in each of them."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder.testing import load_text

if TYPE_CHECKING:
    from flowbuilder.sdk.engine import Engine

Ask = Callable[..., Any]
NASTY = 'it\'s; -- :x ? /* %s %% */ \\ "q" é😀 $1 $$'
KEY = {
    "sqlite": "INTEGER PRIMARY KEY",
    "duckdb": "INTEGER PRIMARY KEY",
    "postgres": "INTEGER PRIMARY KEY",
    "mysql": "INTEGER PRIMARY KEY",
}


async def value(ask: Ask, url: str, query: str, params: Any = None, **more: Any) -> Any:
    view = await ask(url, query, params, **more)
    assert view.status == "succeeded", view.error
    return view.tasks["a"].output


async def test_values_are_bound_whatever_is_in_them(ask: Ask, database: tuple[str, str]) -> None:
    kind, url = database
    await value(
        ask, url, f"DROP TABLE IF EXISTS t; CREATE TABLE t (id {KEY[kind]}, name VARCHAR(200))", fetch="none"
    )
    await value(
        ask,
        url,
        "INSERT INTO t (id, name) VALUES (:id, :name); -- :nothing here?\nINSERT INTO t VALUES (2, 'it''s :x ?')",
        {"id": 1, "name": NASTY},
    )

    found = await value(
        ask,
        url,
        "SELECT id, name FROM t WHERE name = :name OR id IN (:ids) ORDER BY id",
        {"name": NASTY, "ids": [2, 7]},
    )

    assert found == {
        "rows": [{"id": 1, "name": NASTY}, {"id": 2, "name": "it's :x ?"}],
        "columns": ["id", "name"],
        "row_count": 2,
    }
    assert await value(ask, url, "SELECT name FROM t WHERE id = ?", [1], fetch="value") == NASTY
    assert await value(
        ask, url, "SELECT id FROM t WHERE id NOT IN (:ids) ORDER BY id", {"ids": []}, fetch="one"
    ) == {"id": 1}
    assert await value(ask, url, "SELECT id FROM t WHERE id = 99", fetch="one") is None


async def test_statements_count_all_together_or_not_at_all(ask: Ask, database: tuple[str, str]) -> None:
    kind, url = database
    await value(ask, url, f"DROP TABLE IF EXISTS u; CREATE TABLE u (id {KEY[kind]})")

    view = await ask(url, "INSERT INTO u VALUES (1); INSERT INTO u VALUES (2); INSERT INTO u VALUES (1)")

    assert view.status == "failed"
    assert view.error["kind"] == "sql.constraint"
    assert await value(ask, url, "SELECT count(*) FROM u", fetch="value") == 0


async def test_many_gives_what_each_statement_gave(ask: Ask, database: tuple[str, str]) -> None:
    kind, url = database
    await value(ask, url, f"DROP TABLE IF EXISTS w; CREATE TABLE w (id {KEY[kind]})")

    found = await value(
        ask, url, "INSERT INTO w VALUES (1), (2); SELECT id FROM w ORDER BY id; DELETE FROM w", fetch="many"
    )

    assert [each["row_count"] for each in found] == [2, 2, 2]
    assert [each["rows"] for each in found] == [[], [{"id": 1}, {"id": 2}], []]


async def test_too_many_rows_are_an_error_that_says_what_to_do(ask: Ask, database: tuple[str, str]) -> None:
    _, url = database
    view = await ask(url, "SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3", max_rows=2)

    assert view.error["kind"] == "sql.rows"
    assert "max_rows" in view.error["message"]


async def test_a_mistake_is_named_as_the_database_names_it(ask: Ask, database: tuple[str, str]) -> None:
    _, url = database
    view = await ask(url, "SELECT nonsense FROM nowhere")

    assert view.error["kind"] == "sql.syntax"
    assert "no" in view.error["message"]


async def test_a_query_goes_on_being_answered_after_one_failed(ask: Ask, database: tuple[str, str]) -> None:
    _, url = database
    for _ in range(10):
        await ask(url, "SELECT nonsense FROM nowhere")

    assert await value(ask, url, "SELECT 1", fetch="value") == 1


@pytest.mark.parametrize(
    ("kind", "query", "wanted"),
    [
        ("postgres", "SELECT 10.50::numeric", 10.5),
        ("postgres", "SELECT 12345678901234567890.123456789::numeric", "12345678901234567890.123456789"),
        ("postgres", "SELECT sum(x) FROM generate_series(1, 3) x", 6),
        ("postgres", "SELECT DATE '2026-01-05'", dt.date(2026, 1, 5)),
        (
            "postgres",
            "SELECT '2026-01-05T10:00:00+02'::timestamptz AT TIME ZONE 'UTC'",
            dt.datetime(2026, 1, 5, 8, tzinfo=dt.UTC),
        ),
        (
            "postgres",
            "SELECT '2026-01-05T10:00:00+00'::timestamptz",
            dt.datetime(2026, 1, 5, 10, tzinfo=dt.UTC),
        ),
        ("postgres", "SELECT '{\"a\": [1, null]}'::jsonb", {"a": [1, None]}),
        (
            "postgres",
            "SELECT 'c0ffee00-0000-4000-8000-000000000000'::uuid",
            "c0ffee00-0000-4000-8000-000000000000",
        ),
        ("postgres", "SELECT '\\x00ff'::bytea", b"\x00\xff"),
        ("postgres", "SELECT ARRAY[1, 2]", [1, 2]),
        ("postgres", "SELECT INTERVAL '90 minutes'", dt.timedelta(minutes=90)),
        ("postgres", "SELECT $tag$ :no ? $tag$ || 'x'::text", " :no ? x"),
        ("postgres", "SELECT 'NaN'::float8", None),
        ("mysql", "SELECT CAST(10.50 AS DECIMAL(10,2))", 10.5),
        (
            "mysql",
            "SELECT CAST('2026-01-05 10:00:00' AS DATETIME)",
            dt.datetime(2026, 1, 5, 10, tzinfo=dt.UTC),
        ),
        ("mysql", "SELECT 'it\\'s :x ?' # ? :y", "it's :x ?"),
        ("duckdb", "SELECT 10.50::DECIMAL(10,2)", 10.5),
        ("duckdb", "SELECT [1, 2]", [1, 2]),
        ("duckdb", "SELECT {'a': 1}", {"a": 1}),
        (
            "duckdb",
            "SELECT 170141183460469231731687303715884105727::HUGEINT",
            "170141183460469231731687303715884105727",
        ),
        ("duckdb", "SELECT TIMESTAMP '2026-01-05 10:00:00'", dt.datetime(2026, 1, 5, 10, tzinfo=dt.UTC)),
        ("sqlite", "SELECT x'00ff'", b"\x00\xff"),
        ("sqlite", "SELECT [a] FROM (SELECT 1 AS [a])", 1),
    ],
)
async def test_what_a_database_gives_is_a_value_of_a_flow(
    ask: Ask, request: pytest.FixtureRequest, tmp_path: Path, kind: str, query: str, wanted: Any
) -> None:
    url = request.getfixturevalue(kind) if kind in ("postgres", "mysql") else f"{kind}:///{tmp_path / 'x.db'}"

    assert await value(ask, url, query, fetch="value") == wanted


async def test_values_of_a_flow_arrive_in_the_database(ask: Ask, postgres: str) -> None:
    assert await value(ask, postgres, "SELECT :a::jsonb->>'k'", {"a": {"k": "v"}}, fetch="value") == "v"
    assert await value(ask, postgres, "SELECT 2 = ANY(:a)", {"a": [1, 2]}, fetch="value") is True
    assert await value(ask, postgres, "SELECT :a::text IS NULL", {"a": None}, fetch="value") is True
    assert await value(ask, postgres, "SELECT jsonb_build_object('a', 1) ? 'a'", fetch="value") is True


@pytest.mark.parametrize(
    ("kind", "slow", "running"),
    [
        (
            "postgres",
            "SELECT pg_sleep(60), 'flow-slow'",
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%flow-slow%' AND pid <> pg_backend_pid()",
        ),
        (
            "mysql",
            "SELECT SLEEP(60), 'flow-slow'",
            "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%flow-slow%' AND id <> connection_id()",
        ),
    ],
)
async def test_a_timeout_ends_the_query_on_the_server(
    ask: Ask,
    engine: Engine,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    kind: str,
    slow: str,
    running: str,
) -> None:
    url = request.getfixturevalue(kind)
    flow = load_text(
        f'flow: slow\ntasks:\n  a: {{type: sql, timeout: 500ms, with: {{connection: "{url}", query: "{slow}"}}}}\n',
        tmp_path,
    )
    run = await engine.start(flow)
    async with asyncio.timeout(20):
        view = await run.wait()

        assert view.error is not None
        assert view.error["kind"] == "timeout"
        while await value(ask, url, running, fetch="value"):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.05)
        assert await value(ask, url, "SELECT 1", fetch="value") == 1


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
async def test_a_cancel_ends_a_query_inside_of_the_engine(engine: Engine, tmp_path: Path, kind: str) -> None:
    query = (
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 100000000000) SELECT count(*) FROM r"
        if kind == "sqlite"
        else "SELECT sum(a.i * b.i) FROM range(10000000) a(i), range(1000000) b(i)"
    )
    url = f"{kind}:///{tmp_path / 'x.db'}"
    make = load_text(
        f'flow: make\ntasks:\n  a: {{type: sql, with: {{connection: "{url}", query: "CREATE TABLE t (a INTEGER)"}}}}\n',
        tmp_path,
    )
    assert (await (await engine.start(make)).wait()).status == "succeeded"
    flow = load_text(
        f'flow: slow\ntasks:\n  a: {{type: sql, timeout: 300ms, with: {{connection: "{url}", query: "{query}"}}}}\n',
        tmp_path,
    )
    run = await engine.start(flow)

    async with asyncio.timeout(20):
        view = await run.wait()

    assert view.error is not None
    assert view.error["kind"] == "timeout"


async def test_a_hundred_queries_at_once_share_a_few_connections(
    engine: Engine, postgres: str, tmp_path: Path
) -> None:
    flow = load_text(
        "flow: many\ntasks:\n  a:\n    for_each: ${{ range(100) }}\n    concurrency: 100\n    type: sql\n"
        f"    with: {{connection: '{postgres}', query: 'SELECT :n::int, pg_backend_pid()', params: {{n: '${{{{ item }}}}'}}, fetch: one}}\n",
        tmp_path,
    )
    view = await (await engine.start(flow)).wait()

    assert view.status == "succeeded", view.error
    rows = view.tasks["a"].output
    assert [row["int4"] for row in rows] == list(range(100))
    assert len({row["pg_backend_pid"] for row in rows}) <= 8


async def test_a_server_that_was_restarted_is_connected_to_again(ask: Ask, postgres: str) -> None:
    await value(ask, postgres, "SELECT 1")
    view = await ask(postgres, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert view.error["kind"] == "sql.connect"

    assert await value(ask, postgres, "SELECT 2", fetch="value") == 2


async def test_where_nobody_listens_the_error_says_so(ask: Ask) -> None:
    for url in ("postgres://me:hush-hush@127.0.0.1:1/x", "mysql://me:hush-hush@127.0.0.1:1/x"):
        view = await ask(url, "SELECT 1")

        assert view.error["kind"] == "sql.connect"
        assert "hush" not in view.error["message"]
