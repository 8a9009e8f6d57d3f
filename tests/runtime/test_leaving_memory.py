"""Waits of more than five seconds live in the store only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine
from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing.flows import finish, load_text
from world import until

if TYPE_CHECKING:
    from flowbuilder.testing.fake_clock import FakeClock
    from world import World

SLEEPER = """
flow: t
inputs: {n: {type: integer}}
tasks:
  a: {type: sleep, with: {for: "${{ inputs.n }}s"}}
  b: {type: set, needs: [a], with: "${{ inputs.n }}"}
outputs: {b: "${{ tasks.b.output }}"}
"""


async def test_three_thousand_runs_sleep_without_memory_and_wake_in_time(
    engine: Engine, clock: FakeClock
) -> None:
    flow, start = load_text(SLEEPER), clock.now()
    runs = [await engine.start(flow, {"n": 60 + n % 3}) for n in range(3000)]
    await until(lambda: not engine.core.machine.runs.live)
    assert len(await engine.runs(RunFilter(status=("waiting",), limit=5000))) == 3000

    for second in (60, 61, 62):
        clock.set(start + second)
        clock.advance(0)
        await engine.core.machine.recovery.wake_due()
        await until(lambda: not engine.core.machine.runs.live)
        done = await engine.runs(RunFilter(status=("succeeded",), limit=5000))
        assert len(done) == (second - 59) * 1000

    assert await runs[-1].result(20) == {"b": 62}


async def test_a_short_wait_stays(engine: Engine, clock: FakeClock) -> None:
    run = await engine.start(load_text(SLEEPER), {"n": 4})
    await until(engine.core.only_waits)

    assert run.id in engine.core.machine.runs.live
    await finish(engine, run, clock)
    assert clock.slept == [4]


async def test_a_run_leaves_only_when_all_of_it_waits(engine: Engine, clock: FakeClock, world: World) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  nap: {type: sleep, with: {for: 1h}}
  held: {type: python, with: {call: hold, args: {name: held}}}
""")
    )
    await world.begun("held")
    assert run.id in engine.core.machine.runs.live
    world.let_go("held")
    await until(lambda: not engine.core.machine.runs.live)

    view = await engine.show(run.id)
    assert (view.status, view.tasks["nap"].status) == ("waiting", "waiting")
    assert view.wake_at == pytest.approx(clock.now() + 3600)


async def test_a_wait_that_ends_while_no_engine_lives_ends_when_the_next_one_starts(
    clock: FakeClock, world: World
) -> None:
    memory = MemoryStore()
    async with Engine(":memory:", Config(), clock=clock, store=memory) as engine:
        run = await engine.start(load_text(SLEEPER), {"n": 3600})
        await until(lambda: not engine.core.machine.runs.live)
    clock.advance(7200)

    async with Engine(":memory:", Config(), clock=clock, store=MemoryStore(memory.place)) as engine:
        assert await (await engine.get(run.id)).result(20) == {"b": 3600}


async def test_a_sleep_until_a_moment_ends_at_that_moment(engine: Engine, clock: FakeClock) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks: {a: {type: sleep, with: {until: "2026-01-02T00:00:00+00:00"}}, past: {type: sleep, with: {until: "2020-01-01T00:00:00Z"}}}
""")
    )
    await finish(engine, run, clock)

    assert sum(clock.slept) == 86400
    assert (await engine.show(run.id)).tasks["past"].duration == 0
