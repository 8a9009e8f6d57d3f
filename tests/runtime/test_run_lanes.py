"""`concurrency` and `debounce` of a flow: runs that wait for each other."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Config, Engine, RunCancelled
from flowbuilder.core.errors import FlowBuilderError, KeyConflict, RunFailed, StoreError
from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import finish, load_text, run_flow
from world import World, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from flowbuilder.sdk.run import Run

FLOW = """
flow: one
inputs: {name: {type: string}, key: {type: string, default: k}}
concurrency: CONCURRENCY
tasks:
  work: {type: python, with: {call: "world:hold", args: ["${{ inputs.name }}"]}}
outputs: {name: "${{ inputs.name }}"}
"""


def one(concurrency: str = "1") -> Any:
    return load_text(FLOW.replace("CONCURRENCY", concurrency))


async def start(engine: Engine, flow: Any, *names: str, **more: Any) -> list[Run]:
    return [await engine.start(flow, {"name": name}, **more) for name in names]


async def let_all_go(world: World, runs: list[Run]) -> None:
    """Let everything go that begins, until the runs have ended."""
    ended = asyncio.gather(*(run.wait(20) for run in runs))
    while not ended.done():
        for name in list(world.calls):
            world.let_go(name)
        await asyncio.sleep(0.001)
    await ended


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    """An engine in memory, by the machine's clock."""
    async with Engine.in_memory(Config()) as engine:
        yield engine


async def test_one_run_at_a_time_and_the_others_wait_their_turn(engine: Engine, world: World) -> None:
    runs = await start(engine, one(), "a", "b", "c")
    await world.begun("a")

    assert [run.status for run in runs] == ["running", "queued", "queued"]
    await asyncio.sleep(0.02)
    assert world.calls == ["a"]
    world.let_go("a")
    await world.begun("b")
    assert world.calls == ["a", "b"]
    world.let_go("b")
    world.let_go("c")
    assert [await run.result(20) for run in runs] == [{"name": name} for name in "abc"]
    assert world.most == 1


async def test_the_most_urgent_comes_first_and_of_equals_the_oldest(engine: Engine, world: World) -> None:
    flow = one()
    runs = await start(engine, flow, "first")
    runs += await start(engine, flow, "low", priority=10)
    runs += await start(engine, flow, "b", "c")
    runs += await start(engine, flow, "high", priority=90)
    await let_all_go(world, runs)

    assert world.calls == ["first", "high", "b", "c", "low"]


async def test_as_many_at_once_as_the_limit_says_for_each_key(engine: Engine, world: World) -> None:
    flow = one('{limit: 2, key: "${{ inputs.key }}"}')
    runs = [
        await engine.start(flow, {"name": f"{key}{n}", "key": key}) for key in ("x", "y") for n in range(4)
    ]
    await until(lambda: len(world.calls) == 4)
    await asyncio.sleep(0.02)

    assert sorted(world.calls) == ["x0", "x1", "y0", "y1"]
    await let_all_go(world, runs)
    assert len(world.calls) == 8
    assert world.most == 4


async def test_queued_runs_sit_in_the_store_and_not_in_memory(engine: Engine, world: World) -> None:
    flow = one()
    await start(engine, flow, *map(str, range(300)))

    assert len(engine.core.machine.runs.live) == 1
    rows = await engine.runs(RunFilter(status=("queued",), limit=500))
    assert len(rows) == 299
    assert {(row.owner, row.started_at) for row in rows} == {(None, None)}


async def test_cancel_running_ends_the_oldest_and_begins_when_it_has_ended(
    engine: Engine, world: World
) -> None:
    flow = one("{limit: 1, when_full: cancel_running}")
    first, second, third = await start(engine, flow, "a", "b", "c")

    for run in (first, second):
        with pytest.raises(RunCancelled, match=r"takes its place"):
            await run.result(20)
    await world.begun("c")
    assert world.calls == sorted(world.calls)  # whether the others had begun before they were told is chance
    await let_all_go(world, [third])
    assert (await engine.show(third.id)).status == "succeeded"
    assert world.most == 1


