"""Nothing gets stuck: a run that owns nothing which could carry it on is found, and read again."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine, RunCancelled
from flowbuilder.core import values
from flowbuilder.runtime.upkeep import Upkeep
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing import FakeClock
from flowbuilder.testing.flows import load_text
from world import until

if TYPE_CHECKING:
    from world import World


async def test_a_run_that_nothing_would_carry_on_is_read_again(
    engine: Engine, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks: {a: {type: python, with: {call: hold, args: {name: a, value: 4}}}}
outputs: {a: "${{ tasks.a.output }}"}
""")
    )
    await world.begun("a")
    upkeep = Upkeep(engine.core.machine)
    assert [await upkeep.step() for _ in range(3)] == [0, 0, 0]

    state = engine.core.machine.runs.live[run.id]
    for execution in list(state.executions):  # a fault of ours: the engine forgets what it does
        engine.core.machine.attempts.release(execution)
    world.let_go("a")
    with caplog.at_level(logging.ERROR):
        assert [await upkeep.step(), await upkeep.step()] == [0, 1]

    assert upkeep.stuck == 1
    assert f"run {run.id} was stuck" in caplog.text
    assert await run.result(20) == {"a": 4}
    assert world.calls == ["a", "a"]


async def test_a_run_of_the_store_that_owns_nothing_is_found_at_two_looks_and_read_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, clock = MemoryStore(), FakeClock()
    async with Engine(":memory:", Config(), store=store, clock=clock) as engine:
        run = await engine.start(load_text("flow: t\ntasks: {a: {type: sleep, with: {for: 1h}}}"))
        await until(lambda: not engine.core.machine.runs.live)
        row = store.place.runs[run.id]
        row.wake_at = None  # as a fault of ours would leave it
        upkeep = Upkeep(engine.core.machine)

        assert await upkeep.step() == 0
        assert await upkeep.step() == 1

        assert f"run {run.id} was stuck in the store" in caplog.text
        assert store.liveness().stuck() == []
        clock.advance(3600)
        assert (await run.wait()).status == "succeeded"


async def test_a_round_of_upkeep_that_fails_is_not_the_last(
    engine: Engine, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    upkeep = Upkeep(engine.core.machine)
    rounds = 0

    async def fails() -> int:
        nonlocal rounds
        rounds += 1
        raise PermissionError("a folder")

    upkeep.step = fails  # type: ignore[method-assign]
    serving = asyncio.ensure_future(upkeep.run())
    for wanted in (1, 2):
        await asyncio.sleep(0)
        clock.advance(31)
        await until(lambda wanted=wanted: rounds >= wanted)

    assert not serving.done()
    assert "upkeep failed" in caplog.text
    serving.cancel()


async def test_a_command_that_cannot_be_carried_out_keeps_nobody_from_the_others(
    engine: Engine, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    run = await engine.start(
        load_text("{flow: t, tasks: {a: {type: python, with: {call: hold, args: {name: a}}}}}")
    )
    await world.begun("a")
    store = engine.core.machine.store

    for payload in (b"\xc1", values.encode(["no mapping"]), values.encode({"reason": "enough"})):
        await engine.core.machine.in_thread(functools.partial(store.send, run.id, "cancel", payload))

    with pytest.raises(RunCancelled):
        await run.result(20)
    await until(lambda: not store.receive())
    assert "cannot be carried out" in caplog.text
