"""The `deadline` of a flow: by when a run has ended, whatever it did until then."""

from __future__ import annotations

import pytest

from flowbuilder import Engine, FlowError, InputError
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import load_text, run_flow

FLOW = """
flow: t
inputs: {due: {type: string, format: date-time, default: "2026-01-01T00:00:00Z"}}
deadline: %s
tasks:
  nap: {type: sleep, with: {for: 2d}}
on_failure:
  told: {type: set, with: "${{ error.kind }}"}
"""


@pytest.mark.parametrize(
    ("deadline", "seconds"),
    [
        ("1h", 3600),
        ("${{ now() + hours(2) }}", 7200),
        ("${{ minutes(30) }}", 1800),
        ("${{ in_zone(run.started_at + days(1), 'UTC') }}", 86400),
    ],
)
async def test_a_run_that_has_not_ended_by_then_fails_and_its_handlers_run(
    deadline: str, seconds: int
) -> None:
    clock = FakeClock()
    start = clock.now()
    run = await run_flow(FLOW % deadline, clock=clock)

    assert run.status == "failed"
    assert run.error is not None
    assert run.error["kind"] == "timeout"
    assert "deadline" in run.error["message"]
    assert run.tasks["on_failure:told"].output == "timeout"
    assert clock.now() - start == pytest.approx(seconds, abs=1)


async def test_a_moment_that_is_past_ends_a_run_at_once() -> None:
    run = await run_flow(FLOW % "${{ inputs.due }}", clock=FakeClock())
    assert run.error is not None
    assert run.error["kind"] == "timeout"
    again = await run_flow(FLOW % "'2026-01-01T00:00:00+01:00'", clock=FakeClock())
    assert again.error is not None


async def test_a_deadline_further_off_than_the_run_changes_nothing() -> None:
    run = await run_flow(FLOW % "3d", clock=FakeClock())
    assert run.status == "succeeded"


async def test_what_gives_no_moment_is_refused_before_the_run_starts() -> None:
    async with Engine.in_memory() as engine:
        with pytest.raises(InputError, match="deadline"):
            await engine.start(load_text(FLOW % "${{ [1] }}"))


@pytest.mark.parametrize("wrong", ["soon", "0s", "${{ tasks.nap.output }}", "5", "[1]", "${{ secrets.X }}"])
def test_a_deadline_that_is_none_is_said_before_anything_runs(wrong: str) -> None:
    with pytest.raises(FlowError):
        load_text(FLOW % wrong)
