"""A crash before and after every write to the journal: what comes of the run is what came of it without."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import load
from flowbuilder.core.rounds import round_path
from flowbuilder.runtime.recovered import Recovered, replay
from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.crashing_store import Crash, CrashingStore
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import run_flow

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbuilder.runtime.views import RunView
    from flowbuilder.storage.api import Store
    from world import World

FLOWS = Path(__file__).parent / "crashes"
IN_FLIGHT = {"all": 1, "sorry": 2, "fan": 6, "undone": 1, "loops": 3, "sealed": 1}
"""How many effects a flow has in flight at once, at most."""


@dataclasses.dataclass
class Place:
    """Where a store keeps what it keeps, so that the next one finds it."""

    make: Callable[[], Store]

    def on_disk(self) -> set[str]:
        """Return the paths of all tasks and elements whose ends are on disk, of all runs."""
        store = self.make()
        store.open(None)
        try:
            return {
                path if row.flow != "child" else f"child.{path}"
                for row in store.runs(RunFilter())
                for path in _ended(replay(store.journal(row.id), store.blobs().get))
            }
        finally:
            store.close()


def _ended(found: Recovered) -> set[str]:
    """Return what a journal says has ended: tasks, elements, rounds of loops."""
    whole = {path for path, ended in found.ended.items() if ended.attempts and path not in found.rounds}
    return whole | {
        round_path(path, one.round) for path, loop in found.rounds.items() for one, _ in loop.recent
    }


def in_memory(_folder: Path) -> Place:
    first = MemoryStore()
    return Place(lambda: MemoryStore(first.place))


def in_a_file(folder: Path) -> Place:
    folder.mkdir()
    return Place(lambda: SqliteStore(folder / "store.db"))


def told(view: RunView) -> dict[str, Any]:
    """Return what of a run may not depend on whether an engine died."""
    return {
        "status": view.status,
        "outputs": view.outputs,
        "error": view.error,
        "tasks": {
            path: (
                task.status,
                task.reason,
                task.error,
                task.errors,
                None if path == "moment" else task.output,
            )
            for path, task in {**view.tasks, **view.elements}.items()
            if not path.startswith("part")  # which attempt of it got how far depends on what was repeated
        },
    }


async def crashed(name: str, place: Place, at: int, after: bool, world: World) -> tuple[RunView, bool]:
    """Run a flow in an engine that dies at a write, and carry it on in the next; tell whether it died."""
    flow, clock = load(FLOWS / f"{name}.yaml"), FakeClock()
    store = CrashingStore(place.make(), at, after=after)
    world.dead = lambda: store.crashed
    with contextlib.suppress(Crash):  # how writes fall together is chance where much is done at once
        await run_flow(flow, key="k", clock=clock, store=store)
    kept = place.on_disk()
    world.dead = lambda: False
    before = collections.Counter(world.calls)
    view = await run_flow(flow, key="k", clock=clock, store=place.make())
    # a group's second attempt executes its tasks anew, under paths of their own
    once = [path for path in kept if not path.startswith("part")]
    again = {path for path in once if world.count(effect(path)) > before[effect(path)] > 0}
    assert not again, "what was on disk was executed again"
    return view, store.crashed


def effect(path: str) -> str:
    """Return the name that an effect at a path goes by."""
    return path.replace('["', "[").replace('"]', "]")


@pytest.mark.parametrize("make", [in_memory, in_a_file])
@pytest.mark.parametrize("name", ["all", "sorry", "fan", "undone", "loops", "sealed"])
@pytest.mark.timeout(300)
async def test_a_crash_at_any_write_changes_nothing_that_anybody_sees(
    name: str,
    make: Callable[[Path], Place],
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", "0a" * 32)
    counting = CrashingStore(make(tmp_path / "whole").make())
    whole = await run_flow(load(FLOWS / f"{name}.yaml"), key="k", store=counting)
    once = collections.Counter(world.calls)
    assert counting.writes > 12, "the flow leaves next to nothing in the journal"
    step = 1 if make is in_memory else 3
    deaths = 0

    for at in range(1, counting.writes + 1, step):
        for after in (False, True):
            world.calls.clear()
            place = make(tmp_path / f"{at}-{after}")
            view, died = await crashed(name, place, at, after, world)
            where = f"{'after' if after else 'before'} write {at}"
            assert told(view) == told(whole), where
            calls = collections.Counter(world.calls)
            assert set(calls) == set(once), where
            assert (calls - once).total() <= IN_FLIGHT[name], where
            deaths += died
    assert deaths >= counting.writes // step
