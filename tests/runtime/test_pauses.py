"""Pause: nothing more starts, what runs may end, and time stands still until somebody resumes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine, InputError, RunCancelled, load
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing.flows import finish, load_text
from world import until

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder.sdk.run import Run
    from flowbuilder.testing.fake_clock import FakeClock
    from world import World

STEPS = """
flow: t
tasks:
  first: {type: python, with: {call: hold, args: {name: first}}}
  second: {type: python, needs: [first], with: {call: act, args: {name: second, value: 2}}}
  third: {type: set, with: "${{ tasks.second.output + 1 }}"}
finally:
  tidy: {type: python, with: {call: act, args: {name: tidy}}}
outputs: {third: "${{ tasks.third.output }}"}
"""
MAP = """
flow: t
tasks:
  each: {for_each: [0, 1, 2, 3, 4], concurrency: 2, type: python, with: {call: hold, args: {name: "e${{ item }}", value: "${{ item }}"}}}
outputs: {each: "${{ tasks.each.output }}"}
"""


async def left(engine: Engine, run: Run) -> None:
    """Wait until a run has left memory."""
    await until(lambda: run.id not in engine.core.machine.runs.live)


async def test_what_runs_may_end_nothing_more_starts_and_resuming_goes_on_from_there(
    engine: Engine, world: World
) -> None:
    run = await engine.start(load_text(STEPS))
    await world.begun("first")

    assert await run.pause("the shop is closed")
    assert (await engine.row(run.id)).status == "paused"
    assert run.id in engine.core.machine.runs.live
    world.let_go("first")
    await left(engine, run)

    view = await engine.show(run.id)
    assert view.status == "paused"
    assert {path: task.status for path, task in view.tasks.items()} == {
        "first": "succeeded",
        "second": "pending",
        "third": "pending",
        "finally:tidy": "pending",
    }
    assert world.calls == ["first"]

    assert await run.resume()
    assert await run.result(20) == {"third": 3}
    assert world.calls == ["first", "second", "tidy"]


async def test_a_run_goes_on_in_memory_where_it_was_paused_only_for_a_moment(
    engine: Engine, world: World
) -> None:
    run = await engine.start(load_text(STEPS))
    await world.begun("first")
    await run.pause()
    await run.resume()
    world.let_go("first")

    assert await run.result(20) == {"third": 3}
    assert world.calls == ["first", "second", "tidy"]


async def test_a_pause_of_a_paused_or_ended_run_and_a_resume_of_a_running_one_change_nothing(
    engine: Engine, world: World
) -> None:
    run = await engine.start(load_text(STEPS))
    await world.begun("first")

    assert not await run.resume()
    assert await run.pause()
    assert not await run.pause()
    assert await run.resume()
    assert not await run.resume()
    world.let_go("first")
    await run.result(20)
    assert not await run.pause()
    assert not await run.resume()


async def test_no_further_element_of_a_map_starts(engine: Engine, world: World) -> None:
    run = await engine.start(load_text(MAP))
    await world.begun("e0")
    await world.begun("e1")
    await run.pause()
    world.let_go("e0")
    await until(lambda: engine.core.machine.runs.live[run.id].held)
    assert sorted(world.calls) == ["e0", "e1"]
    await run.resume()
    await world.begun("e2")

    await run.pause()
    for name in ("e1", "e2"):
        world.let_go(name)
    await left(engine, run)
    assert sorted(world.calls) == ["e0", "e1", "e2"]
    for name in ("e3", "e4"):
        world.let_go(name)
    await run.resume()

    assert await run.result(20) == {"each": [0, 1, 2, 3, 4]}
    assert sorted(world.calls) == ["e0", "e1", "e2", "e3", "e4"]


@pytest.mark.parametrize("seconds", [3, 3600], ids=["in memory", "in the store"])
async def test_a_sleep_that_is_over_while_its_run_is_paused_waits_for_the_resume(
    engine: Engine, clock: FakeClock, world: World, seconds: int
) -> None:
    run = await engine.start(
        load_text(f"""