async def test_cancel_running_keeps_as_many_as_there_are_places(engine: Engine, world: World) -> None:
    flow = one("{limit: 2, when_full: cancel_running}")
    runs = await start(engine, flow, "a", "b")
    await until(lambda: len(world.calls) == 2)
    runs += await start(engine, flow, "c")
    await world.begun("c")
    await let_all_go(world, runs)

    views = [await engine.show(run.id) for run in runs]
    assert [view.status for view in views] == ["cancelled", "succeeded", "succeeded"]


async def test_cancel_new_records_the_run_with_its_reason(engine: Engine, world: World) -> None:
    first, second = await start(engine, one("{limit: 1, when_full: cancel_new}"), "a", "b")

    with pytest.raises(RunCancelled, match=f"run {first.id} has its place"):
        await second.result(20)
    assert second.id != first.id
    assert (await engine.show(second.id)).tasks["work"].status == "skipped"
    await let_all_go(world, [first])
    (third,) = await start(engine, one("{limit: 1, when_full: cancel_new}"), "c")
    assert third.status == "running"
    await let_all_go(world, [third])


async def test_skip_starts_nothing_and_returns_who_has_the_place(engine: Engine, world: World) -> None:
    first, second = await start(engine, one("{limit: 1, when_full: skip}"), "a", "b")

    assert second.id == first.id
    await let_all_go(world, [first])
    assert world.calls == ["a"]
    assert len(await engine.runs()) == 1


async def test_a_queued_run_is_cancelled_at_once_and_never_begins(engine: Engine, world: World) -> None:
    flow = one()
    first, second, third = await start(engine, flow, "a", "b", "c")
    assert await second.cancel("not needed")

    with pytest.raises(RunCancelled, match="not needed"):
        await second.result(20)
    await let_all_go(world, [first, third])
    assert world.calls == ["a", "c"]
    assert not await second.cancel("again")


async def test_a_place_is_free_however_a_run_ends(engine: Engine, world: World) -> None:
    flow = one()
    first, second = await start(engine, flow, "a", "b")
    await world.begun("a")
    await first.cancel()
    await world.begun("b")
    await let_all_go(world, [second])

    assert (await engine.show(first.id)).status == "cancelled"


async def test_a_run_that_sleeps_in_the_store_keeps_its_place(world: World) -> None:
    clock = FakeClock()
    flow = load_text("""
flow: t
inputs: {n: {type: integer}}
concurrency: 1
tasks:
  a: {type: python, with: {call: "world:act", args: ["${{ inputs.n }}"]}}
  b: {type: sleep, with: {for: 1h}, needs: [a]}
""")
    async with Engine.in_memory(Config(), clock=clock) as engine:
        first = await engine.start(flow, {"n": 1})
        second = await engine.start(flow, {"n": 2})
        await until(lambda: not engine.core.machine.runs.live)
        assert world.calls == [1]
        await finish(engine, first, clock)
        await finish(engine, second, clock)

    assert world.calls == [1, 2]


async def test_queued_runs_outlive_their_engine(tmp_path: Path, world: World) -> None:
    path, flow = tmp_path / "s.db", one()
    store = SqliteStore(path)
    dying = Engine(path, Config(), store=store, secrets={})
    await dying.core.open()
    await start(dying, flow, "a", "b", "c")
    await world.begun("a")
    store.abandon()
    dying.core.machine.stopping = True
    for task in dying.core._serving:
        task.cancel()
    world.calls.clear()

    async with Engine(path, Config(), secrets={}) as engine:
        runs = [await engine.get(row.id) for row in await engine.runs()]
        await let_all_go(world, runs)
        assert {(await engine.show(run.id)).status for run in runs} == {"succeeded"}
    assert world.calls == ["a", "b", "c"]


async def test_engines_of_one_store_share_the_places(tmp_path: Path, world: World) -> None:
    path, flow, clock = tmp_path / "s.db", one(), FakeClock()
    async with (
        Engine(path, Config(), clock=clock, secrets={}) as first,
        Engine(path, Config(), clock=clock, secrets={}) as second,
    ):
        runs = []
        for engine, name in ((first, "a"), (second, "b"), (first, "c")):
            runs += await start(engine, flow, name)
            clock.advance(1)  # two engines' ids of one millisecond have no order
        await let_all_go(world, runs)

    assert world.calls == ["a", "b", "c"]
    assert world.most == 1


