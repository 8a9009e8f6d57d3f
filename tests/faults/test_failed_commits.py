"""Commits that fail or are slow: what ran ahead is forgotten, callers are told, runs go on when they can."""

from __future__ import annotations

import collections
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine, RunView, StoreError, load
from flowbuilder.runtime.upkeep import ENGINE_FACT, Upkeep
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.crashing_store import CrashingStore
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import finish, load_text, run_flow

if TYPE_CHECKING:
    from flowbuilder.storage.api import Store
    from world import World

FLOWS = Path(__file__).parent / "crashes"


async def driven(flow: str, store: Store) -> tuple[RunView, int]:
    """Run a flow to its end, however often the store refuses; return how often callers were told."""
    clock, told = FakeClock(), 0
    async with Engine(":memory:", Config(), clock=clock, store=store) as engine:
        loaded = load(FLOWS / f"{flow}.yaml")
        while True:
            try:
                run = await engine.start(loaded, key="k")
                await finish(engine, run, clock)
                return await engine.show(run.id), told
            except StoreError:
                told += 1


def said(view: RunView) -> object:
    """Return what does not depend on what was repeated."""
    tasks = {
        path: (task.status, task.reason) for path, task in view.tasks.items() if not path.startswith("part")
    }
    return view.status, view.outputs, view.error, tasks


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("name", "in_flight"), [("all", 1), ("sorry", 2), ("fan", 6)])
async def test_whichever_commit_fails_the_run_comes_to_the_same(
    name: str, in_flight: int, world: World
) -> None:
    counting = CrashingStore(MemoryStore())
    whole = await run_flow(load(FLOWS / f"{name}.yaml"), key="k", store=counting)
    once = collections.Counter(world.calls)
    failures = 0

    for failing in range(1, counting.groups + 1):
        world.calls.clear()
        view, told = await driven(name, CrashingStore(MemoryStore(), fails={failing}))
        assert said(view) == said(whole), failing
        calls = collections.Counter(world.calls)
        assert set(calls) == set(once), failing
        assert (calls - once).total() <= in_flight, failing
        failures += told

    assert failures >= counting.groups // 2, "hardly anybody was told"


async def test_half_of_all_commits_may_fail(world: World) -> None:
    chance = random.Random(7)
    fails = {number for number in range(1, 400) if chance.random() < 0.5}

    view, told = await driven("all", CrashingStore(MemoryStore(), fails=fails))

    assert view.status == "succeeded"
    assert told >= 3


async def test_slow_commits_change_nothing(world: World, tmp_path: Path) -> None:
    chance = random.Random(11)

    def dawdle(_number: int) -> None:
        time.sleep(chance.choice((0.0, 0.001, 0.01)))

    store = CrashingStore(SqliteStore(tmp_path / "store.db"), delay=dawdle)
    view, told = await driven("fan", store)

    assert (view.status, told) == ("succeeded", 0)
    assert view.outputs == {"total": sum(3 + i for i in range(9) if i % 3 != 2) + 3 + 4, "failed": 3}


async def test_a_run_that_was_not_accepted_is_nowhere(world: World) -> None:
    memory = MemoryStore()
    async with Engine(":memory:", Config(), store=CrashingStore(memory, fails={1})) as engine:
        flow = load_text("flow: t\ntasks: {a: {type: python, with: {call: act, args: {name: a}}}}\n")
        with pytest.raises(StoreError, match="disk is full"):
            await engine.start(flow)
        assert await engine.runs() == []
        assert not engine.core.machine.runs.live

        run = await engine.start(flow)
        await run.result(20)
    assert world.calls == ["a"]


async def test_what_an_engine_says_of_itself_is_said_again_after_a_failed_commit() -> None:
    memory = MemoryStore()
    async with Engine(":memory:", Config(), store=CrashingStore(memory, fails={1})) as engine:
        flow = load_text("flow: t\ntasks: {a: {type: set, with: 1}}\n")
        with pytest.raises(StoreError, match="disk is full"):
            await engine.start(flow)
        machine = engine.core.machine
        assert memory.facts().list(ENGINE_FACT) == []
        await Upkeep(machine).step()
        await engine.start(flow)

        assert [fact.key for fact in memory.facts().list(ENGINE_FACT)] == [machine.id]


async def test_a_run_whose_end_could_not_be_written_is_read_again(world: World) -> None:
    clock = FakeClock()
    store = CrashingStore(MemoryStore(), fails={2})
    async with Engine(":memory:", Config(), clock=clock, store=store) as engine:
        run = await engine.start(
            load_text("""
flow: t
tasks: {a: {type: python, with: {call: act, args: {name: a, value: 1}}}}
outputs: {a: "${{ tasks.a.output }}"}
""")
        )
        with pytest.raises(StoreError):
            await run.result(20)
        assert (await engine.row(run.id)).status == run.status == "running", "nothing half-written is shown"

        await finish(engine, run, clock)
        assert await run.result(20) == {"a": 1}
    assert world.calls == ["a", "a"], "the effect whose end was lost was in flight"


async def test_a_parent_outlives_that_its_child_could_not_be_started(world: World, tmp_path: Path) -> None:
    (tmp_path / "child.yaml").write_text(
        "flow: child\ntasks: {a: {type: set, with: 1}}\noutputs: {a: '${{ tasks.a.output }}'}\n"
    )
    (tmp_path / "parent.yaml").write_text(
        "flow: parent\ntasks: {sub: {type: flow, with: {path: child.yaml}}}\noutputs: {a: '${{ tasks.sub.output.a }}'}\n"
    )
    for failing in range(1, 6):
        clock = FakeClock()
        store = CrashingStore(MemoryStore(), fails={failing})
        async with Engine(":memory:", Config(), clock=clock, store=store) as engine:
            while True:
                try:
                    run = await engine.start(load(tmp_path / "parent.yaml"), key="k")
                    await finish(engine, run, clock)
                    break
                except StoreError:
                    continue
            assert await run.result(20) == {"a": 1}, failing
            assert len(await engine.runs()) == 2
