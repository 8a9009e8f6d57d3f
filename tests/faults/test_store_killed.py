"""A process that writes is killed at random moments: what it was told is kept is kept."""

import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from store_writer import batch

from flowbuilder.storage.api import LIVE, RunFilter
from flowbuilder.storage.sqlite import SqliteStore

WRITER = Path(__file__).with_name("store_writer.py")


@contextmanager
def writer(path: Path, engine: str, group: int = 5) -> Iterator[subprocess.Popen[str]]:
    """Lend a process that writes; it is killed at the end, if it was not before."""
    process = subprocess.Popen(
        [sys.executable, str(WRITER), str(path), engine, str(group)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def killed_after(process: subprocess.Popen[str], groups: int, more: int) -> list[tuple[str, str]]:
    """Kill the process some time after it has acknowledged `groups`; returns (run, status) it was sure of."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(groups)]
    for _ in range(more):  # somewhere in the middle of what comes next, wherever that is
        pass
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    found = []
    for line in lines:
        if line.endswith("\n"):
            *run_ids, status = line.split()
            found += [(run_id, status) for run_id in run_ids]
    return found


@pytest.mark.parametrize("seed", range(12))
def test_what_was_acknowledged_is_there_after_a_kill(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    path = tmp_path / "store.db"
    sure: list[tuple[str, str]] = []
    for life in range(2):
        with writer(path, f"engine-{life}", group=chance.choice([1, 3, 50])) as process:
            sure += killed_after(process, chance.randrange(1, 25), chance.randrange(3_000_000))

    store = SqliteStore(path)
    store.open("after")
    try:
        taken = {row.id for row in store.take_over(limit=1_000_000)}
        for run_id, status in sure:
            row = store.run(run_id)
            assert row is not None
            assert row.status == status
            assert store.journal(run_id) == [batch(run_id, 0), batch(run_id, 1)]
            assert (run_id in taken) == (status in LIVE)
        for row in store.runs(RunFilter(limit=1_000_000)):
            # what was in flight is there whole or not at all
            assert store.journal(row.id) in ([batch(row.id, 0)], [batch(row.id, 0), batch(row.id, 1)])
        assert [engine.id for engine in store.engines()] == ["after"]
    finally:
        store.close()


def test_two_processes_and_a_reader_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with writer(path, "one") as one, writer(path, "two") as two:
        reader = SqliteStore(path)
        reader.open(None)
        try:
            assert one.stdout is not None
            assert two.stdout is not None
            for _ in range(20):
                for process in (one, two):
                    assert process.stdout is not None
                    *run_ids, status = process.stdout.readline().split()
                    assert {row.status for run_id in run_ids if (row := reader.run(run_id))} == {status}
            assert {engine.id: engine.alive for engine in reader.engines()} == {"one": True, "two": True}

            sure_one = {run_id for run_id, status in killed_after(one, 0, 0) if status in LIVE}

            assert {engine.id: engine.alive for engine in reader.engines()} == {"one": False, "two": True}
        finally:
            reader.close()
        store = SqliteStore(path)
        store.open("three")
        try:
            taken = store.take_over(limit=1_000_000)

            assert sure_one <= {row.id for row in taken}
            assert {row.owner for row in taken} == {"three"}
            assert {row.crashes for row in taken} == {1}
            assert {engine.id: engine.alive for engine in store.engines()} == {"two": True, "three": True}
        finally:
            store.close()