async def test_an_engine_that_adopts_nothing_begins_only_its_own(tmp_path: Path, world: World) -> None:
    """So `flowbuilder run` waits for its turn, and does not drive what other commands have left."""
    path, flow, clock = tmp_path / "s.db", one(), FakeClock()
    async with (
        Engine(path, Config(), clock=clock, secrets={}, recover=False) as first,
        Engine(path, Config(), clock=clock, secrets={}, recover=False) as second,
    ):
        (a,) = await start(first, flow, "a")
        clock.advance(1)  # two engines' ids of one millisecond have no order
        (b,) = await start(second, flow, "b")
        clock.advance(1)
        (c,) = await start(first, flow, "c")
        await let_all_go(world, [a])
        await until(lambda: "b" in world.calls)
        assert b.id in second.core.machine.runs.live
        await let_all_go(world, [b, c])

    assert world.calls == ["a", "b", "c"]


async def test_a_key_gives_the_same_run_whether_it_runs_or_is_queued(engine: Engine, world: World) -> None:
    flow = one()
    runs = await start(engine, flow, "a", key="x")
    runs += await start(engine, flow, "b", key="y")
    again = await start(engine, flow, "b", key="y")

    assert again[0].id == runs[1].id
    with pytest.raises(KeyConflict):
        await start(engine, flow, "other", key="y")
    await let_all_go(world, runs)


async def test_a_key_that_cannot_be_evaluated_starts_nothing(engine: Engine) -> None:
    flow = one("{limit: 1, key: \"${{ [1][inputs.name.count('a')] }}\"}")

    with pytest.raises(FlowBuilderError, match="out of range"):
        await start(engine, flow, "a")
    assert not await engine.runs()


async def test_a_child_that_would_wait_for_its_own_parent_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("""
flow: t
inputs: {deep: {type: boolean, default: true}}
concurrency: 1
tasks:
  again: {if: inputs.deep, type: flow, with: {name: t, inputs: {deep: false}}}
""")
    async with Engine.in_memory(Config()) as engine:
        run = await engine.start(tmp_path / "t.yaml")
        with pytest.raises(RunFailed, match="which waits for it"):
            await run.result(20)


async def test_a_run_that_would_wait_for_one_above_it_is_refused_where_that_one_has_left_memory(
    tmp_path: Path,
) -> None:
    (tmp_path / "top.yaml").write_text("""
flow: top
inputs: {deep: {type: boolean, default: true}}
concurrency: 1
tasks:
  middle: {if: inputs.deep, type: flow, with: {name: middle}}
""")
    (tmp_path / "middle.yaml").write_text("""
flow: middle
tasks:
  nap: {type: sleep, with: {for: 200s}}
  again: {type: flow, needs: [nap], with: {name: top, inputs: {deep: false}}}
""")
    clock = FakeClock()
    async with Engine.in_memory(Config(), clock=clock) as engine:
        run = await engine.start(tmp_path / "top.yaml")
        await until(lambda: len(engine.core.machine.recovery._tasks) == 0 and engine.core.only_waits())
        clock.advance(6)
        await until(lambda: not engine.core.machine.runs.live)
        clock.advance(194)
        with pytest.raises(RunFailed, match="which waits for it"):
            await run.result(20)


async def test_a_run_that_is_held_first_and_would_then_wait_for_one_above_it_is_refused_at_once(
    tmp_path: Path,
) -> None:
    (tmp_path / "t.yaml").write_text("""
flow: t
inputs: {deep: {type: boolean, default: true}}
concurrency: 1
debounce: 1s
tasks:
  again: {if: inputs.deep, type: flow, with: {name: t, inputs: {deep: false}}}
""")
    clock = FakeClock()
    async with Engine.in_memory(Config(), clock=clock) as engine:
        run = await engine.start(tmp_path / "t.yaml")
        clock.advance(1)
        with pytest.raises(RunFailed, match="which waits for it"):
            await run.result(20)


