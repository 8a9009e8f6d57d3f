"""`up` in a real process, killed with SIGKILL at random moments while all kinds of triggers fire.

What must hold: every occasion (moment, file, event, end of a run) has exactly
one run, none that was on disk is lost, and after each kill no run is stuck.
"""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import os
import random
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from killing import Driver, soak

from flowbuilder import Reader
from flowbuilder.core import values
from flowbuilder.sdk.events import make_event
from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.storage.api import RunRow

SEED = 20260108
KILLS = 10
SOAK_KILLS = 200
ROUND = 0.8
"""Seconds within which a process is killed, counted from when it is up."""
PATIENCE = 60.0
BEAT = 0.2
FLOWS = {
    "beat": "triggers: [{name: t, every: 200ms, catch_up: all}]",
    "tick": 'triggers: [{name: t, cron: "* * * * * *", catch_up: all}]',
    "turn": "triggers: [{name: t, every: 500ms, catch_up: all, overlap: queue}]",
    "load": "triggers: [{name: t, file: 'inbox/*.csv', stable: 100ms}]",
    "heard": "triggers: [{name: t, event: rung}]",
    "after": "triggers: [{name: t, flow: [load, heard]}]",
}


@pytest.fixture
def ups() -> Iterator[Driver]:
    """A process that forks projects which are up."""
    driver = Driver(Path(__file__).parent / "kills" / "up_drive.py")
    try:
        yield driver
    finally:
        driver.close()


class World:
    """A project, its store, and all that has happened to it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder / "flows", folder / "store.db"
        self.files: set[str] = set()
        self.events: set[str] = set()
        self.ended: dict[str, str] = {}
        """Runs that have ended, as they did."""
        (self.folder / "inbox").mkdir(parents=True)
        for name, trigger in FLOWS.items():
            text = f"flow: {name}\n{trigger}\ntasks:\n  a: {{type: set, with: '${{{{ trigger.type }}}}'}}\n"
            (self.folder / f"{name}.yaml").write_text(text)

    def drop_a_file(self) -> None:
        """Put a whole file there, as one does: under another name first."""
        name = f"{len(self.files)}.csv"
        (self.folder / f".{name}").write_text(name)
        os.replace(self.folder / f".{name}", self.folder / "inbox" / name)
        self.files.add(name)

    def ring(self) -> None:
        """Emit an event from another process than the engine's; it is on disk when this returns."""
        id = f"e{len(self.events)}"
        store = SqliteStore(self.store)
        store.open(None)
        try:
            event = make_event(
                "rung", {"n": id}, id=id, at=time.time(), source="test", run_id=None, most_bytes=1000
            )
            store.events().emit(event)
        finally:
            store.close()
        self.events.add(id)

    def runs(self) -> list[RunRow]:
        """All runs, oldest first."""
        rows: list[RunRow] = []
        with Reader(self.store) as reader:
            while page := reader.runs(RunFilter(limit=1000, before=rows[-1].id if rows else None)):
                rows += page
        return rows[::-1]

    def look(self) -> None:
        """See after a kill that nothing is stuck, and what had ended stays as it was."""
        with Reader(self.store) as reader:
            liveness = reader.liveness()
            assert liveness.counts().get("nothing", 0) == 0, liveness.stuck()
            assert not liveness.leaks()
        now = {row.id: row.status for row in self.runs()}
        for run_id, status in self.ended.items():
            assert now.get(run_id) == status, f"run {run_id} was {status}"
        self.ended = {
            id: status for id, status in now.items() if status not in ("queued", "running", "waiting")
        }


@pytest.mark.timeout(300)
def test_ten_kills_of_up_lose_no_occasion_and_repeat_none(ups: Driver, tmp_path: Path) -> None:
    kill_again_and_again(ups, tmp_path, SEED, KILLS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_hundreds_of_kills_of_up_at_ever_new_moments(ups: Driver, tmp_path: Path) -> None:
    kill_again_and_again(ups, tmp_path, *soak(SOAK_KILLS))


def kill_again_and_again(ups: Driver, folder: Path, seed: int, kills: int) -> None:
    """Kill engines so many times, let a last one see to what is left, and count."""
    print(f"seed {seed}")  # pytest shows it where the test fails
    chance, world = random.Random(seed), World(folder)
    for number in range(kills):
        pid = _up(ups, world)
        until = time.monotonic() + chance.uniform(0.0, ROUND)
        while (left := until - time.monotonic()) > 0:
            chance.choice((world.drop_a_file, world.ring))()
            time.sleep(min(left, chance.uniform(0.0, 0.1)))
        _kill(ups, pid)
        if number % 3 == 2:
            world.drop_a_file()  # one that comes while nothing is up
        world.look()
        if number % 50 == 49:
            print(f"{number + 1} kills over {len(world.runs())} runs", flush=True)
    last = time.time()
    pid = _up(ups, world)
    _until_all_is_seen_to(world, last)
    _kill(ups, pid)
    world.look()
    _count(world, last)
    print(f"{kills} kills over {len(world.runs())} runs")


def _up(ups: Driver, world: World) -> int:
    pid = ups.start(world.store, world.folder)
    while (line := ups.line(PATIENCE)) != "up":
        assert line is not None, "it does not come up"
    return pid


def _kill(ups: Driver, pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    while (line := ups.line(10.0)) != "ended":
        assert line is not None


def _until_all_is_seen_to(world: World, last: float) -> None:
    """Wait until the last engine has run what came before it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        rows = world.runs()
        by_flow = collections.Counter(row.flow for row in rows if row.ended_at is not None)
        files_and_events = by_flow["load"] + by_flow["heard"]
        late = {
            flow: max((at for at in _moments(rows, flow)), default=0.0) > last
            for flow in ("beat", "tick", "turn")
        }
        all_came = files_and_events >= len(world.files) + len(world.events)
        if all(late.values()) and all_came and by_flow["after"] >= files_and_events:
            return
        time.sleep(0.1)
    raise AssertionError(
        f"something is lost: {by_flow}, {len(world.files)} files, {len(world.events)} events"
    )


def _about(row: RunRow) -> dict[str, Any]:
    assert row.about is not None
    found: dict[str, Any] = values.decode(row.about)["trigger"]
    return found


def _moments(rows: list[RunRow], flow: str) -> list[float]:
    """The moments that runs of a flow are for."""
    return [_about(row)["scheduled_at"].timestamp() for row in rows if row.flow == flow]


def _count(world: World, last: float) -> None:
    """See that each occasion has one run."""
    rows = world.runs()
    for flow, every in (("beat", BEAT), ("tick", 1.0), ("turn", 0.5)):
        ticks = sorted(round(at / every) for at in _moments(rows, flow))
        before = [tick for tick in ticks if tick * every <= last]
        assert len(set(ticks)) == len(ticks), f"{flow} has two runs for a moment"
        assert before == list(range(before[0], before[-1] + 1)), f"{flow} has lost a moment"
        assert last - before[-1] * every <= every + 0.001, dt.datetime.fromtimestamp(
            before[-1] * every, dt.UTC
        )
    files = collections.Counter(_about(row)["file"]["name"] for row in rows if row.flow == "load")
    assert files == dict.fromkeys(world.files, 1)
    events = collections.Counter(row.key for row in rows if row.flow == "heard")
    assert events == {f"t@{id}": 1 for id in world.events}
    ends = collections.Counter(_about(row)["run"]["id"] for row in rows if row.flow == "after")
    assert ends == {row.id: 1 for row in rows if row.flow in ("load", "heard") and row.ended_at is not None}
