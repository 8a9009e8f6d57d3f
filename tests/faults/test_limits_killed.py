"""Engines that share limits, killed with SIGKILL at random moments: no limit is ever passed, no place leaks."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from flowbuilder import Reader
from flowbuilder.runtime.slots import KIND, shared_of
from flowbuilder.storage.api import LIVE, RunFilter

HERE = Path(__file__).parent / "engines"
SEED = 20260311
KILLS = 14
RUNS = 30
PLACES, OF_ONE_KEY, RUNS_AT_ONCE = 3, 2, 4
PACE, PER = 5, 0.2
LATE = 0.06
"""Seconds by which a start may be late on a busy machine, where engines know nothing of each other's."""

Span = tuple[float, float, str]


class Killed:
    """Engines on one store, and when each of them was killed."""

    def __init__(self, folder: Path) -> None:
        self.store, self.file = folder / "store.db", folder / "deeds"
        self.file.touch()
        self.deaths: dict[int, float] = {}
        self.living: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, HERE / "limited.py", self.store, self.file, 0, RUNS]
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE)
        self.living.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        self.deaths[process.pid] = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()
        self.living.remove(process)

    def end(self) -> None:
        for process in self.living:
            process.wait(120)
            assert process.stdout is not None
            process.stdout.close()

    def spans(self) -> tuple[list[Span], list[float]]:
        """Return when attempts ran, each with its key, and when paced ones began."""
        begun: dict[tuple[str, int], tuple[float, str]] = {}
        spans: list[Span] = []
        starts: list[float] = []
        for line in self.file.read_text().splitlines():
            what, key, pid, at = line.split()
            if what == "start":
                starts.append(float(at))
            elif what == "begin":
                begun[key, int(pid)] = float(at), key
            else:
                started, _ = begun.pop((key, int(pid)))
                spans.append((started, float(at), key))
        for (key, pid), (started, _) in begun.items():
            spans.append((started, self.deaths[pid], key))
        return spans, sorted(starts)


def most_at_once(spans: list[Span]) -> int:
    """Return how many spans overlap at most."""
    events = sorted([(start, 1) for start, _, _ in spans] + [(end, -1) for _, end, _ in spans])
    most = now = 0
    for _, change in events:
        now += change
        most = max(most, now)
    return most


@pytest.mark.timeout(300)
def test_no_limit_is_passed_and_no_place_leaks_however_engines_die(tmp_path: Path) -> None:
    chance, killed = random.Random(SEED), Killed(tmp_path)
    killed.start()
    killed.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.1, 0.9))
        killed.kill(chance.choice(killed.living))
        killed.start()
    killed.end()

    spans, starts = killed.spans()
    with Reader(killed.store) as reader:
        rows = reader.runs(RunFilter(limit=1000))
        numbers = {row.id: reader.show(row.id).inputs["n"] for row in rows}
        assert len(rows) == RUNS
        assert {row.status for row in rows} == {"succeeded"}
        assert not reader.runs(RunFilter(status=tuple(LIVE)))
        living = {engine.id for engine in reader.engines() if engine.alive}
        held = [shared_of(fact) for fact in reader.facts().list(KIND)]
        assert not [each for each in held if living & each.holdings.keys()]
    assert len(spans) >= 3 * RUNS
    assert len(starts) >= RUNS
    assert most_at_once(spans) == PLACES

    by_key: dict[int, list[Span]] = defaultdict(list)
    by_lane: dict[int, dict[str, Span]] = defaultdict(dict)
    for start, end, key in spans:
        run_id = key.partition("/")[0]
        n = numbers[run_id]
        by_key[n % 3].append((start, end, key))
        known = by_lane[n % 2].get(run_id, (start, end, run_id))
        by_lane[n % 2][run_id] = (min(start, known[0]), max(end, known[1]), run_id)
    assert all(most_at_once(some) <= OF_ONE_KEY for some in by_key.values())
    assert all(most_at_once(list(some.values())) <= RUNS_AT_ONCE for some in by_lane.values())
    windows = zip(starts, starts[PACE:], strict=False)
    assert all(later - earlier >= PER - LATE for earlier, later in windows)
