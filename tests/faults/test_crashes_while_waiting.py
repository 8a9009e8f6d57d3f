"""A crash at every write of a run that waits: nothing is lost, nothing is taken twice, nothing is stuck."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Engine
from flowbuilder.core.errors import Conflict, NotFound, RunEnded
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.crashing_store import Crash, CrashingStore
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import LOOK_AGAIN, dying_with, load_text, unless_it_dies
from world import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flowbuilder.storage.api import Store

FLOW = """
flow: t
inputs: {id: {type: string, default: A}}
tasks:
  early: {type: wait, with: {event: early, filter: event.payload.id == inputs.id}}
  two: {type: wait, with: {event: part, filter: event.payload.id == inputs.id, count: 2}}
  next: {type: wait, needs: [two], with: {event: part, filter: event.payload.id == inputs.id}}
  go: {type: wait, needs: [early], with: {signal: go}}
  again: {type: wait, needs: [go], with: {signal: go}}
  told: {type: emit, needs: [again], with: {event: told, payload: "${{ tasks.again.output }}"}}
  ask:
    type: approval
    with: {message: may it?, assignees: [ada, bob], quorum: 2, reminder: 1h}
  late: {type: wait, needs: [ask, next, told], with: {event: never, timeout: 30m}, on_error: {value: late}}
outputs:
  all: >-
    ${{ [tasks.early.output.n, [x.n for x in tasks.two.output], tasks.next.output.n, tasks.go.output,
         tasks.again.output, tasks.ask.output.by, tasks.late.output] }}
"""
WANTED = {"all": [0, [1, 2], 3, "a", "b", "bob", "late"]}


def in_memory(_folder: Path) -> Callable[[], Store]:
    first = MemoryStore()
    return lambda: MemoryStore(first.place)


def in_a_file(folder: Path) -> Callable[[], Store]:
    folder.mkdir()
    return lambda: SqliteStore(folder / "store.db")


async def outside(engine: Engine, run_id: str) -> None:
    """Do what the world does: in order, and again where it was not told that it was done."""
    await engine.emit("early", {"id": "A", "n": 0}, id="early")
    for n in (1, 2, 3):
        await engine.emit("part", {"id": "B", "n": -n}, id=f"other-{n}")
        await engine.emit("part", {"id": "A", "n": n}, id=f"part-{n}")
    with contextlib.suppress(RunEnded):
        await engine.signal(run_id, "go", "a", id="go-1")
        await engine.signal(run_id, "go", "b", id="go-2")
    for by in ("ada", "bob"):
        with contextlib.suppress(Conflict, NotFound, RunEnded):
            await engine.approve(run_id, by)


async def asked(engine: Engine, run_id: str) -> bool:
    """Tell whether the run has asked for a decision, or is past that."""
    view = await engine.show(run_id)
    return view.tasks["ask"].status in ("waiting", "succeeded") and (
        view.tasks["ask"].status == "succeeded" or bool(await engine.approvals(run_id))
    )


async def drive(store: Store, clock: FakeClock) -> Any:
    """Carry the run on with one more engine, until it ends or the engine dies."""
    flow = load_text(FLOW)
    engine = Engine(":memory:", clock=clock, store=store, secrets={})

    async def go() -> Any:
        run = await engine.start(flow, key="k")
        core = engine.core
        while not await asked(engine, run.id):
            await until(core.only_waits)
        await outside(engine, run.id)
        while (await engine.row(run.id)).status not in ("succeeded", "failed"):
            await until(core.only_waits)
            moment = core.machine.timers.next_moment()
            if moment is not None and core.only_waits():
                clock.jump(moment)
            await until(lambda: True)
        view = await engine.show(run.id)
        return view, await engine.events("told", "approval.reminder")

    async with dying_with(store), engine:
        return await unless_it_dies(go(), store)


@pytest.mark.parametrize("make", [in_memory, in_a_file])
@pytest.mark.timeout(600)
async def test_a_crash_at_any_write_loses_and_repeats_nothing(
    make: Callable[[Path], Callable[[], Store]], tmp_path: Path
) -> None:
    assert LOOK_AGAIN < 1
    counting = CrashingStore(make(tmp_path / "whole")())
    view, _ = await drive(counting, FakeClock())
    assert view.outputs == WANTED
    step = 1 if make is in_memory else 5
    deaths = 0
    for at in range(1, counting.writes + 1, step):
        for after in (False, True):
            place = make(tmp_path / f"{at}-{after}")
            clock = FakeClock()
            store = CrashingStore(place(), at, after)
            with contextlib.suppress(Crash):
                await drive(store, clock)
            deaths += store.crashed
            last = place()
            view, events = await drive(last, clock)
            where = f"{'after' if after else 'before'} write {at}"
            assert (view.status, view.outputs) == ("succeeded", WANTED), where
            names = [event.name for event in events]
            assert names.count("told") == 1, where
            assert len({event.id for event in events}) == len(events), where
            look = place()
            look.open(None)
            assert look.events().subscriptions() == [], where
            assert look.facts().list("approval") == [], where
            look.close()
    assert deaths >= counting.writes // step