flow: t
tasks:
  nap: {{type: sleep, with: {{for: {seconds}s}}}}
  after: {{type: python, needs: [nap], with: {{call: act, args: {{name: after}}}}}}
""")
    )
    if seconds > 5:
        await left(engine, run)
    assert await run.pause()
    await left(engine, run)
    clock.advance(seconds * 2)
    await engine.core.machine.recovery.wake_due()
    assert (await engine.row(run.id)).status == "paused"
    assert world.calls == []

    assert await run.resume()
    await run.result(20)
    assert world.calls == ["after"]
    assert clock.slept == []


async def test_a_sleep_that_is_not_over_at_the_resume_ends_at_its_moment(
    engine: Engine, clock: FakeClock
) -> None:
    run = await engine.start(load_text("flow: t\ntasks: {nap: {type: sleep, with: {for: 1h}}}\n"))
    await left(engine, run)
    await run.pause()
    clock.advance(600)
    await run.resume()
    await finish(engine, run, clock)

    assert sum(clock.slept) == pytest.approx(3000)


async def test_a_retry_that_is_due_while_paused_is_made_at_the_resume(
    engine: Engine, clock: FakeClock, world: World
) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  held: {type: python, with: {call: hold, args: {name: held}}}
  a: {type: python, effect: read, retry: {attempts: 3, delay: 2s, jitter: none}, with: {call: fail, args: {name: a, times: 1}}}
""")
    )
    await world.begun("a")
    await world.begun("held")
    await until(lambda: engine.core.machine.runs.live[run.id].parked)
    await run.pause()
    clock.advance(10)
    await until(lambda: engine.core.machine.runs.live[run.id].held)
    assert world.count("a") == 1

    await run.resume()
    world.let_go("held")
    view = await run.wait(20)
    assert (view.status, view.tasks["a"].attempts, world.count("a")) == ("succeeded", 2, 2)


async def test_paused_time_does_not_count_for_timeouts_of_runs_and_groups(
    engine: Engine, clock: FakeClock, world: World
) -> None:
    run = await engine.start(
        load_text("""
flow: t
timeout: 100s
tasks:
  group:
    type: group
    timeout: 50s
    tasks: {held: {type: python, with: {call: hold, args: {name: held}}}}
""")
    )
    await world.begun("held")
    clock.advance(30)
    await run.pause()
    clock.advance(1000)
    await run.resume()
    clock.advance(15)
    await asyncio.sleep(0.01)
    assert (await engine.show(run.id)).status == "running"
    clock.advance(10)
    view = await run.wait(20)

    assert (view.error or {})["kind"] == "timeout"
    assert "50" in (view.error or {})["message"]


async def test_the_time_of_a_run_is_put_off_by_its_pauses_after_a_restart_too(
    clock: FakeClock, world: World
) -> None:
    flow = load_text("flow: t\ntimeout: 100s\ntasks: {nap: {type: sleep, with: {for: 1d}}}\n")
    memory = MemoryStore()
    async with Engine(":memory:", Config(), clock=clock, store=memory) as engine:
        run = await engine.start(flow)
        await left(engine, run)
        clock.advance(60)
        await run.pause()
    clock.advance(1000)
    async with Engine(":memory:", Config(), clock=clock, store=MemoryStore(memory.place)) as engine:
        assert (await engine.row(run.id)).status == "paused"
        run = await engine.get(run.id)
        await run.resume()
        await finish(engine, run, clock)
        view = await engine.show(run.id)

    assert (view.error or {})["kind"] == "timeout"
    assert sum(clock.slept) == pytest.approx(40)


