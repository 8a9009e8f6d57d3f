"""A real engine process, killed with SIGKILL at random moments, again and again.

What must hold: no run that was accepted is lost, no task whose end was on
disk is executed again, no run is stuck, and all outputs are right.  The seed
reproduces the moments as well as a machine allows.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 20260105
KILLS = 210
SOAK_KILLS = 3000
RUNS = 24
ROUND = 0.25
"""Seconds within which a process is killed, counted from its fork."""


class Driver:
    """The process that forks engines, and the one that it has forked last."""

    def __init__(self, script: Path = Path(__file__).parent / "kills" / "drive.py") -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._rest = b""

    def start(self, *words: object, patience: float = 10.0) -> int:
        """Begin a round and return the engine's process id."""
        assert self.process.stdin is not None
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        while True:
            line = self.line(patience)
            assert line is not None
            if line.startswith("pid "):
                return int(line.split()[1])

    def line(self, timeout: float) -> str | None:
        """Return the next line, or None if none came in time."""
        assert self.process.stdout is not None
        until = time.monotonic() + timeout
        while b"\n" not in self._rest:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return None
            chunk = os.read(self.process.stdout.fileno(), 65536)
            assert chunk, "the driver died"
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture
def driver() -> Iterator[Driver]:
    """A driver, closed afterwards."""
    driver = Driver()
    try:
        yield driver
    finally:
        driver.close()


class Ledger:
    """What was promised so far: runs that were accepted, tasks whose ends were on disk."""

    def __init__(self, store: Path, effects: Path) -> None:
        self.store = store
        self.effects = effects
        self.accepted: dict[str, str] = {}
        self._ended: dict[str, int] = {}

    def counts(self) -> collections.Counter[str]:
        """Return how often each effect was executed."""
        return collections.Counter(self.effects.read_text().split())

    def check(self, first: int) -> None:
        """Look at the store after a kill: what had ended must have stayed as it was.

        Args:
            first: the first run of the batch that was killed; all runs before it have ended for good.
        """
        counts = self.counts()
        for key, count in self._ended.items():
            assert counts[key] == count, f"{key} was executed again after its end was on disk"
        if not self.store.exists():
            assert not self.accepted
            return
        with Reader(self.store) as reader:
            for run_id in [id for key, id in self.accepted.items() if int(key[1:]) >= first]:
                view = reader.show(run_id)
                for path, task in {**view.tasks, **view.elements}.items():
                    key = f"{run_id}/{path}"
                    if task.duration is not None and key in counts:
                        self._ended.setdefault(key, counts[key])


def expected(n: int) -> int:
    """Return what the run `n` must yield."""
    chain = (n + 2) * 2 + 2
    match n % 4:
        case 0:
            return chain
        case 1:
            items = [n * 100 + i for i in range(12)]
            return sum(i + 1 for i in items) + sum((i + 1) + (i + 2) for i in items[:6]) + 1
        case 2:
            return chain + n + 1 + 1
        case _:
            polled = sum(n + index + 1 for index in range(4))
            return polled + 20_000 + sum(2 * index + 2 for index in range(30)) + polled + 4


@pytest.mark.timeout(600)
def test_two_hundred_kills_lose_nothing_and_repeat_nothing(driver: Driver, tmp_path: Path) -> None:
    kill_again_and_again(driver, tmp_path, SEED, KILLS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_thousands_of_kills_at_ever_new_moments(driver: Driver, tmp_path: Path) -> None:
    kill_again_and_again(driver, tmp_path, int(os.environ.get("SEED", time.time_ns())), SOAK_KILLS)


def kill_again_and_again(driver: Driver, tmp_path: Path, seed: int, least: int) -> None:
    """Start runs and kill their engines until at least so many have died; then look at every run."""
    print(f"seed {seed}")  # pytest shows it where the test fails
    chance = random.Random(seed)
    store, effects = tmp_path / "store.db", tmp_path / "effects"
    effects.touch()
    ledger = Ledger(store, effects)
    kills = first = 0
    while kills < least:
        kills += _until_done(driver, chance, ledger, first)
        first += RUNS
    print(f"{kills} kills over {len(ledger.accepted)} runs")
    with Reader(store) as reader:
        for key, run_id in ledger.accepted.items():
            view = reader.show(run_id)
            assert view.status == "succeeded", (key, view.error)
            assert view.outputs == {"total": expected(int(key[1:]))}, key
            assert all(task.status == "succeeded" for task in view.tasks.values()), view.tasks
        assert not reader.waiting()


def _until_done(driver: Driver, chance: random.Random, ledger: Ledger, first: int) -> int:
    """Kill engines over one batch of runs until one lives to their ends; return how many died."""
    kills = 0
    while True:
        pid = driver.start(ledger.store, ledger.store.parent, ledger.effects, first, RUNS)
        until = time.monotonic() + chance.uniform(0.0, ROUND) * (1 + kills / 20)
        done = False
        while (line := driver.line(until - time.monotonic())) is not None:
            match line.split():
                case ["accepted", key, run_id]:
                    assert ledger.accepted.setdefault(key, run_id) == run_id
                case ["done"]:
                    done = True
                    break
        if done:
            while driver.line(10.0) != "ended":
                pass
            ledger.check(first)
            return kills
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        kills += 1
        while (line := driver.line(10.0)) != "ended":
            assert line is not None
            if line.startswith("accepted"):
                _, key, run_id = line.split()
                ledger.accepted.setdefault(key, run_id)
        ledger.check(first)
