"""The examples of limits, each with what makes it wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine, RunCancelled
from flowbuilder.runtime.settings import read_settings
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import run_flow

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_crawl_keeps_to_the_rate_of_its_site(examples: Path) -> None:
    clock = FakeClock()
    view = await run_flow(examples / "rate_limited_crawl" / "flow.yaml", {"pages": 8}, clock=clock)

    assert view.outputs == {"pages": [f"page {number}" for number in range(1, 9)]}
    began = sorted(round((task.started_at or 0) - view.created_at, 3) for task in view.elements.values())
    assert began == [0, 0, 0, 0.05, 0.1, 0.15, 0.2, 0.25]


async def test_an_open_breaker_spares_the_service_calls(examples: Path) -> None:
    view = await run_flow(examples / "breaker_with_fallback" / "flow.yaml")

    assert view.outputs["calls"] == 3
    assert [price["because"] for price in view.outputs["prices"]] == ["http.503"] * 3 + ["circuit.open"] * 2


async def test_customers_take_turns_at_the_crane_and_the_urgent_go_first(
    examples: Path, tmp_path: Path
) -> None:
    folder, log = examples / "priority_lanes", tmp_path / "loads.txt"
    config = read_settings(folder, {}).config
    async with Engine(tmp_path / "s.db", config) as engine:
        starts = [("acme", "first", 50), ("acme", "low", 10), ("acme", "high", 90), ("zeta", "only", 1)]
        runs = []
        for customer, load, priority in starts:
            inputs = {"customer": customer, "load": load, "log": str(log), "seconds": 0.3 if not runs else 0}
            runs.append(await engine.start(folder / "flow.yaml", inputs, priority=priority))
        await asyncio.gather(*(run.result(30) for run in runs))

    lines = log.read_text().split("\n")[:-1]
    assert lines[0] == "acme first"
    assert lines.index("acme high") < lines.index("acme low")
    assert lines.index("zeta only") < 3


async def test_a_singleton_runs_one_at_a_time(examples: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    async with Engine(tmp_path / "s.db") as engine:
        runs = [
            await engine.start(examples / "singleton" / "flow.yaml", {"log": str(log)}, key=f"{n}")
            for n in range(3)
        ]
        assert [await run.result(30) for run in runs] == [{"synced": "berlin"}] * 3

    assert log.read_text().split("\n")[:-1] == ["begin berlin", "end berlin"] * 3


async def test_only_the_last_of_quick_starts_is_built(examples: Path, tmp_path: Path) -> None:
    async with Engine(tmp_path / "s.db") as engine:
        flow = examples / "debounce" / "flow.yaml"
        runs = [await engine.start(flow, {"commit": commit}) for commit in ("a", "b", "c")]

        assert await runs[-1].result(30) == {"built": "c"}
        for run in runs[:-1]:
            with pytest.raises(RunCancelled, match="takes its place"):
                await run.result(30)
