"""A crash at every write of a cancel: a parent that has ended leaves no child running."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine, load
from flowbuilder.runtime import orders
from flowbuilder.storage.api import LIVE, RunFilter
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.crashing_store import Crash, CrashingStore
from flowbuilder.testing.flows import dying_with, load_text, unless_it_dies
from world import until

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder.storage.api import Store
    from world import World

PARENT = """
flow: parent
tasks:
  one: {type: flow, with: {path: child.yaml, inputs: {name: one}}}
  each: {for_each: [a, b], type: flow, with: {path: child.yaml, inputs: {name: "${{ item }}"}}}
"""
CHILD = """
flow: child
inputs: {name: {type: string}}
tasks:
  inner: {type: flow, with: {path: inner.yaml, inputs: {name: "${{ inputs.name }}"}}}
"""
INNER = """
flow: inner
inputs: {name: {type: string}}
tasks:
  work: {type: python, with: {call: hold, args: {name: "${{ inputs.name }}"}}}
"""


async def cancelled(store: CrashingStore, flow: Path, world: World, *, early: bool = False) -> None:
    """Start the parent, cancel it when all are at work, and wait for its end, unless the store dies.

    Or cancel it `early`: while its children are being started.
    """
    with contextlib.suppress(Crash):
        async with (
            dying_with(store),
            asyncio.timeout(30),
            Engine(":memory:", Config(), store=store) as engine,
        ):

            async def work() -> None:
                run = await engine.start(load(flow), key="k")
                for name in () if early else ("one", "a", "b"):
                    await world.begun(name)
                if early:
                    await asyncio.sleep(0)
                await run.cancel("enough")
                await run.wait(20)

            await unless_it_dies(work(), store)


def live_children(store: Store) -> list[str]:
    """Return the flows of runs that go on although the run that waits for them has ended."""
    rows = {row.id: row for row in store.runs(RunFilter(limit=100))}
    return [
        row.flow
        for row in rows.values()
        if row.status in LIVE and row.parent is not None and rows[row.parent].status not in LIVE
    ]


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    """The file of the parent."""
    for name, text in (("parent", PARENT), ("child", CHILD), ("inner", INNER)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path / "parent.yaml"


@pytest.mark.parametrize("early", [False, True], ids=["late", "early"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.timeout(300)
async def test_no_child_outlives_a_parent_that_was_cancelled(
    flow: Path, after: bool, early: bool, world: World
) -> None:
    counting = CrashingStore(MemoryStore())
    await cancelled(counting, flow, world, early=early)
    for at in range(1, counting.writes + 1):
        memory = MemoryStore()
        store = CrashingStore(memory, at, after=after)
        world.calls.clear()
        world._begun.clear()
        world.dead = lambda store=store: store.crashed  # type: ignore[misc]
        await cancelled(store, flow, world, early=early)
        world.dead = lambda: False
        await carried_on(memory, at)


async def carried_on(memory: MemoryStore, at: int) -> None:
    """Have the next engine carry on what is there, and cancel it where that was not on disk."""
    async with Engine(":memory:", Config(), store=MemoryStore(memory.place)) as engine:
        found = [row for row in await engine.runs() if row.key == "k"]
        if not found:
            return
        run = await engine.get(found[0].id)
        if run.status in LIVE:
            await run.cancel("enough")
        await run.wait(20)
        await no_child_goes_on(engine, at)


@pytest.mark.timeout(300)
async def test_a_second_crash_while_the_cancel_is_completed_leaves_no_child(
    flow: Path, world: World, tmp_path: Path
) -> None:
    """The parent's cancel is on disk, its child's is not: the next engine dies at each of its writes."""
    at, died = 0, True
    while died:
        at += 1
        path = tmp_path / f"s{at}.db"
        async with Engine(path, Config()) as engine:
            world.calls.clear()
            world._begun.clear()
            run = await engine.start(load(flow))
            for name in ("one", "a", "b"):
                await world.begun(name)
        reader = SqliteStore(path)
        reader.open(None)
        assert reader.steering().steer([run.id], orders.cancel(1.0, "enough")).written == [run.id]
        reader.close()
        store = CrashingStore(SqliteStore(path), at)
        with contextlib.suppress(Crash):
            async with (
                dying_with(store),
                asyncio.timeout(30),
                Engine(":memory:", Config(), store=store) as engine,
            ):
                await until(lambda store=store, run=run: store.crashed or not _live(store, run.id))
        died = store.crashed
        async with asyncio.timeout(30), Engine(path, Config()) as engine:
            await (await engine.get(run.id)).wait(20)
            await no_child_goes_on(engine, at)
    assert at > 3


async def no_child_goes_on(engine: Engine, at: int) -> None:
    """Wait until no child goes on: where its parent has ended, its cancel is on its way."""
    try:
        await until(lambda: live_children(engine._store) == [])
    except TimeoutError:
        raise AssertionError(f"write {at}: {live_children(engine._store)}") from None


def _live(store: CrashingStore, run_id: str) -> bool:
    with contextlib.suppress(Crash):
        row = store.run(run_id)
        return row is not None and row.status in LIVE
    return False


LEAVING = """
flow: parent
tasks:
  alone: {type: flow, with: {path: inner.yaml, wait: false, inputs: {name: alone}}}
  each: {for_each: [a, b], type: flow, with: {path: inner.yaml, wait: false, inputs: {name: "${{ item }}"}}}
  rounds:
    repeat: {while: loop.index < 3, max: 3}
    type: flow
    with: {path: inner.yaml, wait: false, inputs: {name: "r${{ loop.index }}"}}
  nap: {type: sleep, needs: [alone, each, rounds], with: {for: 1d}}
"""


async def test_runs_that_nobody_waits_for_go_on_when_the_cancel_is_completed(
    flow: Path, world: World, tmp_path: Path
) -> None:
    leaving = load_text(LEAVING, flow.parent)
    path = tmp_path / "s.db"
    names = ("alone", "a", "b", "r0", "r1", "r2")
    async with Engine(path, Config()) as engine:
        run = await engine.start(leaving)
        for name in names:
            await world.begun(name)
        await until(lambda: run.id not in engine.core.machine.runs.live)
    reader = SqliteStore(path)
    reader.open(None)
    reader.steering().steer([run.id], orders.cancel(1.0, "enough"))
    reader.close()
    async with asyncio.timeout(30), Engine(path, Config()) as engine:
        assert (await (await engine.get(run.id)).wait(20)).status == "cancelled"
        for name in names:
            world.let_go(name)
        children = engine._store.runs(RunFilter(parent=run.id))
        assert len(children) == len(names)
        for row in children:
            assert (await (await engine.get(row.id)).wait(20)).status == "succeeded"
