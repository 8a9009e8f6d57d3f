"""The examples that start by themselves, up on a clock that jumps."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbuilder import Config, Engine
from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing import FakeClock, pass_time

if TYPE_CHECKING:
    from flowbuilder.runtime.views import RunView

DAY = 86400.0


async def shown(engine: Engine, flow: str) -> list[RunView]:
    rows = await engine.runs(RunFilter(flow=flow, limit=1000))
    return [await engine.show(row.id) for row in reversed(rows)]


def outputs(views: list[RunView], name: str) -> list[Any]:
    return [view.outputs[name] for view in views]


async def test_the_nightly_batch_makes_up_for_the_nights_that_were_missed(examples: Path) -> None:
    clock, store = FakeClock(), MemoryStore()
    async with Engine(":memory:", Config(), clock=clock, store=store) as engine:
        await engine.up(examples / "nightly_batch", watch=False)
        await pass_time(engine, clock, 1.5 * DAY)
    clock.advance(3 * DAY)
    async with Engine(":memory:", Config(), clock=clock, store=MemoryStore(store.place)) as engine:
        await engine.up(examples / "nightly_batch", watch=False)
        await pass_time(engine, clock, DAY)

        days = outputs(await shown(engine, "nightly-batch"), "day")

    assert days == [dt.date(2025, 12, 31), *(dt.date(2026, 1, day) for day in range(1, 6))]


async def test_the_interval_keeps_to_the_day(examples: Path) -> None:
    clock = FakeClock()
    async with Engine.in_memory(Config(), clock=clock) as engine:
        await engine.up(examples / "interval", watch=False)
        await pass_time(engine, clock, DAY)

        looks = outputs(await shown(engine, "interval"), "looked_for")

    assert len(looks) == 16 * 4
    assert (looks[0], looks[-1]) == ("2026-01-01T06:00:00+01:00", "2026-01-01T21:45:00+01:00")


async def test_each_file_that_arrives_is_loaded_once(examples: Path) -> None:
    clock = FakeClock()
    async with Engine.in_memory(Config(), clock=clock) as engine:
        project = await engine.up(examples / "file_arrival", watch=False)
        await pass_time(engine, clock, 10)
        (examples / "file_arrival" / "inbox" / "more.csv").write_text("id,total\n7,1.25\n")
        await project.reload()
        await pass_time(engine, clock, 10)

        assert outputs(await shown(engine, "file-arrival"), "total") == [26.4, 1.25]


async def test_the_report_follows_the_orders(examples: Path) -> None:
    clock = FakeClock()
    async with Engine.in_memory(Config(), clock=clock) as engine:
        await engine.up(examples / "flow_completed", watch=False)
        await pass_time(engine, clock, 2 * 3600)

        assert outputs(await shown(engine, "orders-report"), "report") == ["3 orders", "3 orders"]


async def test_flows_in_python_start_by_themselves(examples: Path) -> None:
    clock = FakeClock()
    async with Engine.in_memory(Config(), clock=clock) as engine:
        await engine.up(examples / "python_schedule", watch=False)
        await pass_time(engine, clock, 2 * DAY)

        announced = outputs(await shown(engine, "announcement"), "result")

    assert announced == ["2026-01-01: 32.50", "2026-01-02: 32.50"]
