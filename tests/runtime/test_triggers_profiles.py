"""The profile of a project that is up: what triggers see of it, and what the runs keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Config, Engine
from flowbuilder.core import values
from flowbuilder.core.errors import ProfileError
from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing import FakeClock, pass_time
from flowbuilder.testing.flows import finish

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder.triggers.happenings import Happening

PROFILES = """
profile = "dev"
[profiles.dev.config]
region = "north"
[profiles.prod.config]
region = "south"
[profiles.broken.config]
region = 7
[profiles.dev.connections.shop]
type = "sqlite"
path = "dev.db"
[profiles.prod.connections.shop]
type = "sqlite"
path = "prod.db"
"""
FLOW = """
flow: sell
config: {region: {type: string}}
inputs: {where: {type: string}}
triggers:
  - every: 1h
    name: hourly
    if: config.region != 'nowhere'
    key: "${{ config.region }} ${{ trigger.scheduled_at }}"
    with: {where: "${{ config.region }}"}
tasks:
  a: {type: set, with: "${{ [inputs.where, config.region] }}"}
outputs: {seen: "${{ tasks.a.output }}"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with profiles, and a flow that takes something from them."""
    (tmp_path / "flowbuilder.toml").write_text(PROFILES)
    (tmp_path / "sell.yaml").write_text(FLOW)
    return tmp_path


def engine_with(profile: str | None, clock: FakeClock, store: MemoryStore | None = None) -> Engine:
    return Engine(
        ":memory:", Config(), store=store or MemoryStore(), clock=clock, secrets={}, profile=profile
    )


async def an_hour(engine: Engine, clock: FakeClock, project: Path) -> tuple[list[Any], list[Happening]]:
    """The results of the runs of one hour, and what was told."""
    told: list[Happening] = []
    await engine.up(project, watch=False, on=told.append)
    await pass_time(engine, clock, 3600)
    rows = await engine.runs(RunFilter())
    return [(row.key, values.decode(row.result or b"\xc0")) for row in rows], told


@pytest.mark.parametrize(("named", "region"), [(None, "north"), ("prod", "south")])
async def test_a_trigger_sees_the_config_of_the_profile_and_its_run_the_same(
    project: Path, named: str | None, region: str
) -> None:
    async with engine_with(named, clock := FakeClock()) as engine:
        ((key, result),), _ = await an_hour(engine, clock, project)

    assert key.split(" ")[0] == region
    assert result == {"seen": [region, region]}


async def test_what_the_profile_lacks_is_told_when_the_flow_is_loaded_and_recorded_when_it_fires(
    project: Path,
) -> None:
    async with engine_with("broken", clock := FakeClock()) as engine:
        runs, told = await an_hour(engine, clock, project)

    (warning,) = [one for one in told if one.what == "warning"]
    assert "config.region" in warning.message
    assert [result["kind"] for _, result in runs] == ["input"]


async def test_a_rerun_keeps_the_profile_of_the_run_unless_another_is_named(project: Path) -> None:
    async with engine_with(None, clock := FakeClock()) as engine:
        first = await engine.start(project / "sell.yaml", {"where": "x"}, profile="prod")
        await finish(engine, first, clock)
        (project / "flowbuilder.toml").write_text(
            PROFILES.replace('"north"', '"high north"').replace("south", "far south")
        )
        seen: list[Any] = []
        for profile in (None, "dev"):
            again = await engine.rerun(first.id, profile=profile)
            forked = await engine.fork(first.id, from_tasks=["a"], profile=profile)
            seen += [(await run.result(20))["seen"] for run in (again, forked)]
    assert seen == [["x", "south"]] * 2 + [["x", "high north"]] * 2


async def test_a_run_that_is_resumed_with_a_profile_has_its_connections_from_then_on(project: Path) -> None:
    (project / "two.yaml").write_text("""
flow: two
connections: [shop]
tasks:
  wait: {type: sleep, with: {for: 1h}}
  ask: {type: sql, with: {connection: shop, query: SELECT file FROM pragma_database_list, fetch: value}, needs: [wait]}
outputs: {file: "${{ tasks.ask.output }}"}
""")
    store, clock = MemoryStore(), FakeClock()
    async with engine_with(None, clock, store) as engine:
        run = await engine.start(project / "two.yaml")
    async with Engine(
        ":memory:", Config(), store=MemoryStore(store.place), clock=clock, secrets={}, recover=False
    ) as engine:
        with pytest.raises(ProfileError, match="there is no connection 'shop'"):
            await engine.resume([run.id], profile="broken")
        (resumed,) = await engine.resume([run.id], profile="prod")
        await finish(engine, resumed, clock)
        assert (await resumed.result(20))["file"].endswith("prod.db")
