"""Engines that are killed at random moments, again and again: the process that forks them, and what was promised.

A seed gives the same moments again, as far as a machine allows.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder import Reader

if TYPE_CHECKING:
    import random


def soak(kills: int) -> tuple[int, int]:
    """Return the seed and the number of kills of a long test: `SEED=… KILLS=… make soak` chooses them."""
    return int(os.environ.get("SEED", time.time_ns())), int(os.environ.get("KILLS", kills))


class Driver:
    """The process that forks engines, and the one that it has forked last."""

    def __init__(self, script: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **environment},
        )
        self._rest = b""

    def start(self, *words: object, patience: float = 30.0) -> int:
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


class Ledger:
    """What was promised so far: runs that were accepted, tasks whose ends were on disk."""

    def __init__(self, store: Path, effects: Path) -> None:
        self.store = store
        self.effects = effects
        self.accepted: dict[str, str] = {}
        self._ended: dict[str, int] = {}
        self._reader: Reader | None = None
        """Kept, as it has the plans of all flows by then."""
        effects.touch()

    def take(self, line: str) -> bool:
        """Take in what an engine says; tells whether all its runs have ended."""
        match line.split():
            case ["accepted", key, run_id]:
                assert self.accepted.setdefault(key, run_id) == run_id
            case ["done"]:
                return True
        return False

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
        self._reader = self._reader or Reader(self.store)
        for run_id in [id for key, id in self.accepted.items() if int(key[1:]) >= first]:
            view = self._reader.show(run_id)
            for path, task in {**view.tasks, **view.elements}.items():
                key = f"{run_id}/{path}"
                if task.duration is not None and key in counts:
                    self._ended.setdefault(key, counts[key])

    def close(self) -> None:
        """Look no more."""
        if self._reader is not None:
            self._reader.close()


@dataclasses.dataclass
class Killing:
    """How engines are killed over batches of runs."""

    driver: Driver
    ledger: Ledger
    chance: random.Random
    runs: int
    """In a batch."""
    within: float
    """Seconds from its fork within which an engine is killed, at first."""
    longer: float
    """By which share of that each kill of a batch gives the next engine more time, so that it ends."""
    words: Callable[[int], tuple[object, ...]]
    """What a driver is told of the batch that begins with a run."""
    look: Callable[[], None] = lambda: None
    """Called after each kill, beside what the ledger checks."""

    def go_on(self, least: int) -> None:
        """Start runs and kill their engines until at least so many have died; all runs have ended then."""
        kills = first = told = 0
        began = time.monotonic()
        with contextlib.closing(self.ledger):
            while kills < least:
                kills += self._batch(first)
                first += self.runs
                if kills >= told + 50 or kills >= least:
                    told = kills
                    print(f"{kills} kills over {first} runs in {time.monotonic() - began:.0f} s", flush=True)

    def _batch(self, first: int) -> int:
        """Kill engines over one batch of runs until one lives to their ends; return how many died."""
        kills = 0
        while True:
            pid = self.driver.start(*self.words(first))
            until = time.monotonic() + self.chance.uniform(0.0, self.within) * (1 + self.longer * kills)
            done = False
            while not done and (line := self.driver.line(until - time.monotonic())) is not None:
                done = self.ledger.take(line)
            if not done:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            while (line := self.driver.line(30.0)) != "ended":
                assert line is not None, "an engine does not end"
                self.ledger.take(line)
            self.ledger.check(first)
            self.look()
            if done:
                return kills
            kills += 1
