"""What an engine leaves is carried on by the next, with the version of the flow that it started with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine, EngineStopped, StoreError, load
from flowbuilder.runtime.config import EngineConfig
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing import FakeClock, load_text
from world import until

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder import LoadedFlow
    from flowbuilder.storage.api import RunRow
    from world import World

HELD = """
flow: t
tasks:
  first: {type: python, executor: inline, with: {call: act, args: {name: first, value: 1}}}
  held: {type: python, needs: [first], with: {call: hold, args: {name: held}}}
  last: {type: set, needs: [held], with: VALUE}
outputs: {last: "${{ tasks.last.output }}"}
"""


async def test_a_run_goes_on_with_the_version_that_it_started_with(tmp_path: Path, world: World) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(HELD.replace("VALUE", "old"))
    async with Engine(tmp_path / "store.db", Config()) as engine:
        run = await engine.start(load(file))
        await world.begun("held")
    file.write_text(HELD.replace("VALUE", "new"))
    world.let_go("held")

    async with Engine(tmp_path / "store.db", Config()) as engine:
        assert await (await engine.get(run.id)).result(20) == {"last": "old"}
        assert await (await engine.start(load(file))).result(20) == {"last": "new"}
    assert world.calls == ["first", "held", "held", "first", "held"]


async def test_an_engine_that_stops_lets_tasks_end_and_starts_nothing_more(world: World) -> None:
    memory, clock = MemoryStore(), FakeClock()
    flow = load_text("""
flow: t
tasks:
  quick: {type: python, with: {call: hold, args: {name: quick}}}
  slow: {type: python, with: {call: hold, args: {name: slow}}}
  behind: {type: python, needs: [quick], with: {call: act, args: {name: behind}}}
""")
    async with Engine(":memory:", Config(), store=memory, clock=clock) as engine:
        run = await engine.start(flow)
        await world.begun("quick")
        await world.begun("slow")
        stopping = asyncio.ensure_future(engine.stop(10))
        await asyncio.sleep(0)
        with pytest.raises(EngineStopped):
            await engine.start(flow)
        world.let_go("quick")
        await until(
            lambda: not any(e.path == "quick" for e in engine.core.machine.runs.live[run.id].executions)
        )
        clock.advance(10)
        await stopping

    assert world.calls == ["quick", "slow"]
    assert world.cancelled == ["slow"]
    world.let_go("slow")
    async with Engine(":memory:", Config(), store=MemoryStore(memory.place)) as engine:
        view = await (await engine.get(run.id)).wait(20)
    assert view.status == "succeeded"
    assert world.calls == ["quick", "slow", "slow", "behind"]


async def test_one_of_two_engines_that_look_at_once_carries_a_run_on(world: World) -> None:
    memory = MemoryStore()
    async with Engine(":memory:", Config(), store=memory) as engine:
        runs = [await engine.start(load_text(HELD.replace("VALUE", "1"))) for _ in range(20)]
        await until(lambda: world.count("held") == 20)
    world.let_go("held")

    async with (
        Engine(":memory:", Config(), store=MemoryStore(memory.place), recover=False) as one,
        Engine(":memory:", Config(), store=MemoryStore(memory.place), recover=False) as two,
    ):
        taken = await asyncio.gather(one.resume(), two.resume())
        assert sorted(run.id for some in taken for run in some) == sorted(run.id for run in runs)
        for run in runs:
            assert await (await one.get(run.id)).result(20) == {"last": 1}

    assert (world.count("first"), world.count("held")) == (20, 40)


async def test_a_run_is_resumed_by_name_unless_a_living_engine_has_it(world: World) -> None:
    memory = MemoryStore()
    async with Engine(":memory:", Config(), store=memory) as owner:
        run = await owner.start(load_text(HELD.replace("VALUE", "1")))
        await world.begun("held")
        async with Engine(":memory:", Config(), store=MemoryStore(memory.place), recover=False) as other:
            assert await other.resume([run.id]) == []
        assert world.count("held") == 1
    async with Engine(":memory:", Config(), store=MemoryStore(memory.place), recover=False) as other:
        assert [one.id for one in await other.resume([run.id])] == [run.id]


async def test_now_and_uuid_are_after_a_crash_what_they_were(world: World) -> None:
    memory, clock = MemoryStore(), FakeClock()
    flow = load_text("""
