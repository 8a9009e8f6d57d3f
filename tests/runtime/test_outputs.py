"""An output is made plain when its task ends: live and recovered readers see the same."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Config, Engine
from flowbuilder.runtime.config import LimitsConfig
from flowbuilder.tasks.python import name_function
from flowbuilder.testing.flows import load_text, run_flow

if TYPE_CHECKING:
    from pathlib import Path

    from world import World


@dataclasses.dataclass
class Point:
    x: int
    y: int


def odd() -> Any:
    return {
        "tuple": (1, 2),
        "set": {7},
        "struct": Point(1, 2),
        "bytes": b"\x00\xff",
        "when": dt.datetime(2026, 1, 5, tzinfo=dt.UTC),
        "for": dt.timedelta(seconds=90),
        "day": dt.date(2026, 1, 5),
    }


def change(value: dict[str, Any]) -> int:
    value["changed"] = True
    return len(value)


def nonsense(which: str) -> Any:
    return {"object": object(), "nan": float("nan"), "big": 2**70, "key": {1: 2}}[which]


for _function in (odd, change, nonsense):
    name_function(_function.__name__, _function)


async def test_what_python_returns_becomes_plain() -> None:
    run = await run_flow("""
flow: t
tasks:
  odd: {type: python, with: {call: odd}}
  seen: {type: set, with: "${{ tasks.odd.output }}"}
  tuple: {type: set, with: "${{ tasks.odd.output.tuple + [3] }}"}
""")

    plain = {
        "tuple": [1, 2],
        "set": [7],
        "struct": {"x": 1, "y": 2},
        "bytes": b"\x00\xff",
        "when": dt.datetime(2026, 1, 5, tzinfo=dt.UTC),
        "for": dt.timedelta(seconds=90),
        "day": dt.date(2026, 1, 5),
    }
    assert run.tasks["odd"].output == run.tasks["seen"].output == plain
    assert run.tasks["tuple"].output == [1, 2, 3]
    shown = run.to_json()["tasks"]["odd"]["output"]
    assert (shown["bytes"], shown["day"], shown["when"]) == (
        "AP8=",
        "2026-01-05",
        "2026-01-05T00:00:00+00:00",
    )


@pytest.mark.parametrize("which", ["object", "nan", "big"])
async def test_anything_else_fails_its_task(which: str) -> None:
    run = await run_flow(
        f"flow: t\ntasks: {{a: {{type: python, with: {{call: nonsense, args: [{which}]}}}}}}\n"
    )

    assert (run.error or {})["kind"] == "output.type"


async def test_a_python_task_gets_a_copy() -> None:
    run = await run_flow("""
flow: t
tasks:
  a: {type: set, with: {x: 1}}
  b: {type: python, executor: inline, with: {call: change, args: ["${{ tasks.a.output }}"]}}
  c: {type: set, needs: [b], with: "${{ tasks.a.output }}"}
""")

    assert (run.tasks["b"].output, run.tasks["c"].output) == (2, {"x": 1})


async def test_a_large_output_goes_by_the_blob_store_and_comes_back(tmp_path: Path, world: World) -> None:
    flow = load_text(
        """
flow: t
tasks:
  a: {type: python, with: {call: act, args: {name: a, value: "${{ ['x' * 0, join(['0123456789' for i in range(20000)], '')] }}"}}}
  b: {type: set, with: "${{ len(tasks.a.output[1]) }}"}
outputs: {b: "${{ tasks.b.output }}"}
""".replace("'x' * 0, ", "'', ")
    )
    async with Engine(tmp_path / "store.db", Config()) as engine:
        run = await engine.start(flow)
        assert await run.result(20) == {"b": 200_000}
        assert len((await engine.show(run.id)).tasks["a"].output[1]) == 200_000
    assert (
        len([p for p in (tmp_path / "store.db.blobs").rglob("*") if p.is_file() and len(p.name) == 64]) == 1
    )


async def test_an_output_over_the_limit_fails_and_names_the_limit(world: World) -> None:
    run = await run_flow(
        "flow: t\ntasks: {a: {type: python, with: {call: act, args: {name: a, value: 0123456789abcdef}}}}\n",
        config=Config(limits=LimitsConfig(output_bytes=10)),
    )

    error = run.error or {}
    assert error["kind"].startswith("output.")
    assert "output_bytes" in error["message"]