async def test_a_paused_run_is_not_begun_by_the_next_engine(clock: FakeClock, world: World) -> None:
    memory = MemoryStore()
    first = Engine(":memory:", Config(), clock=clock, store=memory)
    await first.core.open()
    run = await first.start(load_text(STEPS))
    await world.begun("first")
    await run.pause()
    memory.abandon()  # as if it were killed, with a task in flight
    world.dead = lambda: True
    async with Engine(":memory:", Config(), clock=clock, store=MemoryStore(memory.place)) as engine:
        world.dead = lambda: False
        await left(engine, run)
        assert world.calls == ["first"]
        assert (await engine.row(run.id)).status == "paused"
        assert (await engine.row(run.id)).owner is None
        assert not await engine.resume()
        (again,) = await engine.resume([run.id])
        await until(lambda: world.count("first") == 2)
        world.let_go("first")
        assert await again.result(20) == {"third": 3}
    world.dead = lambda: True
    await first.core._end_executors()


@pytest.mark.parametrize("at_rest", [False, True])
async def test_a_paused_run_is_cancelled_in_order(engine: Engine, world: World, at_rest: bool) -> None:
    run = await engine.start(load_text(STEPS))
    await world.begun("first")
    await run.pause()
    if at_rest:
        world.let_go("first")
        await left(engine, run)

    assert await run.cancel("enough")
    with pytest.raises(RunCancelled, match="enough"):
        await run.result(20)
    view = await engine.show(run.id)
    assert view.tasks["first"].status == ("succeeded" if at_rest else "cancelled")
    assert view.tasks["second"].status == "cancelled"
    assert world.calls == ["first", "tidy"]


async def test_a_map_that_is_paused_between_two_elements_is_cancelled(engine: Engine, world: World) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  each: {for_each: [0, 1], concurrency: 1, type: python, with: {call: hold, args: {name: "e${{ item }}"}}}
  other: {type: python, with: {call: hold, args: {name: other}}}
