"""Engines are killed at random while events, signals and approvals fly.

What must hold: nothing that was sent is lost, nothing is taken twice or in
the wrong order, no waiter is stuck, and no row of a wait is left behind.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from killing import Driver, soak

from flowbuilder import Reader
from flowbuilder.core.errors import Conflict, FlowBuilderError, NotFound, RunEnded
from flowbuilder.storage.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 20261126
KILLS = 40
SOAK_KILLS = 1000
RUNS = 12
ROUND = 0.5
"""Seconds within which an engine is killed, counted from its fork."""


@pytest.fixture
def driver() -> Iterator[Driver]:
    """A driver, closed afterwards."""
    driver = Driver(Path(__file__).parent / "kills" / "wait_drive.py")
    try:
        yield driver
    finally:
        driver.close()


class World:
    """What happens outside, in an order of its own for each run; each thing once, and told by its id."""

    def __init__(self, store: Path, chance: random.Random) -> None:
        self.store = store
        self.chance = chance
        self.runs: dict[int, str] = {}
        self._left: dict[int, list[tuple[str, int]]] = {}
        self._voices: dict[int, list[str]] = {}

    def begun(self, n: int, run_id: str) -> None:
        """Take in that a run was accepted."""
        assert self.runs.setdefault(n, run_id) == run_id
        if n not in self._left:
            events = [("paid", i) for i in range(3)]
            signals = [("go", i) for i in range(2)]
            mixed: list[tuple[str, int]] = []
            while events or signals:
                mixed.append(
                    (events if events and (not signals or self.chance.random() < 0.6) else signals).pop(0)
                )
            self._left[n] = mixed
            self._voices[n] = ["ada", "bob"]

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to be done."""
        return len(self._left) == RUNS and not any(self._left.values()) and not any(self._voices.values())

    def act(self, reader: Reader) -> None:
        """Do something to one of the runs."""
        if not self.runs:
            return
        n = self.chance.choice(list(self.runs))
        if self._left[n]:
            what, i = self._left[n].pop(0)
            if what == "paid":
                reader.emit("paid", {"n": n, "i": i}, id=f"paid-{n}-{i}")
                reader.emit("paid", {"n": n + 1000, "i": i}, id=f"other-{n}-{i}")
            else:
                reader.signal(self.runs[n], "go", i, id=f"go-{n}-{i}")
        elif self._voices[n]:
            with contextlib.suppress(NotFound, Conflict):  # not asked yet, or not counted yet
                reader.approve(self.runs[n], self._voices[n][0])
                self._voices[n].pop(0)


@pytest.mark.timeout(600)
def test_forty_kills_lose_and_repeat_nothing_of_what_is_waited_for(driver: Driver, tmp_path: Path) -> None:
    kill_again_and_again(driver, tmp_path, SEED, KILLS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_kills_while_events_fly(driver: Driver, tmp_path: Path) -> None:
    kill_again_and_again(driver, tmp_path, *soak(SOAK_KILLS))


def kill_again_and_again(driver: Driver, tmp_path: Path, seed: int, least: int) -> None:
    """Kill engines over batches of runs until so many have died; each batch is looked at when it has ended."""
    print(f"seed {seed}")  # pytest shows it where the test fails
    chance = random.Random(seed)
    kills = batch = 0
    while kills < least:
        kills += one_batch(driver, tmp_path / f"{batch}.db", chance)
        batch += 1
        print(f"{kills} kills over {batch * RUNS} runs", flush=True)


def one_batch(driver: Driver, store: Path, chance: random.Random) -> int:
    """Drive some runs through kills to their ends; return how many engines died."""
    world = World(store, chance)
    kills = 0
    while True:
        pid = driver.start(store, RUNS, patience=60.0)
        last = world.finished
        until = time.monotonic() + (60.0 if last else chance.uniform(0.0, ROUND) * (1 + kills / 10))
        done = False
        while time.monotonic() < until and not done:
            line = driver.line(chance.uniform(0.0, 0.02))
            if line is None:
                with (
                    contextlib.suppress(FlowBuilderError) if not store.exists() else contextlib.nullcontext()
                ):
                    if store.exists() and world.runs:
                        with Reader(store) as reader, contextlib.suppress(RunEnded):
                            world.act(reader)
            else:
                done = take(line, world)
        assert done or not last, stuck(store, world)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        kills += not done
        while (line := driver.line(60.0)) != "ended":
            assert line is not None
            done = take(line, world) or done
        if done:
            look(store, world)
            return kills


def take(line: str, world: World) -> bool:
    """Take in what an engine says; tells whether all its runs have ended."""
    match line.split():
        case ["accepted", n, run_id]:
            world.begun(int(n), run_id)
        case ["done"]:
            return True
    return False


def stuck(store: Path, world: World) -> str:
    """Return what can be said of runs that did not end."""
    with Reader(store) as reader:
        views = [reader.show(run_id) for run_id in world.runs.values()]
    return str(
        [
            (view.run_id, {k: (t.status, t.reason) for k, t in view.tasks.items()})
            for view in views
            if view.status != "succeeded"
        ]
    )


def look(store: Path, world: World) -> None:
    """Look at all runs of a batch, and at what they have left behind."""
    with Reader(store) as reader:
        for n, run_id in world.runs.items():
            view = reader.show(run_id)
            assert view.status == "succeeded", (n, view.error)
            assert view.outputs == {"all": [[0, 1], 2, 0, 1, 2]}, (n, view.outputs)
        told = collections.Counter(event.value()["payload"] for event in reader.events("told"))
        assert told == dict.fromkeys(range(RUNS), 1)
        assert reader.approvals() == []
        assert not reader.waiting()
    opened = SqliteStore(store)
    opened.open(None)
    assert opened.events().subscriptions() == []
    assert opened.facts().list("approval") == []
    opened.close()
