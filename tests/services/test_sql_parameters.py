"""Values of every kind that a flow has, bound in every database, and what comes back of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from flowbuilder.tasks.python import name_function
from flowbuilder.testing import load_text

if TYPE_CHECKING:
    from flowbuilder import RunView
    from flowbuilder.sdk.engine import Engine

Ask = Callable[..., Any]
waiting: list[Any] = []


def next_value() -> Any:
    """Return a value of a kind that no input has."""
    return waiting[-1]


name_function("next_value", next_value)
MOMENT = dt.datetime(2026, 1, 5, 10, 30, 15, 250_000, tzinfo=dt.timezone(dt.timedelta(hours=2)))
UTC = MOMENT.astimezone(dt.UTC)
CASTS = {
    "postgres": {
        "int": "bigint", "float": "float8", "bool": "boolean", "text": "text", "bytes": "bytea", "date": "date",
        "moment": "timestamptz", "duration": "interval", "json": "jsonb",
    },
    "duckdb": {
        "int": "BIGINT", "float": "DOUBLE", "bool": "BOOLEAN", "text": "VARCHAR", "bytes": "BLOB", "date": "DATE",
        "moment": "TIMESTAMPTZ", "duration": "INTERVAL", "json": "VARCHAR",
    },
    "mysql": {
        "int": "BIGINT", "float": "DOUBLE", "bool": "BOOLEAN", "text": "TEXT", "bytes": "BLOB", "date": "DATE",
        "moment": "DATETIME(6)", "duration": "TIME(6)", "json": "TEXT",
    },
    "sqlite": {
        "int": "INTEGER", "float": "REAL", "bool": "INTEGER", "text": "TEXT", "bytes": "BLOB", "date": "TEXT",
        "moment": "TEXT", "duration": "REAL", "json": "TEXT",
    },
}  # fmt: skip
GIVEN: dict[str, list[Any]] = {
    "int": [0, -1, 2**63 - 1, -(2**63), None],
    "float": [0.5, -1e300, 3.0, None],
    "bool": [True, False, None],
    "text": ["", "it's \\ % %s :x ? $1 \" ; -- /*", "é😀\n\t", None],
    "bytes": [b"", b"\x00\xff'\\%", None],
    "date": [dt.date(2026, 1, 5), dt.date(1969, 12, 31), None],
    "moment": [MOMENT, None],
    "duration": [dt.timedelta(hours=1, seconds=1.5), None],
    "json": [{"a": [1, None, {"b": "é"}]}, {}, None],
}
SELDOM = {
    ("sqlite", "bool"): {True: 1, False: 0},
    ("mysql", "bool"): {True: 1, False: 0},
    ("sqlite", "date"): {value: value.isoformat() for value in GIVEN["date"] if value},
    ("sqlite", "moment"): {MOMENT: MOMENT.isoformat(" ")},
    ("sqlite", "duration"): {GIVEN["duration"][0]: 3601.5},
}
"""Where a database has no such kind, what is kept instead."""
JSON = {"{'a': [1, None, {'b': 'é'}]}": '{"a":[1,null,{"b":"é"}]}', "{}": "{}"}


async def bound(engine: Engine, url: str, query: str, params: Any, folder: Path) -> RunView:
    """Carry out a query with values that a task has yielded."""
    given = msgspec.json.encode(
        {"connection": url, "query": query, "params": "${{ tasks.v.output }}"}
    ).decode()
    waiting.append(params)
    run = await engine.start(
        load_text(
            "flow: t\ntasks:\n  v: {type: python, with: {call: next_value}}\n"
            f"  a: {{type: sql, with: {given}}}\n",
            folder,
        )
    )
    return await run.wait()


def wanted(kind: str, of: str, value: Any) -> Any:
    if of == "json" and kind != "postgres" and value is not None:
        return JSON[repr(value)]
    if of == "moment" and value is not None and kind != "sqlite":
        return UTC
    return SELDOM.get((kind, of), {}).get(value, value) if of != "json" else value


@pytest.mark.parametrize("of", list(GIVEN))
async def test_a_value_comes_back_as_it_was_bound(
    ask: Ask, engine: Engine, database: tuple[str, str], tmp_path: Path, of: str
) -> None:
    kind, url = database
    table = f"kept_{of}"
    made = await ask(
        url, f"DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (n INTEGER, x {CASTS[kind][of]})"
    )
    assert made.status == "succeeded", made.error

    for number, value in enumerate(GIVEN[of]):
        put = await bound(
            engine, url, f"INSERT INTO {table} VALUES (:n, :x)", {"n": number, "x": value}, tmp_path
        )
        assert put.status == "succeeded", (value, put.error)
    view = await ask(url, f"SELECT x FROM {table} ORDER BY n")

    found = [row["x"] for row in view.tasks["a"].output["rows"]]
    assert found == [wanted(kind, of, value) for value in GIVEN[of]]


@pytest.mark.parametrize(
    ("of", "some"),
    [
        ("int", [1, 2]),
        ("text", ["a", "it's"]),
        ("date", [dt.date(2026, 1, 5)]),
        ("float", [0.5]),
        ("int", []),
    ],
)
async def test_a_list_in_brackets_stands_for_its_elements(
    ask: Ask, engine: Engine, database: tuple[str, str], tmp_path: Path, of: str, some: list[Any]
) -> None:
    kind, url = database
    table = f"in_{of}"
    other = {"int": 7, "text": "z", "date": dt.date(2000, 1, 1), "float": 9.5}[of]
    await ask(url, f"DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (x {CASTS[kind][of]})")
    for value in [*some, other]:
        await bound(engine, url, f"INSERT INTO {table} VALUES (?)", [value], tmp_path)

    inside = await ask(url, f"SELECT count(*) FROM {table} WHERE x IN (:some)", {"some": some}, fetch="value")
    outside = await ask(
        url, f"SELECT count(*) FROM {table} WHERE x NOT IN (:some)", {"some": some}, fetch="value"
    )

    assert (inside.tasks["a"].output, outside.tasks["a"].output) == (len(some), 1)


async def test_a_thousand_values_in_brackets_are_bound(ask: Ask, database: tuple[str, str]) -> None:
    _, url = database
    view = await ask(url, "SELECT 1 WHERE 999 IN (:many)", {"many": list(range(1000))}, fetch="value")

    assert view.tasks["a"].output == 1, view.error


@pytest.mark.parametrize(
    ("query", "params", "said"),
    [
        ("SELECT :nmae", {"name": 1}, "did you mean ':name'"),
        ("SELECT :a", {"a": 1, "b": 2}, "':b'"),
        ("SELECT ?, ?", [1], "more '?'"),
        ("SELECT ?", [1, 2], "2 values"),
        ("SELECT :a", [1], "no mapping"),
        ("SELECT 1", "text", "a mapping or a list"),
        ("  ;; -- nothing", None, "no statement"),
        ("BEGIN; SELECT 1; COMMIT", None, "leave out BEGIN"),
    ],
)
async def test_params_that_do_not_fit_are_a_mistake_that_is_explained(
    ask: Ask, database: tuple[str, str], query: str, params: Any, said: str
) -> None:
    _, url = database
    view = await ask(url, query, params)

    assert view.error["kind"] == "input"
    assert said in view.error["message"]
