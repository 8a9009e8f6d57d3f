"""Many starts at once: what they have in common is done once, and nobody's failure is another's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine, StoreError
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing import FakeClock, load_text
from world import until

if TYPE_CHECKING:
    from flowbuilder.testing.fake_clock import FakeClock as Clock

FLOW = load_text('flow: t\ninputs: {n: {type: integer}}\ntasks: {a: {type: set, with: "${{ inputs.n }}"}}\n')


class CountingStore(MemoryStore):
    """Counts how often a version is kept, and refuses as often as a test says."""

    kept = 0
    refuses = 0

    def put_flow(self, content_hash: str, name: str, definition: bytes) -> None:
        self.kept += 1
        if self.refuses:
            self.refuses -= 1
            raise StoreError("not now")
        super().put_flow(content_hash, name, definition)


@pytest.fixture
def clock() -> Clock:
    return FakeClock()


async def test_a_version_is_kept_once_however_many_start_it(clock: Clock) -> None:
    store = CountingStore()
    async with Engine(":memory:", store=store, clock=clock) as engine:
        runs = await asyncio.gather(*(engine.start(FLOW, {"n": n}) for n in range(200)))

        assert store.kept == 1
        assert [await run.result() for run in runs] == [{}] * 200


async def test_a_version_that_could_not_be_kept_is_tried_again_by_the_next(clock: Clock) -> None:
    store = CountingStore()
    store.refuses = 1
    async with Engine(":memory:", store=store, clock=clock) as engine:
        outcomes = await asyncio.gather(
            *(engine.start(FLOW, {"n": n}) for n in range(3)), return_exceptions=True
        )
        assert all(isinstance(outcome, StoreError) for outcome in outcomes)

        run = await engine.start(FLOW, {"n": 1})
        assert await run.result() == {}


async def test_a_start_that_is_given_up_leaves_the_others_alone(clock: Clock) -> None:
    store = CountingStore()
    async with Engine(":memory:", store=store, clock=clock) as engine:
        first = asyncio.ensure_future(engine.start(FLOW, {"n": 1}))
        second = asyncio.ensure_future(engine.start(FLOW, {"n": 2}))
        await asyncio.sleep(0)
        first.cancel()

        assert await (await second).result() == {}
        assert store.kept == 1


async def test_who_waits_for_a_run_that_left_memory_sees_how_it_ended(clock: Clock) -> None:
    sleeps = load_text("flow: s\ntasks: {a: {type: sleep, with: {for: 1h}}}\noutputs: {done: true}\n")
    async with Engine.in_memory(clock=clock) as engine:
        run = await engine.start(sleeps)
        waiting = asyncio.ensure_future(run.result())
        await until(lambda: not engine.core.machine.runs.live)
        clock.advance(3600)
        assert await asyncio.wait_for(waiting, 20) == {"done": True}
        assert run.status == "succeeded"
