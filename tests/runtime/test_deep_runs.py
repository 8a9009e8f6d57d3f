"""Runs inside runs: a flow that starts itself without end is stopped at a bound, and by whoever stops the engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from flowbuilder import Config, Engine, load
from flowbuilder.runtime.config import LimitsConfig
from flowbuilder.runtime.sub_flows import FAILED_INSIDE
from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.fake_clock import FakeClock
from world import until

if TYPE_CHECKING:
    from pathlib import Path

SELF = """
flow: self
inputs: {n: {type: integer, default: 0}, wait: {type: boolean, default: false}}
tasks:
  nap: {if: inputs.wait, type: sleep, with: {for: 1h}}
  again:
    needs: [nap]
    run_when: all_done
    type: flow
    with: {name: "${{ run.flow }}", inputs: {n: "${{ inputs.n + 1 }}", wait: "${{ inputs.wait }}"}}
"""


def config(most: int) -> Config:
    return Config(limits=LimitsConfig(deep_runs=most))


async def test_the_bound_can_be_set_and_its_breach_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "self.yaml").write_text(SELF)
    async with Engine(tmp_path / "store.db", config(150)) as engine:
        view = await (await engine.start(load(tmp_path / "self.yaml"))).wait(60)

        assert len(await engine.runs(RunFilter(limit=1000))) == 151
        error = view.error or {}
        assert error["kind"] == "flow.too_deep"
        assert error["message"].count(FAILED_INSIDE) == 1
        assert "limits.deep_runs" in error["message"]
        assert error["data"]["task"] == "again"


async def test_runs_that_wait_in_the_store_count_too(tmp_path: Path) -> None:
    (tmp_path / "self.yaml").write_text(SELF)
    clock = FakeClock()
    async with Engine(tmp_path / "store.db", config(3), clock=clock) as engine:
        run = await engine.start(load(tmp_path / "self.yaml"), {"wait": True})
        while (await engine.row(run.id)).ended_at is None:
            await asyncio.sleep(0.005)
            moment = engine.core.machine.timers.next_moment()
            if engine.core.only_waits() and moment is not None:
                clock.jump(moment)
        assert (await engine.show(run.id)).error["kind"] == "flow.too_deep"
        assert len(await engine.runs()) == 4


async def test_an_engine_whose_runs_start_each_other_without_end_stops_when_it_is_told(
    tmp_path: Path,
) -> None:
    (tmp_path / "self.yaml").write_text(SELF)
    engine = Engine(tmp_path / "store.db", config(10_000), recover=False)
    await engine.core.open()
    await engine.start(load(tmp_path / "self.yaml"))
    await until(lambda: len(engine.core.machine.runs.live) > 100)

    async with asyncio.timeout(20):
        await engine.stop(0.1)

    store = SqliteStore(tmp_path / "store.db")
    store.open(None)
    assert all(not one.alive for one in store.engines())
    store.close()