""")
    )
    await world.begun("e0")
    await world.begun("other")
    await run.pause()
    world.let_go("e0")
    await until(lambda: engine.core.machine.runs.live[run.id].held)
    await run.cancel()

    view = await run.wait(20)
    assert (view.status, view.tasks["each"].status) == ("cancelled", "cancelled")


async def test_a_child_runs_on_and_its_end_is_taken_in_at_the_resume(
    engine: Engine, world: World, tmp_path: Path
) -> None:
    (tmp_path / "child.yaml").write_text(
        "flow: child\ntasks: {held: {type: python, with: {call: hold, args: {name: held, value: 5}}}}\n"
        "outputs: {n: '${{ tasks.held.output }}'}\n"
    )
    (tmp_path / "parent.yaml").write_text(
        "flow: parent\ntasks:\n  sub: {type: flow, with: {path: child.yaml}}\n"
        "outputs: {n: '${{ tasks.sub.output.n }}'}\n"
    )
    run = await engine.start(load(tmp_path / "parent.yaml"))
    await world.begun("held")
    await until(lambda: engine.core.machine.runs.live[run.id].parked)
    await run.pause()
    await left(engine, run)
    world.let_go("held")
    await until(lambda: not engine.core.machine.runs.live)
    assert {row.flow: row.status for row in await engine.runs()} == {
        "child": "succeeded",
        "parent": "paused",
    }

    await run.resume()
    assert await run.result(20) == {"n": 5}
    assert world.calls == ["held"]


async def test_a_cancel_of_a_paused_parent_in_the_store_reaches_its_child(
    engine: Engine, world: World, tmp_path: Path, clock: FakeClock
) -> None:
    (tmp_path / "child.yaml").write_text(
        "flow: child\ntasks: {held: {type: python, with: {call: hold, args: {name: held}}}}\n"
    )
    (tmp_path / "parent.yaml").write_text(
        "flow: parent\ntasks: {group: {type: group, tasks: {sub: {type: flow, with: {path: child.yaml}}}}}\n"
    )
    run = await engine.start(load(tmp_path / "parent.yaml"))
    await world.begun("held")
    await until(lambda: engine.core.machine.runs.live[run.id].parked > 1)
    await run.pause()
    await left(engine, run)

    await run.cancel("all of it")
    await until(lambda: not engine.core.machine.runs.live)
    assert {row.flow: row.status for row in await engine.runs()} == dict.fromkeys(
        ("child", "parent"), "cancelled"
    )


async def test_whoever_watches_hears_of_pause_and_resume(engine: Engine, world: World) -> None:
    run = await engine.start(load_text(STEPS))
    await world.begun("first")
    heard: list[str] = []

    async def listen() -> None:
        heard.extend([event.status async for event in run.events() if not hasattr(event, "task")])

    listening = asyncio.ensure_future(listen())
    await asyncio.sleep(0)
    await run.pause()
    await run.resume()
    world.let_go("first")
    await run.result(20)
    await asyncio.wait_for(listening, 20)

    assert heard == ["paused", "running", "succeeded"]


async def test_a_run_that_nothing_waits_for_on_disk_is_paused_too(engine: Engine, world: World) -> None:
    run = await engine.start(load_text(STEPS.replace("flow: t", "flow: t\ndurability: none")))
    await world.begun("first")
    await run.pause()
    world.let_go("first")
    await left(engine, run)
    assert (await engine.row(run.id)).status == "paused"

    await run.resume()
    assert await run.result(20) == {"third": 3}
    assert world.calls == ["first", "second", "tidy"]


async def test_a_run_of_another_engine_is_paused_and_resumed_there(clock: FakeClock, world: World) -> None:
    memory = MemoryStore()
    async with (
        Engine(":memory:", Config(), clock=clock, store=memory) as owner,
        Engine(":memory:", Config(), clock=clock, store=MemoryStore(memory.place), recover=False) as other,
    ):
        run = await owner.start(load_text(STEPS))
        await world.begun("first")
        beside = await other.get(run.id)

        assert await beside.pause("from beside")
        await until(lambda: owner.core.machine.runs.live[run.id].held is not None)
        assert await beside.resume()
        await until(lambda: owner.core.machine.runs.live[run.id].held is None)
        world.let_go("first")
        assert await beside.result(20) == {"third": 3}
    assert world.calls == ["first", "second", "tidy"]


async def test_whoever_waits_for_a_run_hears_of_its_end_in_another_engine(
    clock: FakeClock, world: World
) -> None:
    memory = MemoryStore()
    async with (
        Engine(":memory:", Config(), clock=clock, store=memory, recover=False) as first,
        Engine(":memory:", Config(), clock=clock, store=MemoryStore(memory.place)) as second,
    ):
        run = await first.start(load_text(STEPS))
        result = asyncio.ensure_future(run.result())
        await world.begun("first")
        await run.pause()
        world.let_go("first")
        await left(first, run)
        await second.resume([run.id])

        assert await asyncio.wait_for(result, 20) == {"third": 3}


async def test_a_priority_holds_for_what_begins_from_then_on(engine: Engine, world: World) -> None:
    run = await engine.start(load_text(STEPS))
    await world.begun("first")

    assert await run.set_priority(90)
    assert (await engine.row(run.id)).priority == 90
    assert engine.core.machine.runs.live[run.id].row.priority == 90
    await run.pause()
    world.let_go("first")
    await left(engine, run)
    assert await run.set_priority(7)
    assert (await engine.row(run.id)).priority == 7
    with pytest.raises(InputError, match="0 to 100"):
        await run.set_priority(101)
    await run.resume()
    await run.result(20)
    assert not await run.set_priority(1)


@pytest.mark.parametrize("leaves", [False, True], ids=["in memory", "in the store"])
async def test_a_signal_that_comes_while_its_run_is_paused_is_not_lost(
    engine: Engine, world: World, leaves: bool
) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  held: {type: python, with: {call: hold, args: {name: held}}}
  paid: {type: wait, with: {signal: paid}}
  after: {type: python, needs: [paid, held], with: {call: act, args: {name: after, value: "${{ tasks.paid.output }}"}}}
outputs: {after: "${{ tasks.after.output }}"}
""")
    )
    await world.begun("held")
    await until(lambda: engine.core.machine.runs.live[run.id].parked)
    await run.pause()
    if leaves:
        world.let_go("held")
        await left(engine, run)
    await engine.signal(run.id, "paid", 7)
    await asyncio.sleep(0.01)
    world.let_go("held")
    await left(engine, run)
    assert (await engine.row(run.id)).status == "paused"
    assert world.calls == ["held"]

    await run.resume()
    assert await run.result(20) == {"after": 7}


