"""Ended runs are deleted by age and count, online, with all that belongs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder import Config, Engine
from flowbuilder.runtime.config import StoreConfig
from flowbuilder.runtime.upkeep import Upkeep
from flowbuilder.storage.api import RunFilter
from flowbuilder.testing.flows import load_text
from world import until

if TYPE_CHECKING:
    from flowbuilder.testing.fake_clock import FakeClock

DAY = 86400.0
DONE = load_text(
    "flow: t\ninputs: {n: {default: 1}}\ntasks: {a: {type: log, with: {message: '${{ inputs.n }} done'}}}\n"
)
SLEEPS = load_text("flow: s\ntasks: {a: {type: sleep, with: {for: 365d}}}\n")


async def test_runs_that_ended_long_ago_go_and_live_ones_stay(clock: FakeClock) -> None:
    config = Config(store=StoreConfig(retention=30 * DAY))
    async with Engine.in_memory(config, clock=clock) as engine:
        upkeep = Upkeep(engine.core.machine)
        live = await engine.start(SLEEPS)
        old = [await engine.start(DONE) for _ in range(3)]
        for run in old:
            await run.result(20)
        clock.set(clock.now() + 20 * DAY)
        young = await engine.start(DONE)
        await young.result(20)
        await upkeep.step()
        assert len(await engine.runs()) == 5

        clock.set(clock.now() + 11 * DAY)
        await upkeep.step()

        assert {row.id for row in await engine.runs()} == {live.id, young.id}
        assert await engine.logs(old[0].id) == []


async def test_the_newest_are_kept(clock: FakeClock) -> None:
    config = Config(store=StoreConfig(retention=0.0, keep=4))
    async with Engine.in_memory(config, clock=clock) as engine:
        runs = [await engine.start(DONE, {"n": n}) for n in range(10)]
        for run in runs:
            await run.result(20)

        await Upkeep(engine.core.machine).step()

        left = await engine.runs(RunFilter(limit=100))
        assert {row.id for row in left} == {run.id for run in runs[6:]}


async def test_the_rounds_of_an_engine_delete_by_themselves(clock: FakeClock) -> None:
    config = Config(store=StoreConfig(retention=1 * DAY))
    async with Engine.in_memory(config, clock=clock) as engine:
        await (await engine.start(DONE)).result(20)
        clock.set(clock.now() + 2 * DAY)
        clock.advance(30)

        store = engine.core.machine.store
        await until(lambda: not store.runs(RunFilter()))
