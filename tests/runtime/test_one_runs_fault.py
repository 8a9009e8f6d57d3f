"""What one run does wrong, or one caller asks for, is nobody else's loss."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Engine, EngineStopped, InputError, RunFailed, StoreError
from flowbuilder.tasks.python import name_function
from flowbuilder.testing import load_text

if TYPE_CHECKING:
    from pathlib import Path

FLOW = load_text('flow: t\ninputs: {n: {type: integer}}\ntasks: {a: {type: set, with: "${{ inputs.n }}"}}\n')
HALF = load_text("flow: half\ntasks: {a: {type: python, with: {call: raise_half}}}\n")
QUICK = load_text("""
flow: quick
tasks:
  slow: {type: python, with: {call: wait_for_all, args: [3000]}}
  each: {for_each: "${{ range(3000) }}", concurrency: 50, type: python, with: {call: count_up, args: ["${{ item }}"]}}
outputs: {slow: "${{ tasks.slow.output }}", n: "${{ len(tasks.each.output) }}"}
""")


def raise_half() -> None:
    raise ValueError("half a character: \udcff")


counted = 0
all_counted = asyncio.Event()


def count_up(n: int) -> int:
    global counted
    counted += 1
    if counted == 3000:
        all_counted.set()
    return n


async def wait_for_all(n: int) -> str:
    await all_counted.wait()
    await asyncio.sleep(0.05)  # longer than the map has work: its end must not be the run's
    return "done"


for function in (raise_half, count_up, wait_for_all):
    name_function(function.__name__, function)


@pytest.fixture(params=["memory", "file"])
async def engine(request: Any, tmp_path: Path):
    made = Engine.in_memory() if request.param == "memory" else Engine(tmp_path / "runs.db")
    async with made as engine:
        yield engine


async def test_a_text_that_cannot_be_written_down_fails_its_run_alone(engine: Engine) -> None:
    runs = await asyncio.gather(engine.start(HALF), *(engine.start(FLOW, {"n": n}) for n in range(5)))

    with pytest.raises(RunFailed, match="half a character"):
        await runs[0].result(20)
    assert [await run.result(20) for run in runs[1:]] == [{}] * 5


@pytest.mark.parametrize(
    "asked",
    [
        {"key": "\udcff"},
        {"labels": {"a": "\udcff"}},
        {"labels": {"a": 1}},
        {"priority": 2**70},
        {"priority": -1},
    ],
)
async def test_a_start_that_asks_for_what_cannot_be_kept_fails_alone(engine: Engine, asked: Any) -> None:
    good, bad, also_good = await asyncio.gather(
        engine.start(FLOW, {"n": 1}),
        engine.start(FLOW, {"n": 1}, **asked),
        engine.start(FLOW, {"n": 1}),
        return_exceptions=True,
    )

    assert isinstance(bad, InputError)
    assert [await run.result(20) for run in (good, also_good)] == [{}, {}]  # type: ignore[union-attr]


async def test_a_map_that_ends_beside_other_work_ends_once(engine: Engine) -> None:
    global counted, all_counted
    for _ in range(3):
        counted, all_counted = 0, asyncio.Event()
        run = await engine.start(QUICK)

        assert await run.result(30) == {"slow": "done", "n": 3000}


async def test_starts_that_meet_the_end_of_the_engine_are_told(tmp_path: Path) -> None:
    for keys in (False, True):
        engine = Engine(tmp_path / f"{keys}.db")
        await engine.__aenter__()
        starts = [
            asyncio.ensure_future(engine.start(FLOW, {"n": n}, key=f"k{n}" if keys else None))
            for n in range(20)
        ]
        await asyncio.sleep(0)
        await engine.core.close()
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(*starts, return_exceptions=True)

        assert all(
            isinstance(outcome, EngineStopped | StoreError) or not isinstance(outcome, BaseException)
            for outcome in outcomes
        ), outcomes