async def test_a_loop_and_what_waits_in_a_queue_begin_nothing_while_paused(
    engine: Engine, world: World, clock: FakeClock
) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  poll:
    repeat: {until: "output >= 3", max: 10}
    type: python
    with: {call: hold, args: {name: "r${{ loop.index }}", value: "${{ loop.index + 1 }}"}}
  each:
    for_each: [0, 1, 2]
    rate_limit: {limit: 1, per: 1h}
    type: python
    with: {call: act, args: {name: "e${{ item }}"}}
""")
    )
    await world.begun("r0")
    await until(lambda: any(name.startswith("e") for name in world.calls))
    await run.pause()
    world.let_go("r0")
    await left(engine, run)
    calls = sorted(world.calls)
    clock.advance(4 * 3600)
    await engine.core.machine.recovery.wake_due()
    assert sorted(world.calls) == calls
    assert "r1" not in calls

    for name in ("r1", "r2"):
        world.let_go(name)
    await run.resume()
    await finish(engine, run, clock)
    assert sorted(world.calls) == ["e0", "e1", "e2", "r0", "r1", "r2"]
    assert (await engine.show(run.id)).status == "succeeded"


async def test_a_run_that_is_undone_is_paused_between_two_undos(engine: Engine, world: World) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  a: {type: python, with: {call: act, args: {name: a}}, undo: {type: python, with: {call: act, args: {name: undo a}}}}
  b: {type: python, needs: [a], with: {call: act, args: {name: b}}, undo: {type: python, with: {call: hold, args: {name: undo b}}}}
  c: {type: fail, needs: [b], with: {message: no}}
""")
    )
    await world.begun("undo b")
    await run.pause()
    world.let_go("undo b")
    await left(engine, run)
    assert world.calls == ["a", "b", "undo b"]

    await run.resume()
    assert (await run.wait(20)).status == "failed"
    assert world.calls == ["a", "b", "undo b", "undo a"]


async def test_paused_time_does_not_count_for_the_timeout_of_a_wait_and_the_rest_of_it_does(
    engine: Engine, clock: FakeClock, world: World
) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  wait: {type: wait, timeout: 10s, with: {event: never}}
  held: {type: python, with: {call: hold, args: {name: held}}}
""")
    )
    await world.begun("held")
    await until(lambda: engine.core.machine.store.events().subscriptions(run_id=run.id))
    await run.pause()
    clock.advance(11)
    await run.resume()
    clock.advance(9)
    assert (await engine.show(run.id)).tasks["wait"].status != "failed"
    clock.advance(1)
    world.let_go("held")

    row = await run.wait(20)
    assert (row.status, (await engine.show(run.id)).tasks["wait"].error["kind"]) == ("failed", "timeout")


@pytest.mark.parametrize("turns", range(12))
async def test_a_run_whose_resume_was_given_up_half_way_goes_on_all_the_same_or_is_still_paused(
    engine: Engine, world: World, turns: int
) -> None:
    run = await engine.start(load_text(STEPS))
    await world.begun("first")
    await run.pause()
    world.let_go("first")
    await left(engine, run)

    resuming = asyncio.ensure_future(run.resume())
    for _ in range(turns):
        await asyncio.sleep(0)
    resuming.cancel()
    await asyncio.wait((resuming,))
    if (await engine.row(run.id)).status == "paused":
        await run.resume()

    assert await run.result(20) == {"third": 3}
