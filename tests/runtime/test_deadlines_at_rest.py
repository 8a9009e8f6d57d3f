"""The `deadline` of a run that is not in memory: queued, held or paused, it ends when its time is up all the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Config, Engine, RunFailed
from flowbuilder.core.records import CancelAsked, decode
from flowbuilder.runtime import orders
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import load_text
from world import World, until

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder.sdk.run import Run
    from flowbuilder.storage.api import Store

LANE = """
flow: one
inputs: {name: {type: string}}
concurrency: 1
deadline: 1h
tasks:
  work: {type: python, with: {call: "world:hold", args: ["${{ inputs.name }}"]}}
"""
HANDLERS = (
    LANE
    + """
on_failure:
  told: {type: python, with: {call: "world:act", args: ["${{ inputs.name }} is late: ${{ error.kind }}"]}}
"""
)
HELD = """
flow: held
deadline: 1h
debounce: 2h
tasks: {work: {type: set, with: 1}}
"""
UNDONE = """
flow: undone
deadline: 1h
tasks:
  book:
    type: python
    with: {call: "world:act", args: [book]}
    undo: {type: python, with: {call: "world:act", args: [unbook]}}
  nap: {type: sleep, needs: [book], with: {for: 3d}}
"""
PARENT = """
flow: parent
tasks:
  child: {type: flow, with: {path: child.yaml, inputs: {name: late}}}
on_failure:
  told: {type: python, with: {call: "world:act", args: ["child: ${{ error.kind }}"]}}
