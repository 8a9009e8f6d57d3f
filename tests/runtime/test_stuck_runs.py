"""Nothing gets stuck: a run that owns nothing which could carry it on is found, and read again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flowbuilder import Config, Engine
from flowbuilder.runtime.upkeep import Upkeep
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing import FakeClock
from flowbuilder.testing.flows import load_text
from world import until

if TYPE_CHECKING:
    import pytest

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
