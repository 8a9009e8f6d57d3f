"""A crash at every write while a deadline ends a run at rest: it is told once, undone, and no place is lost."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine
from flowbuilder.core.records import CancelAsked, decode
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing.crashing_store import Crash, CrashingStore
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import dying_with, load_text, unless_it_dies
from world import until

if TYPE_CHECKING:
    from world import World

PAUSED = load_text("""
flow: paused
deadline: 1h
tasks:
  book:
    type: python
    with: {call: act, args: {name: book}}
    undo: {type: python, with: {call: act, args: {name: unbook}}}
  nap: {type: sleep, needs: [book], with: {for: 3d}}
on_failure:
  told: {type: python, with: {call: act, args: {name: told}}}
""")
QUEUED = load_text("""
flow: queued
deadline: 1h
concurrency: 1
inputs: {name: {type: string}}
tasks:
  work: {type: sleep, with: {for: 3d}}
on_failure:
  told: {type: python, with: {call: act, args: {name: "${{ inputs.name }}"}}}
""")


async def late(store: CrashingStore) -> None:
    """Have a paused and two queued runs miss their deadlines, unless the store dies before."""
    clock = FakeClock()
    with contextlib.suppress(Crash):
        async with (
            dying_with(store),
            asyncio.timeout(30),
            Engine(":memory:", Config(), clock=clock, store=store) as engine,
        ):
            live = engine.core.machine.runs.live

            async def work() -> None:
                paused = await engine.start(PAUSED, key="paused")
                await until(lambda: paused.id not in live)
                await paused.pause()
                runs = [await engine.start(QUEUED, {"name": f"told {n}"}, key=f"q{n}") for n in range(2)]
                await until(lambda: not live)
                clock.advance(3601)
                for run in (paused, *runs):
                    await run.wait(20)

            await unless_it_dies(work(), store)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.timeout(300)
async def test_each_run_ends_for_its_deadline_whatever_write_an_engine_dies_at(
    after: bool, world: World
) -> None:
    counting = CrashingStore(MemoryStore())
    await late(counting)
    assert not counting.crashed
    for at in range(1, counting.writes + 1):
        world.calls.clear()
        world._begun.clear()
        memory = MemoryStore()
        store = CrashingStore(memory, at, after=after)
        world.dead = lambda store=store: store.crashed  # type: ignore[misc]
        await late(store)
        world.dead = lambda: False

        clock = FakeClock(FakeClock().now() + 3700)
        async with (
            asyncio.timeout(30),
            Engine(":memory:", Config(), clock=clock, store=MemoryStore(memory.place)) as engine,
        ):
            for row in await engine.runs():
                view = await (await engine.get(row.id)).wait(20)
                where = f"write {at}: {row.key}"
                assert (view.status, (view.error or {})["kind"]) == ("failed", "timeout"), where
                told = [
                    record
                    for batch in engine._store.journal(row.id)
                    for record in decode(batch)
                    if isinstance(record, CancelAsked)
                ]
                assert len(told) == 1, where
            keys = {row.key for row in await engine.runs()}
            assert engine._store.lanes().count("queued") == (0, 0)
        if "paused" in keys and "book" in world.calls:
            assert "unbook" in world.calls, f"write {at}"
        if "paused" in keys:
            assert "told" in world.calls, f"write {at}"
        for n in range(2):
            assert (f"told {n}" in world.calls) == (f"q{n}" in keys), f"write {at}"
