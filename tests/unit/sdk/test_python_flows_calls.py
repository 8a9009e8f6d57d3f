"""How flows in Python call: maps over what is known only in a run, arguments by place, methods, decorated functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowbuilder import Engine, flow, load, map, task
from flowbuilder.core.errors import FlowError
from flowbuilder.testing.flows import run_flow
from world import until


@task
def double(n: int) -> int:
    return 2 * n


@task
def pair(a: Any, b: Any = 7) -> list:
    return [a, b]


@task
def by_place(a: int, b: int = 2, /, c: int = 3, d: int = 4) -> list[int]:
    return [a, b, c, d]


@task
def by_name(a: int, *, b: int = 2, c: int) -> list[int]:
    return [a, b, c]


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*args: Any, **words: Any) -> Any:
        return function(*args, **words)

    return inner


@task
@logged
def wrapped(n: int) -> int:
    return n + 1


class Shop:
    def __init__(self) -> None:
        self.rate = 3

    @task
    def price(self, n: int) -> int:
        return self.rate * n

    @staticmethod
    @task
    def fixed(n: int) -> int:
        return n


@flow
def total_of_one(n: int) -> int:
    return double(double(n))


@flow
def over_mappings(values: dict[str, int]):
    def two_steps(one: Any) -> Any:
        return pair(one.key, double(one.value))

    plain = map(lambda one: double(one.value), values)
    return {
        "group": map(two_steps, values),
        "plain": plain,
        "child": map(lambda one: total_of_one(one.value), values),
    }


@flow
def over_lists(values: list[int]):
    return {"group": map(lambda n: pair(n, double(n)), values), "flow": map(total_of_one, values)}


@flow
def over_what_a_task_gives(n: int):
    @task
    def made(n: int) -> dict[str, int]:
        return {"x": n}

    return map(lambda one: pair(one.key, double(one.value)), made(n))


async def test_a_map_of_a_group_over_a_mapping_of_the_run_gives_a_mapping() -> None:
    view = await run_flow(over_mappings.load(), {"values": {"a": 1, "b": 2}})
    assert view.error is None
    assert view.outputs == {
        "group": {"a": ["a", 2], "b": ["b", 4]},
        "plain": {"a": 2, "b": 4},
        "child": {"a": 4, "b": 8},
    }

    view = await run_flow(over_mappings.load(), {"values": {}})
    assert view.outputs == {"group": {}, "plain": {}, "child": {}}

    view = await run_flow(over_what_a_task_gives.load(), {"n": 2})
    assert view.outputs == {"result": {"x": ["x", 4]}}


async def test_a_map_of_a_group_over_a_list_of_the_run_gives_a_list() -> None:
    view = await run_flow(over_lists.load(), {"values": [1, 2]})

    assert view.outputs == {"group": [[1, 2], [2, 4]], "flow": [4, 8]}


async def test_arguments_by_place_only_are_given_by_place() -> None:
    @flow
    def whole(n: int):
        return {"all": by_place(n, 1, 5, 6), "named": by_place(n, d=9), "few": by_place(n)}

    view = await run_flow(whole.load(), {"n": 0})

    assert view.outputs == {"all": [0, 1, 5, 6], "named": [0, 2, 3, 9], "few": [0, 2, 3, 4]}


async def test_arguments_by_name_only_and_wrapped_functions() -> None:
    @flow
    def whole(n: int):
        return {"named": by_name(n, c=5), "wrapped": wrapped(n), "static": Shop.fixed(n)}

    view = await run_flow(whole.load(), {"n": 1})

    assert view.outputs == {"named": [1, 2, 5], "wrapped": 2, "static": 1}


def test_a_method_is_a_method_outside_of_flows_and_refused_inside() -> None:
    shop = Shop()
    assert shop.price(2) == 6

    @flow
    def whole(n: int):
        return shop.price(n)

    with pytest.raises(FlowError, match="'price' is a method"):
        whole.to_yaml()


def test_none_is_asked_only_of_what_is_known() -> None:
    limit = None

    @flow
    def whole(n: int, names: list[str] | None = None):
        found = double(n)
        found = None
        if limit is None and found is None:
            return double(n)
        return pair(names)

    assert "double" in whole.to_yaml()


async def test_an_error_stands_at_the_line_in_python_also_in_the_next_engine(tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text(
        "from flowbuilder import flow, task, wait\n"
        "\n\n"
        "@task\n"
        "def rows() -> list[dict]:\n"
        "    return [{'n': 1}]\n"
        "\n\n"
        "@task\n"
        "def double(n: int) -> int:\n"
        "    return 2 * n\n"
        "\n\n"
        "@flow\n"
        "def waits(x: int = 1):\n"
        "    found = rows()\n"
        "    told = wait(signal='go')\n"
        "    return [told, double(found[0].m)]\n"
    )
    async with Engine(tmp_path / "store.db") as engine:
        run = await engine.start(load(f"{tmp_path}/waits.py:waits"))
        await until(lambda: not engine.core.machine.runs.live)
    async with Engine(tmp_path / "store.db") as engine:
        again = await engine.get(run.id)
        await engine.signal(run.id, "go")
        view = await again.wait(20)

        assert view.error is not None
        assert "waits.py:18:" in view.error["message"]
