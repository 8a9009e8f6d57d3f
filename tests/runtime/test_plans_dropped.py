"""Plans of versions that no run needs any more are dropped, however long an engine reads flows again."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine
from flowbuilder.core.plan import FlowPlan
from flowbuilder.runtime import kept_plans
from flowbuilder.runtime.kept_plans import KeptPlans
from flowbuilder.runtime.plans import Plans
from flowbuilder.testing import FakeClock, pass_time
from flowbuilder.testing.flows import finish

if TYPE_CHECKING:
    from pathlib import Path

FLOW = """
flow: changing
triggers: [{every: 1h}]
tasks:
  a: {type: set, with: NUMBER}
  b: {type: sleep, with: {for: DURATION}, needs: [a]}
outputs: {number: "${{ tasks.a.output }}"}
"""


def text(number: int, duration: str = "1m") -> str:
    return FLOW.replace("NUMBER", str(number)).replace("DURATION", duration)


def alive() -> int:
    """How many plans of the flow are in memory."""
    gc.collect()
    return sum(type(one) is FlowPlan and one.name == "changing" for one in gc.get_objects())


@pytest.fixture
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few plans are kept that nobody uses."""
    monkeypatch.setattr(KeptPlans.__init__, "__defaults__", (3,))


@pytest.mark.usefixtures("_few")
async def test_a_project_that_reloads_for_days_keeps_the_versions_in_use_and_few_others(
    tmp_path: Path,
) -> None:
    file, clock = tmp_path / "changing.yaml", FakeClock()
    before = alive()
    async with Engine.in_memory(Config(), clock=clock) as engine:
        file.write_text(text(0, "40d"))
        project = await engine.up(tmp_path, watch=False)
        first = await engine.get(await project.trigger("changing/every-1"))
        for number in range(1, 25):
            file.write_text(text(number))
            await project.reload()
            await pass_time(engine, clock, 3600)
        assert alive() - before <= 6

        await finish(engine, first, clock)  # its version can be made again
        assert (await first.result(20))["number"] == 0


@pytest.mark.usefixtures("_few")
def test_a_plan_that_somebody_uses_stays_the_same_one() -> None:
    plans = Plans()

    def of(number: int) -> FlowPlan:
        return plans.of_checked(plans.compile_text(text(number), "changing.yaml", lambda *_: ""))

    used = of(0)
    for number in range(1, 20):
        of(number)

    assert of(0) is used
    assert kept_plans.RECENT > 3


async def test_little_is_kept_of_versions_that_were_started_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_plans, "KNOWN", 5)
    parent = "flow: parent\ntasks: {c: {type: flow, with: {path: child.yaml}}}\nversion: '%d'\n"
    async with Engine(tmp_path / "s.db", Config()) as engine:
        machine = engine.core.machine
        for number in range(20):
            (tmp_path / "child.yaml").write_text(
                f"{{flow: child, version: '{number}', tasks: {{a: {{type: set, with: 1}}}}}}"
            )
            (tmp_path / "parent.yaml").write_text(parent % number)
            for _ in range(2):
                run = await engine.start(tmp_path / "parent.yaml")
                await run.result(20)
            machine.plans.of_definition(run._row.flow_hash, engine._store.flow(run._row.flow_hash) or b"")
        kept = (machine.starts._kept, machine.starts._homes, machine.plans._homes, machine.plans._beside)
        assert [len(known) for known in kept] == [5, 5, 5, 5]
