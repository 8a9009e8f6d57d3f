"""A crash at every write where waits, approvals and sub-flows stand in loops, maps and groups."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Engine
from flowbuilder.core.errors import Conflict, NotFound, RunEnded
from flowbuilder.runtime import histories
from flowbuilder.runtime.config import Config, LimitsConfig
from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.crashing_store import Crash, CrashingStore
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import dying_with, load_text, unless_it_dies
from world import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flowbuilder.sdk.load import LoadedFlow
    from flowbuilder.storage.api import Store
    from world import World

FORGETFUL = Config(limits=LimitsConfig(loop_rounds=1))
"""What lies before the last round of a loop is taken out of the journal."""

TAKING = """
flow: taking
tasks:
  alone:
    type: wait
    with: {event: part, window: 1h}
    repeat: {while: loop.index < 5, max: 5, collect: "${{ output.n }}"}
  inside:
    type: group
    needs: [alone]
    tasks:
      got: {type: wait, with: {event: part, window: 1h}}
      told: {type: python, with: {call: act, args: {name: "told ${{ tasks.got.output.n }}"}}}
    outputs: {n: "${{ tasks.got.output.n }}"}
    repeat: {while: loop.index < 4, max: 4, collect: "${{ output.n }}"}
  last: {type: wait, needs: [inside], with: {event: part, window: 1h}}
outputs: {all: "${{ tasks.alone.output + tasks.inside.output + [tasks.last.output.n] }}"}
"""

MEETING = """
flow: meeting
tasks:
  rounds:
    type: group
    tasks:
      heard: {type: wait, with: {signal: go}}
      asked: {type: approval, needs: [heard], with: {message: "round ${{ loop.index }}?"}}
      child: {type: flow, needs: [asked], with: {path: child.yaml, inputs: {n: "${{ loop.index }}"}}}
    outputs: {all: "${{ [tasks.heard.output, tasks.asked.output.by, tasks.child.output.n] }}"}
    repeat: {while: loop.index < 3, max: 3, collect: "${{ output.all }}"}
  each:
    for_each: [0, 1]
    needs: [rounds]
    type: group
    retry: {attempts: 2, delay: 0s}
    tasks:
      child: {type: flow, with: {path: child.yaml, inputs: {n: "${{ 10 + item }}"}}}
      heard: {type: wait, needs: [child], with: {event: each, filter: event.payload.i == item}}
      once: {type: python, needs: [heard], with: {call: fail, args: {name: "once ${{ item }}", times: 1, value: "${{ tasks.heard.output.n }}"}}}
    outputs: {n: "${{ tasks.child.output.n }}", heard: "${{ tasks.once.output >= 1 }}"}
outputs: {rounds: "${{ tasks.rounds.output }}", each: "${{ tasks.each.output }}"}
"""
CHILD = """
flow: child
inputs: {n: {type: integer}}
tasks:
  work: {type: python, with: {call: act, args: {name: "child ${{ inputs.n }}", value: "${{ inputs.n * 10 }}"}}}
outputs: {n: "${{ tasks.work.output }}"}
"""


def in_memory(_folder: Path) -> Callable[[], Store]:
    first = MemoryStore()
    return lambda: MemoryStore(first.place)


def in_a_file(folder: Path) -> Callable[[], Store]:
    folder.mkdir()
    return lambda: SqliteStore(folder / "store.db")


async def drive(
    flow: LoadedFlow, store: Store, clock: FakeClock, outside: Callable[[Engine, str], Any]
) -> Any:
    """Carry the run on with one more engine, until it ends or the engine dies."""
    engine = Engine(":memory:", FORGETFUL, clock=clock, store=store)

    async def go() -> Any:
        run = await engine.start(flow, key="k")
        core = engine.core
        while (await engine.row(run.id)).status not in ("succeeded", "failed"):
            await until(core.only_waits)
            await outside(engine, run.id)
            moment = core.machine.timers.next_moment()
            if moment is not None and core.only_waits():
                clock.jump(moment)
            await until(lambda: True)
        return await engine.show(run.id)

    async with dying_with(store), engine:
        return await unless_it_dies(go(), store)


async def at_every_write(
    flow: LoadedFlow,
    outside: Callable[[Engine, str], Any],
    make: Callable[[Path], Callable[[], Store]],
    folder: Path,
    wanted: dict[str, Any],
    prepare: Callable[[Store], Any],
) -> None:
    place = make(folder / "whole")
    await prepare(place())
    counting = CrashingStore(place())
    view = await drive(flow, counting, FakeClock(), outside)
    assert view.outputs == wanted, view.error
    step = 1 if make is in_memory else 7
    deaths = 0
    for at in range(1, counting.writes + 1, step):
        for after in (False, True):
            place, clock = make(folder / f"{at}-{after}"), FakeClock()
            await prepare(place())
            store = CrashingStore(place(), at, after)
            with contextlib.suppress(Crash):
                await drive(flow, store, clock, outside)
            deaths += store.crashed
            view = await drive(flow, place(), clock, outside)
            where = f"{'after' if after else 'before'} write {at}"
            assert (view.status, view.outputs) == ("succeeded", wanted), (where, view.error)
            look = place()
            look.open(None)
            assert look.events().subscriptions() == [], where
            assert look.facts().list("approval") == [], where
            assert not [row for row in look.runs(RunFilter()) if row.status != "succeeded"], where
            look.close()
    assert deaths >= counting.writes // step


async def nothing(_engine: Engine, _run_id: str) -> None:
    """Do nothing."""


@pytest.mark.parametrize("make", [in_memory, in_a_file])
@pytest.mark.timeout(300)
async def test_an_event_taken_in_a_round_that_is_kept_no_more_is_not_taken_again(
    make: Callable[[Path], Callable[[], Store]],
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(histories, "LEAST", 0)

    async def emitted_before(store: Store) -> None:
        async with Engine(":memory:", clock=FakeClock(), store=store) as engine:
            for n in range(10):
                await engine.emit("part", {"n": n}, id=f"part-{n}")

    await at_every_write(load_text(TAKING), nothing, make, tmp_path, {"all": list(range(10))}, emitted_before)


@pytest.mark.parametrize("make", [in_memory, in_a_file])
@pytest.mark.timeout(300)
async def test_waits_approvals_and_sub_flows_in_loops_maps_and_groups_outlive_any_crash(
    make: Callable[[Path], Callable[[], Store]],
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(histories, "LEAST", 0)
    (tmp_path / "child.yaml").write_text(CHILD)

    async def outside(engine: Engine, run_id: str) -> None:
        for i in (0, 1):
            await engine.emit("each", {"i": i, "n": 1}, id=f"each-{i}-1")
            await engine.emit("each", {"i": i, "n": 2}, id=f"each-{i}-2")
        with contextlib.suppress(RunEnded):
            for n in range(3):
                await engine.signal(run_id, "go", n, id=f"go-{n}")
        with contextlib.suppress(Conflict, NotFound, RunEnded):
            await engine.approve(run_id, "ada")

    async def before(_store: Store) -> None:
        world.calls.clear()

    wanted = {
        "rounds": [[0, "ada", 0], [1, "ada", 10], [2, "ada", 20]],
        "each": [{"n": 100, "heard": True}, {"n": 110, "heard": True}],
    }
    await at_every_write(load_text(MEETING, tmp_path), outside, make, tmp_path, wanted, before)