"""


async def left(engine: Engine, run: Run) -> None:
    """Wait until a run has left memory."""
    await until(lambda: run.id not in engine.core.machine.runs.live)


async def missed(run: Run) -> dict[str, Any]:
    """Return the error of a run that missed its deadline."""
    with pytest.raises(RunFailed) as caught:
        await run.result(20)
    assert caught.value.error["kind"] == "timeout"
    assert "deadline" in caught.value.error["message"]
    return caught.value.error


def cancels_of(store: Store, run_id: str) -> list[CancelAsked]:
    return [
        record
        for batch in store.journal(run_id)
        for record in decode(batch)
        if isinstance(record, CancelAsked)
    ]


async def test_a_queued_run_ends_at_its_deadline_and_not_at_its_turn(
    engine: Engine, clock: FakeClock, world: World
) -> None:
    free = load_text(LANE.replace("deadline: 1h\n", ""))
    late = load_text(HANDLERS)
    first = await engine.start(free, {"name": "first"})
    second = await engine.start(late, {"name": "second"})
    third = await engine.start(free, {"name": "third"})
    await world.begun("first")
    assert second.status == "queued"

    clock.advance(3599)
    await asyncio.sleep(0.05)
    assert (await engine.row(second.id)).status == "queued"
    clock.advance(2)
    await missed(second)

    view = await engine.show(second.id)
    assert view.tasks["work"].status in ("skipped", "cancelled")
    assert world.calls == ["first", "second is late: timeout"]
    assert first.status == "running"
    assert third.status == "queued"
    world.let_go("first")
    await world.begun("third")
    world.let_go("third")
    await third.result(20)


async def test_a_start_that_is_held_ends_at_its_deadline(engine: Engine, clock: FakeClock) -> None:
    run = await engine.start(load_text(HELD))
    clock.advance(3601)
    await missed(run)


@pytest.mark.parametrize("owned", [True, False], ids=["only its own", "all"])
async def test_a_paused_run_ends_at_its_deadline_with_what_it_did_undone(owned: bool, world: World) -> None:
    clock = FakeClock()
    engine = Engine(":memory:", Config(), clock=clock, store=MemoryStore(), recover=not owned)
    async with asyncio.timeout(30), engine:
        run = await engine.start(load_text(UNDONE))
        await left(engine, run)
        await run.pause("for a look")
        await left(engine, run)
        assert (await engine.row(run.id)).status == "paused"

        clock.advance(3601)
        await missed(run)
        assert world.calls == ["book", "unbook"]


async def test_one_that_was_queued_paused_and_resumed_ends_at_the_same_moment(
    engine: Engine, clock: FakeClock, world: World
) -> None:
    flow = load_text(LANE)
    await engine.start(load_text(LANE.replace("1h", "1d")), {"name": "first"})
    run = await engine.start(flow, {"name": "second"})
    await world.begun("first")
    assert await run.pause()
    clock.advance(1000)
    assert await run.resume()
    await until(lambda: engine._store.run(run.id).status == "queued")  # type: ignore[union-attr]
    assert await run.pause()
    clock.advance(2601)
    await missed(run)
    assert world.calls == ["first"]


async def test_a_parent_learns_that_its_queued_child_was_too_late(
    clock: FakeClock, world: World, tmp_path: Path
) -> None:
    (tmp_path / "child.yaml").write_text(LANE)
    (tmp_path / "parent.yaml").write_text(PARENT)
    async with Engine(tmp_path / "s.db", Config(), clock=clock) as engine:
        first = await engine.start(load_text(LANE.replace("1h", "1d")), {"name": "first"})
        await world.begun("first")
        parent = await engine.start(tmp_path / "parent.yaml")
        await until(lambda: len(engine._store.lanes().queued()) == 1)
        clock.advance(3601)
        with pytest.raises(RunFailed) as caught:
            await parent.result(20)
        assert caught.value.error["kind"] == "timeout"
        assert world.calls == ["first", "child: timeout"]
        world.let_go("first")
        await first.result(20)


async def test_of_two_engines_one_ends_a_paused_run_and_it_is_told_once(
    world: World, clock: FakeClock, tmp_path: Path
) -> None:
    flow = load_text(UNDONE)
    async with (
        asyncio.timeout(60),
        Engine(tmp_path / "s.db", Config(), clock=clock) as one,
        Engine(tmp_path / "s.db", Config(), clock=clock) as two,
    ):
        runs = [await one.start(flow) for _ in range(20)]
        for run in runs:
            await left(one, run)
            await run.pause()
        await asyncio.gather(*(left(one, run) for run in runs))
        await two.core.machine.deadlines.look()  # it learns of them, as it does now and then
        clock.advance(3601)
        await asyncio.gather(*(missed(run) for run in runs))
        assert world.count("unbook") == 20
        for run in runs:
            assert len(cancels_of(one._store, run.id)) == 1


async def test_the_next_engine_ends_what_was_overdue_before_it_came(world: World, tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    async with Engine(path, Config(), clock=FakeClock()) as engine:
        run = await engine.start(load_text(UNDONE))
        await left(engine, run)
        await run.pause()
        await left(engine, run)
    late = FakeClock(FakeClock().now() + 7200)
    async with Engine(path, Config(), clock=late) as engine:
        await missed(await engine.get(run.id))
    assert world.calls == ["book", "unbook"]


async def test_a_clock_that_was_set_forward_ends_it_and_one_set_back_puts_it_off(world: World) -> None:
    clock = FakeClock()
    async with Engine(":memory:", Config(), clock=clock, store=MemoryStore()) as engine:
        run = await engine.start(load_text(UNDONE))
        await left(engine, run)
        await run.pause()
        await left(engine, run)
        clock.set(clock.now() - 7200)
        clock.advance(3601)
        await asyncio.sleep(0.05)
        assert (await engine.row(run.id)).status == "paused"
        clock.set(clock.now() + 10000)
        clock.advance(60)  # the longest that nobody looks at a clock
        await missed(run)


async def test_an_engine_that_drives_only_its_own_leaves_the_runs_of_others(
    world: World, clock: FakeClock, tmp_path: Path
) -> None:
    path = tmp_path / "s.db"
    async with Engine(path, Config(), clock=clock) as engine:
        run = await engine.start(load_text(UNDONE))
        await left(engine, run)
        await run.pause()
        await left(engine, run)
    async with Engine(path, Config(), clock=clock, recover=False) as engine:
        other = await engine.start(load_text(UNDONE))
        await left(engine, other)
        clock.advance(3601)
        await missed(other)
        assert (await engine.row(run.id)).status == "paused"


async def test_a_thousand_queued_runs_end_together(clock: FakeClock, world: World, tmp_path: Path) -> None:
    async with Engine(tmp_path / "s.db", Config(), clock=clock) as engine:
        await engine.start(load_text(LANE.replace("1h", "1d")), {"name": "first"})
        await world.begun("first")
        flow = load_text(LANE)
        runs = await asyncio.gather(*(engine.start(flow, {"name": f"n{n}"}) for n in range(1000)))
        clock.advance(3601)
        await asyncio.gather(*(missed(run) for run in runs))
        assert world.calls == ["first"]
        assert engine._store.steering().next_deadline() is None


async def test_a_run_told_at_its_deadline_and_crashed_is_told_no_second_time(
    world: World, clock: FakeClock, tmp_path: Path
) -> None:
    store = SqliteStore(tmp_path / "s.db")
    async with Engine(":memory:", Config(), clock=clock, store=store) as engine:
        run = await engine.start(load_text(UNDONE))
        await left(engine, run)
        await run.pause()
        await left(engine, run)
    reader = SqliteStore(tmp_path / "s.db")
    reader.open(None)
    order = orders.deadline(clock.now() + 3601, clock.now() + 3600)
    assert reader.steering().steer([run.id], order).written == [run.id]
    assert reader.steering().steer([run.id], order).left == [run.id]
    assert len(cancels_of(reader, run.id)) == 1
    reader.close()
    clock.advance(3601)
    async with Engine(tmp_path / "s.db", Config(), clock=clock) as engine:
        await missed(await engine.get(run.id))
    assert world.calls == ["book", "unbook"]
