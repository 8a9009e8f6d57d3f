"""A crash at every write of a pause, a resume, a cancel, a fork: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Config, Engine, RunCancelled
from flowbuilder.runtime.recovered import replay
from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing.crashing_store import Crash, CrashingStore
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import dying_with, load_text, unless_it_dies
from world import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from flowbuilder.storage.memory.place import Place
    from world import World

    Steering = Callable[[Engine, World], Awaitable[None]]

FLOW = load_text("""
flow: t
tasks:
  first: {type: python, with: {call: hold, args: {name: first, value: 1}}}
  second: {type: python, with: {call: act, args: {name: second, value: "${{ tasks.first.output + 1 }}"}}}
  third: {type: python, with: {call: act, args: {name: third, value: "${{ tasks.second.output + 1 }}"}}}
finally:
  tidy: {type: python, with: {call: act, args: {name: tidy}}}
outputs: {third: "${{ tasks.third.output }}"}
""")


async def pause_and_resume(engine: Engine, world: World) -> None:
    """Pause a run while a task is in flight, and let it go on when it has left memory."""
    run = await engine.start(FLOW, key="k")
    await world.begun("first")
    await run.pause("a look first")
    world.let_go("first")
    await until(lambda: run.id not in engine.core.machine.runs.live)
    await run.resume()
    await run.result(20)


async def pause_and_cancel(engine: Engine, world: World) -> None:
    """Pause a run, and cancel it when it has left memory."""
    run = await engine.start(FLOW, key="k")
    await world.begun("first")
    await run.pause()
    world.let_go("first")
    await until(lambda: run.id not in engine.core.machine.runs.live)
    await run.cancel("enough")
    with contextlib.suppress(RunCancelled):
        await run.result(20)


async def fork(engine: Engine, world: World) -> None:
    """Run, and fork what has ended."""
    run = await engine.start(FLOW, key="k")
    world.let_go("first")
    await run.result(20)
    await (await engine.fork(run.id, from_tasks=["third"], key="fork")).result(20)


async def steered(store: CrashingStore, steer: Steering, world: World) -> bool:
    """Steer until all is done or the store has died; tells whether it died."""
    with contextlib.suppress(Crash):
        async with (
            dying_with(store),
            asyncio.timeout(30),
            Engine(":memory:", Config(), clock=FakeClock(), store=store) as engine,
        ):
            await unless_it_dies(steer(engine, world), store)
    return store.crashed


def ended_on_disk(place: Place) -> set[str]:
    """Return the tasks whose ends are on disk in any run, but those that a run has taken over."""
    store = MemoryStore(place)
    store.open(None)
    try:
        return {
            path
            for row in store.runs(RunFilter())
            for path, ended in replay(store.journal(row.id), store.blobs().get).ended.items()
            if ended.attempts
        }
    finally:
        store.close()


async def carried_on(place: Place, world: World) -> dict[str, Any]:
    """Have the next engine carry on what is there, resume what is paused, and tell how all ended."""
    world.let_go("first")
    async with Engine(":memory:", Config(), clock=FakeClock(), store=MemoryStore(place)) as engine:
        for row in await engine.runs():
            run = await engine.get(row.id)
            if (await engine.row(row.id)).status == "paused":
                await run.resume()
            await run.wait(20)
        assert not engine.core.machine.runs.live
        return {row.key or "": (await engine.show(row.id)) for row in await engine.runs()}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("steer", [pause_and_resume, pause_and_cancel, fork])
@pytest.mark.timeout(300)
async def test_a_crash_at_any_write_loses_nothing_and_repeats_nothing(
    steer: Steering, after: bool, world: World
) -> None:
    counting = CrashingStore(MemoryStore())
    assert not await steered(counting, steer, world)
    deaths = 0
    for at in range(1, counting.writes + 1):
        world.calls.clear()
        world._gates.clear()
        world._begun.clear()
        memory = MemoryStore()
        store = CrashingStore(memory, at, after=after)
        world.dead = lambda store=store: store.crashed  # type: ignore[misc]
        deaths += await steered(store, steer, world)
        world.dead = lambda: False
        kept, before = ended_on_disk(memory.place), list(world.calls)

        views = await carried_on(memory.place, world)

        where = f"write {at}"
        for name in ("first", "second", "third"):
            if name in kept and steer is not fork:
                assert world.count(name) == before.count(name), where
        assert world.count("first") <= 2, where
        if "k" not in views:
            continue  # it was never accepted
        if steer is pause_and_cancel:
            assert views["k"].status in ("cancelled", "succeeded"), where
        else:
            assert views["k"].outputs == {"third": 3}, where
        if "fork" in views:
            assert views["fork"].outputs == {"third": 3}, where
            assert views["fork"].tasks["first"].taken_over, where
            assert world.count("first") == 1, where
            assert world.count("second") == 1, where
    assert deaths > counting.writes // 2