async def test_a_run_that_nobody_waits_for_has_its_turn_after_the_one_that_started_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "t.yaml").write_text("""
flow: t
inputs: {again: {type: boolean, default: true}}
concurrency: 1
tasks:
  next: {if: inputs.again, type: flow, with: {name: t, wait: false, inputs: {again: false}}}
""")
    async with Engine.in_memory(Config()) as engine:
        await (await engine.start(tmp_path / "t.yaml")).result(20)
        for row in await engine.runs():
            assert (await (await engine.get(row.id)).wait(20)).status == "succeeded"
        assert len(await engine.runs()) == 2


async def test_sub_flows_wait_their_turn(tmp_path: Path, world: World) -> None:
    (tmp_path / "child.yaml").write_text(
        FLOW.replace("CONCURRENCY", "2").replace("world:hold", "world:act_later")
    )
    (tmp_path / "t.yaml").write_text("""
flow: t
tasks:
  each:
    for_each: [a, b, c, d, e]
    type: flow
    with: {path: child.yaml, inputs: {name: "${{ item }}"}}
""")
    async with Engine.in_memory(Config()) as engine:
        view = await (await engine.start(tmp_path / "t.yaml")).wait(20)

    assert view.status == "succeeded"
    assert sorted(world.calls) == list("abcde")


# -- debounce ----------------------------------------------------------------------

BUILD = """
flow: build
inputs: {commit: {type: integer}, branch: {type: string, default: main}}
debounce: DEBOUNCE
tasks:
  build: {type: python, with: {call: "world:act", args: ["${{ inputs.branch }} ${{ inputs.commit }}"]}}
"""


def build(debounce: str = "10s", more: str = "") -> Any:
    return load_text(BUILD.replace("DEBOUNCE", debounce) + more)


async def test_the_last_of_several_starts_runs_and_the_others_say_which(world: World) -> None:
    clock, flow = FakeClock(), build()
    async with Engine.in_memory(Config(), clock=clock) as engine:
        runs = []
        for commit in range(4):
            runs.append(await engine.start(flow, {"commit": commit}))
            clock.advance(6)
        assert [run.status for run in runs] == ["waiting"] * 4
        await finish(engine, runs[-1], clock)
        views = [await engine.show(run.id) for run in runs]

        for earlier, later in itertools.pairwise(runs):
            with pytest.raises(RunCancelled, match=f"run {later.id} takes its place"):
                await earlier.result(20)
    assert [view.status for view in views] == ["cancelled"] * 3 + ["succeeded"]
    assert world.calls == ["main 3"]
    assert views[-1].started_at == pytest.approx(views[-1].created_at + 10)


async def test_it_waits_no_longer_than_the_longest_wait(world: World) -> None:
    clock, flow = FakeClock(), build("{wait: 10s, max: 25s}")
    async with Engine.in_memory(Config(), clock=clock) as engine:
        begun, runs = clock.now(), []
        for commit in range(4):
            runs.append(await engine.start(flow, {"commit": commit}))
            clock.advance(7)
        await finish(engine, runs[-1], clock)
        view = await engine.show(runs[-1].id)

    assert (view.started_at or 0) - begun == pytest.approx(28, abs=3.1)
    assert world.calls == ["main 3"]


async def test_each_key_waits_for_itself(world: World) -> None:
    clock, flow = FakeClock(), build('{wait: 10s, key: "${{ inputs.branch }}"}')
    async with Engine.in_memory(Config(), clock=clock) as engine:
        runs = [
            await engine.start(flow, {"commit": n, "branch": branch}) for n in (1, 2) for branch in ("a", "b")
        ]
        for run in runs[2:]:
            await finish(engine, run, clock)

    assert sorted(world.calls) == ["a 2", "b 2"]


async def test_a_held_start_outlives_its_engine(world: World) -> None:
    clock, flow, store = FakeClock(), build(), MemoryStore()
    async with Engine(":memory:", Config(), clock=clock, store=store, secrets={}) as engine:
        run = await engine.start(flow, {"commit": 1})
    clock.advance(3600)
    async with Engine(
        ":memory:", Config(), clock=clock, store=MemoryStore(store.place), secrets={}
    ) as engine:
        again = await engine.get(run.id)
        await until(lambda: world.calls)
        assert (await again.wait(20)).status == "succeeded"


