"""A crash before and after every write while triggers fire: each occasion has one run, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from flowbuilder import Config, Engine
from flowbuilder.core import values
from flowbuilder.storage.api import RunFilter, RunRow
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing import CrashingStore, FakeClock, pass_time
from flowbuilder.testing.crashing_store import Crash
from flowbuilder.testing.flows import dying_with

HOUR = 3600.0
EVENTS = 3
WRITES = 40
"""More than there are in the scenario: the last cases go through without a crash."""


def write(folder: Path) -> None:
    (folder / "hourly.yaml").write_text(
        "flow: hourly\ntriggers: [{every: 1h, catch_up: all, overlap: queue}]\ntasks: {a: {type: set, with: 1}}\n"
    )
    (folder / "after.yaml").write_text(
        "flow: after\ntriggers: [{flow: hourly}]\ntasks: {a: {type: set, with: 1}}\n"
    )
    (folder / "heard.yaml").write_text(
        "flow: heard\ntriggers: [{event: rung}]\ntasks: {a: {type: set, with: 1}}\n"
    )
    (folder / "load.yaml").write_text(
        "flow: load\ntriggers: [{file: '*.csv'}]\ntasks: {a: {type: set, with: 1}}\n"
    )
    (folder / "one.csv").write_text("1")
    (folder / "two.csv").write_text("2")


async def live(engine: Engine, folder: Path, clock: FakeClock, hours: int, *, rings: int = 0) -> None:
    """An engine for some hours, in the first of which events come."""
    await engine.up(folder, watch=False)
    await pass_time(engine, clock, 10)
    for number in range(rings):
        await engine.emit("rung", {"n": number}, id=f"e{number}")
    await pass_time(engine, clock, hours * HOUR)


async def runs(store: MemoryStore) -> list[RunRow]:
    reader = MemoryStore(store.place)
    reader.open(None)
    try:
        return reader.runs(RunFilter(limit=1000))
    finally:
        reader.close()


@pytest.mark.parametrize("after", [False, True], ids=["before-write", "after-write"])
@pytest.mark.parametrize("at", range(1, WRITES))
async def test_each_occasion_has_one_run_whatever_write_the_engine_dies_at(
    tmp_path: Path, at: int, after: bool
) -> None:
    write(tmp_path)
    clock, store = FakeClock(), MemoryStore()
    dying = CrashingStore(MemoryStore(store.place), at, after=after)
    with contextlib.suppress(Crash):
        async with dying_with(dying), asyncio.timeout(30):
            await _until_it_dies(dying, tmp_path, clock)
    until = 1_767_225_600.0 + 6.5 * HOUR
    async with (
        asyncio.timeout(30),
        Engine(":memory:", Config(), clock=clock, store=MemoryStore(store.place)) as engine,
    ):
        await live(engine, tmp_path, clock, 0, rings=EVENTS)
        await pass_time(engine, clock, until - clock.now())

    found = await runs(store)
    about = [values.decode(row.about)["trigger"] for row in found if row.about is not None]
    hours = sorted(one["scheduled_at"].hour for one in about if one["type"] == "every")
    ended = [one["run"]["id"] for one in about if one["type"] == "flow"]
    hourly = [row.id for row in found if row.flow == "hourly"]
    begun = hours[0] if hours else 1
    assert hours == list(range(begun, 7))
    assert begun == 1
    assert len(set(ended)) == len(ended)
    assert set(ended) == set(hourly)
    assert sorted(one["file"]["name"] for one in about if one["type"] == "file") == ["one.csv", "two.csv"]
    assert len({row.key for row in found if row.flow == "heard"}) == len(
        [r for r in found if r.flow == "heard"]
    )
    assert {row.status for row in found} == {"succeeded"}


async def _until_it_dies(dying: CrashingStore, folder: Path, clock: FakeClock) -> None:
    """An engine for four hours, or until its store dies."""
    engine = Engine(":memory:", Config(), clock=clock, store=dying)
    living = asyncio.ensure_future(_whole_life(engine, folder, clock))
    while not living.done():
        await asyncio.wait({living}, timeout=0.002)
        if dying.crashed:
            break
    living.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await living


async def _whole_life(engine: Engine, folder: Path, clock: FakeClock) -> None:
    async with engine:
        await live(engine, folder, clock, 4, rings=EVENTS)
