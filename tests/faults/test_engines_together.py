"""Several engines and readers on one store file; some of them are killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine, Reader, RunCancelled
from flowbuilder.testing.fake_clock import FakeClock
from world import until

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent / "engines"


class Process:
    """An engine in a process of its own."""

    def __init__(self, folder: Path, *flows: str) -> None:
        self._file = folder / "deeds"
        command = [sys.executable, HERE / "drives.py", folder / "store.db", self._file, folder / "go", *flows]
        self._process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)

    def line(self) -> str:
        """Return the next line that it says; empty when it has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        """End it with SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def end(self) -> int:
        """Wait for its end and return how it ended."""
        code = self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code


class Place:
    """The folder in which engines meet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store.db"
        self._processes: list[Process] = []

    def process(self, *flows: str) -> Process:
        """Start an engine that starts these flows, or carries on what is there."""
        self._processes.append(Process(self.folder, *flows))
        return self._processes[-1]

    def deeds(self) -> list[str]:
        """Return what was done so far."""
        file = self.folder / "deeds"
        return file.read_text().splitlines() if file.exists() else []

    def go(self) -> None:
        """Let go of what waits."""
        (self.folder / "go").touch()

    def close(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.kill()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A folder, and no process in it afterwards."""
    place = Place(tmp_path)
    try:
        yield place
    finally:
        place.close()


async def test_the_runs_of_a_killed_engine_are_taken_over_by_one_that_lives(place: Place) -> None:
    clock = FakeClock()
    async with Engine(place.store, clock=clock) as living:
        first = place.process("waits")
        run_id = (await asyncio.to_thread(first.line)).split()[1]
        await until(lambda: "held" in place.deeds())
        first.kill()
        with Reader(place.store) as reader:
            assert [row.id for row in reader.waiting()] == [run_id]
            assert reader.show(run_id).tasks["first"].status == "succeeded"

        clock.advance(30)  # the next round of upkeep
        await until(lambda: place.deeds().count("held") == 2)
        place.go()
        run = await living.get(run_id)

        assert await run.result(30) == {"last": "last"}
    assert place.deeds() == ["first", "held", "held", "last", "tidy succeeded"]


async def test_a_cancel_from_another_engine_reaches_the_owner(place: Place) -> None:
    first = place.process("waits")
    run_id = (await asyncio.to_thread(first.line)).split()[1]
    await until(lambda: "held" in place.deeds())

    async with Engine(place.store) as other:
        run = await other.get(run_id)
        assert await run.cancel("from beside")
        with pytest.raises(RunCancelled, match="from beside"):
            await run.result(30)

    assert await asyncio.to_thread(first.line) == "ended cancelled"
    assert await asyncio.to_thread(first.end) == 0
    assert place.deeds() == ["first", "held", "tidy cancelled"]


async def test_a_cancel_whose_owner_was_killed_is_carried_out_by_the_next(place: Place) -> None:
    first = place.process("waits")
    run_id = (await asyncio.to_thread(first.line)).split()[1]
    await until(lambda: "held" in place.deeds())
    async with Engine(place.store, recover=False) as other:
        first_run = await other.get(run_id)
        first.kill()
        await first_run.cancel("too late for the owner")
        view = await first_run.wait(30)

    assert view.status == "cancelled"
    assert place.deeds() == ["first", "held", "tidy cancelled"]


async def test_each_of_three_engines_drives_its_own_runs_and_all_see_all(place: Place) -> None:
    processes = [place.process("waits") for _ in range(3)]
    ids = {(await asyncio.to_thread(process.line)).split()[1] for process in processes}
    await until(lambda: place.deeds().count("held") == 3)
    with Reader(place.store) as reader:
        assert {row.id for row in reader.runs()} == ids
        assert len({row.owner for row in reader.runs()}) == 3
        assert not reader.waiting()

    place.go()
    for process in processes:
        assert await asyncio.to_thread(process.end) == 0

    deeds = place.deeds()
    assert {name: deeds.count(name) for name in set(deeds)} == dict.fromkeys(
        ("first", "held", "last", "tidy succeeded"), 3
    )


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("flow", "deaths", "deeds"),
    [
        ("kills", 3, ["fine", "deadly", "deadly", "deadly", "alert engine.crashed", "tidy"]),
        ("kills_late", 3, ["fine", "deadly", "deadly", "deadly"]),
    ],
)
def test_a_run_whose_task_kills_the_engine_each_time_fails_after_three_crashes(
    flow: str, deaths: int, deeds: list[str], place: Place
) -> None:
    codes = [place.process(flow).end()]
    while codes[-1] != 0 and len(codes) < 8:
        codes.append(place.process().end())

    assert codes == [-signal.SIGKILL] * deaths + [0]
    with Reader(place.store) as reader:
        (row,) = reader.runs()
        view = reader.show(row.id)
    assert view.status == "failed"
    assert (view.error or {})["kind"] == "engine.crashed"
    assert place.deeds() == deeds


@pytest.mark.timeout(180)
def test_an_undo_that_kills_the_engine_each_time_is_given_up_and_the_others_go_on(place: Place) -> None:
    codes = [place.process("kills_undo").end()]
    while codes[-1] != 0 and len(codes) < 8:
        codes.append(place.process().end())

    assert codes == [-signal.SIGKILL] * 3 + [0]
    with Reader(place.store) as reader:
        (row,) = reader.runs()
        view = reader.show(row.id)
    assert view.error is not None
    assert view.error["kind"] == "mine"
    assert [(one["task"], one["kind"]) for one in view.error["not_undone"]] == [("other", "engine.crashed")]
    assert place.deeds() == ["fine", "other", "deadly", "deadly", "deadly", "undo fine", "alert mine"]


def test_an_effect_that_must_not_be_made_twice_fails_when_its_engine_dies(place: Place) -> None:
    first = place.process("once")
    run_id = first.line().split()[1]
    while "held" not in place.deeds():
        pass
    first.kill()

    assert place.process().end() == 0

    with Reader(place.store) as reader:
        view = reader.show(run_id)
    assert place.deeds() == ["held"]
    assert view.outputs == {"held": "engine.crashed"}
    assert "on_crash: fail" in (view.tasks["held"].error or {})["message"]