async def test_a_held_start_is_cancelled_at_once(world: World) -> None:
    clock, flow = FakeClock(), build()
    async with Engine.in_memory(Config(), clock=clock) as engine:
        run = await engine.start(flow, {"commit": 1})
        assert await run.cancel("never mind")
        assert (await run.wait(20)).status == "cancelled"
        clock.advance(60)
        other = await engine.start(flow, {"commit": 2})
        await finish(engine, other, clock)

    assert world.calls == ["main 2"]


async def test_a_held_start_then_waits_for_its_place(world: World) -> None:
    clock = FakeClock()
    text = BUILD.replace("DEBOUNCE", "10s").replace("world:act", "world:hold") + "concurrency: 1\n"
    flow = load_text(text)
    async with Engine.in_memory(Config(), clock=clock) as engine:
        first = await engine.start(flow, {"commit": 1})
        clock.advance(11)
        await world.begun("main 1")
        second = await engine.start(flow, {"commit": 2})
        clock.advance(11)
        await until(lambda: engine.core.machine.store.lanes().count("build") == (1, 1))
        assert world.calls == ["main 1"]
        await let_all_go(world, [first, second])

    assert world.calls == ["main 1", "main 2"]
    assert world.most == 1


async def test_a_flow_alone_runs_after_its_wait(world: World) -> None:
    view = await run_flow(build(), {"commit": 7}, clock=(clock := FakeClock()))

    assert view.status == "succeeded"
    assert clock.slept == [10]


async def test_those_who_come_while_the_store_refuses_others_are_taken_in(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lanes = engine.core.machine.lanes
    enter, refusing, go = lanes._enter_some, threading.Event(), threading.Event()

    def refuses_once(entries: Any) -> Any:
        if refusing.is_set():
            return enter(entries)
        refusing.set()
        assert go.wait(20)
        raise StoreError("the disk is full")

    monkeypatch.setattr(lanes, "_enter_some", refuses_once)
    first = asyncio.ensure_future(engine.start(one(), {"name": "a"}))
    await until(refusing.is_set)
    second = asyncio.ensure_future(engine.start(one(), {"name": "b"}))
    await until(lambda: lanes._coming)
    go.set()

    with pytest.raises(StoreError, match="the disk is full"):
        await first
    run = await asyncio.wait_for(second, 20)
    await let_all_go(world, [run])


async def test_a_held_start_that_the_store_does_not_let_in_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    flow = load_text(BUILD.replace("DEBOUNCE", "10s") + "concurrency: 1\n")
    async with Engine.in_memory(Config(), clock=clock) as engine:
        lanes = engine.core.machine.lanes
        run = await engine.start(flow, {"commit": 1})
        enter, refused = lanes._enter_some, threading.Event()

        def refuses_once(entries: Any) -> Any:
            if refused.is_set():
                return enter(entries)
            refused.set()
            raise StoreError("the disk is full")

        monkeypatch.setattr(lanes, "_enter_some", refuses_once)
        clock.advance(11)
        await until(refused.is_set)
        await finish(engine, run, clock)

    assert world.calls == ["main 1"]


async def test_a_key_that_makes_no_sense_is_told_to_whoever_starts_what_is_held(world: World) -> None:
    flow = load_text(
        BUILD.replace("DEBOUNCE", "10s") + "concurrency: {limit: 1, key: '${{ [1][inputs.commit] }}'}\n"
    )
    async with Engine.in_memory(Config()) as engine:
        with pytest.raises(FlowBuilderError, match="out of range"):
            await engine.start(flow, {"commit": 7})


async def test_a_run_whose_start_was_given_up_half_way_has_its_place_and_goes_on(
    engine: Engine, world: World
) -> None:
    coming = asyncio.ensure_future(engine.start(one(), {"name": "given up"}))
    async with asyncio.timeout(20):
        while not engine.core.machine.lanes._entering:  # noqa: ASYNC110 - too short a moment for `until`
            await asyncio.sleep(0)
    coming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await coming

    later = await start(engine, one(), "later")
    await world.begun("given up")
    await let_all_go(world, later)
