"""Past a limit of runs in memory `start` waits, until one has ended or left memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from flowbuilder import Config, Engine
from flowbuilder.runtime.config import EngineConfig
from flowbuilder.testing.flows import load_text
from world import until

if TYPE_CHECKING:
    from flowbuilder.testing.fake_clock import FakeClock
    from world import World

HELD = load_text(
    "flow: t\ninputs: {n: {type: string}}\n"
    'tasks: {a: {type: python, with: {call: hold, args: {name: "${{ inputs.n }}"}}}}\n'
)
SLEEPS = load_text("flow: s\ntasks: {a: {type: sleep, with: {for: 1h}}}\n")


async def test_a_start_waits_for_room(world: World, clock: FakeClock) -> None:
    config = Config(engine=EngineConfig(live_runs=3))
    async with Engine.in_memory(config, clock=clock) as engine:
        starting = [asyncio.ensure_future(engine.start(HELD, {"n": f"n{n}"})) for n in range(5)]
        await until(lambda: len(world.calls) == 3)
        await asyncio.sleep(0)
        assert sum(start.done() for start in starting) == 3
        assert len(engine.core.machine.runs.live) == 3

        for n in range(5):
            await world.begun(f"n{n}")
            world.let_go(f"n{n}")
        for start in starting:
            await (await start).result(20)
    assert world.most == 3


async def test_runs_that_sleep_in_the_store_do_not_count(world: World, clock: FakeClock) -> None:
    config = Config(engine=EngineConfig(live_runs=2))
    async with Engine.in_memory(config, clock=clock) as engine:
        async with asyncio.timeout(20):
            for _ in range(50):
                await engine.start(SLEEPS)
        assert len(await engine.runs()) == 50