flow: t
tasks:
  a: {type: python, with: {call: hold, args: {name: a, value: "${{ [now() | timestamp, uuid(), uuid()] }}"}}}
outputs: {a: "${{ tasks.a.output }}"}
""")
    async with Engine(":memory:", Config(), store=memory, clock=clock) as engine:
        run = await engine.start(flow)
        await world.begun("a")
        (execution,) = engine.core.machine.runs.live[run.id].executions
        given = execution.params["args"]["value"]
    clock.set(clock.now() + 1000)
    world.let_go("a")
    async with Engine(":memory:", Config(), store=MemoryStore(memory.place), clock=clock) as engine:
        outputs = await (await engine.get(run.id)).result(20)

    assert outputs == {"a": given}
    assert len(set(given)) == 3


class Failing(MemoryStore):
    """A store whose reads fail when a test says so."""

    fails = False
    reads = 0

    def run(self, run_id: str) -> RunRow | None:
        self.reads += 1
        self._fail()
        return super().run(run_id)

    def next_wake(self) -> float | None:
        self._fail()
        return super().next_wake()

    def _fail(self) -> None:
        if self.fails:
            raise StoreError("the disk failed")


def sleepers() -> LoadedFlow:
    return load_text(
        "flow: t\ninputs: {s: {type: integer}}\ntasks: {s: {type: sleep, with: {for: '${{ inputs.s }}'}}}\n"
    )


async def test_an_engine_that_drives_its_own_runs_wakes_them_though_a_read_failed() -> None:
    store, clock = Failing(), FakeClock()
    async with Engine(":memory:", Config(), store=store, clock=clock, recover=False) as engine:
        machine = engine.core.machine
        run = await engine.start(sleepers(), {"s": 3600})
        await until(lambda: not machine.runs.live)
        store.fails = True
        clock.advance(3600)
        await until(lambda: store.reads == 1)
        await until(lambda: not machine.recovery.busy)
        store.fails = False
        clock.advance(60)

        assert (await run.wait(20)).status == "succeeded"


async def test_an_engine_that_drives_its_own_runs_reads_only_those_that_are_due() -> None:
    store, clock = Failing(), FakeClock()
    async with Engine(":memory:", Config(), store=store, clock=clock, recover=False) as engine:
        machine = engine.core.machine
        runs = [await engine.start(sleepers(), {"s": 1000 * n}) for n in range(1, 21)]
        await until(lambda: not machine.runs.live)
        store.reads = 0
        for run in runs:
            clock.advance(1000)
            await run.result(20)

        assert store.reads < 5 * len(runs)


async def test_an_engine_that_is_full_looks_again_in_one_line_however_often_it_is_asked(world: World) -> None:
    clock = FakeClock()
    async with Engine.in_memory(Config(engine=EngineConfig(live_runs=1)), clock=clock) as engine:
        await engine.start(load_text(HELD.replace("VALUE", "1")))
        await world.begun("held")
        for _ in range(10):
            await engine.core.machine.recovery.take_over()
        waiting = len(engine.core.machine.timers)
        for _ in range(10):
            await engine.core.machine.recovery.take_over()

        assert len(engine.core.machine.timers) == waiting


async def test_an_engine_that_could_not_be_opened_holds_nothing(world: World) -> None:
    memory = MemoryStore()
    flow = load_text(HELD.replace("VALUE", "1"))
    async with Engine(":memory:", Config(), store=memory) as engine:
        run = await engine.start(flow)
        await world.begun("held")
    failing = Failing(memory.place)
    failing.fails = True
    broken = Engine(":memory:", Config(), store=failing)
    with pytest.raises(StoreError):
        await broken.__aenter__()
    world.let_go("held")

    assert broken.core.closed
    async with Engine(":memory:", Config(), store=MemoryStore(memory.place)) as engine:
        assert await (await engine.get(run.id)).result(20) == {"last": 1}
