"""What tests of flows send: signals, events, decisions."""

import asyncio
from pathlib import Path

import pytest

from flowbuilder.core.errors import FlowError
from flowbuilder.testing.cases.read import read_suite
from flowbuilder.testing.cases.suite import run_cases

FLOW = """
flow: order
inputs: {id: {type: integer, default: 7}}
tasks:
  paid: {type: wait, with: {event: order.paid, filter: "${{ event.payload.id == inputs.id }}", timeout: 3d}}
  packed: {needs: [paid], type: wait, with: {signal: packed, timeout: 1d}}
  review:
    needs: [packed]
    type: approval
    with: {message: Send it?, form: {type: object, required: [carrier], properties: {carrier: {type: string}}}, timeout: 2d}
  told: {needs: [review], type: emit, with: {event: order.sent, payload: {by: "${{ tasks.review.output.form.carrier }}"}}}
outputs: {amount: "${{ tasks.paid.output.amount }}", by: "${{ tasks.review.output.by }}"}
"""
SENT = """
send:
  - {event: order.paid, payload: {id: 8, amount: 1}}
  - {event: order.paid, payload: {id: 7, amount: 5}}
  - {signal: packed, at: 2h}
  - {approve: review, by: ada, form: {carrier: bike}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "order.yaml").write_text(FLOW)
    return tmp_path


def problems(folder: Path, case: str) -> list[str]:
    path = folder / "order.test.yaml"
    path.write_text("tests:\n  one:\n" + "\n".join("    " + line for line in case.splitlines()))

    async def run() -> list[str]:
        return [
            problem async for result in run_cases(read_suite(path).cases, 1) for problem in result.problems
        ]

    return asyncio.run(run())


def test_events_signals_and_decisions_come_in_order(folder: Path) -> None:
    case = (
        SENT
        + """
expect:
  outputs: {amount: 5, by: ada}
  events: [{event: order.sent, payload: {by: bike}}]
  order: [paid, packed, review, told]
  duration: 2h
"""
    )
    assert problems(folder, case) == []


def test_what_never_comes_runs_into_its_timeout(folder: Path) -> None:
    assert problems(folder, "expect: {error: {kind: wait.timeout, task: paid}, duration: 3d}") == []


def test_a_rejection_fails_the_approval(folder: Path) -> None:
    case = SENT.replace(
        "{approve: review, by: ada, form: {carrier: bike}}", "{reject: review, by: ada, reason: no}"
    )

    assert problems(folder, case + "expect: {error: approval.rejected, events: []}") == []


def test_a_form_that_does_not_fit_is_told(folder: Path) -> None:
    (told, *_) = problems(folder, SENT.replace("carrier: bike", "carrier: 5"))

    assert "carrier" in told


def test_a_wait_without_end_is_told(folder: Path) -> None:
    (folder / "order.yaml").write_text("flow: order\ntasks:\n  w: {type: wait, with: {signal: go}}\n")

    (told,) = problems(folder, "timeout: 10s")

    assert told == "the run waits for ever, in w: `send` what it waits for, or give it a `timeout`"


def test_waits_and_approvals_may_be_mocked(folder: Path) -> None:
    case = """
mocks:
  paid: {output: {amount: 3}}
  packed: {output: null}
  "type:approval": {output: {by: eve, form: {carrier: car}}}
expect: {outputs: {amount: 3, by: eve}, duration: 0s}
"""
    assert problems(folder, case) == []


@pytest.mark.parametrize(
    ("cancel", "message"), [("true", ""), ("no more of it", "no more of it"), ("'true'", "true")]
)
def test_a_run_is_cancelled_with_a_reason_or_without(folder: Path, cancel: str, message: str) -> None:
    case = f"send: [{{cancel: {cancel}, at: 1h}}]\nexpect: {{status: cancelled, duration: 1h, error: {{message: '{message}'}}}}"

    assert problems(folder, case) == []


def test_what_is_no_pause_is_told_once(folder: Path) -> None:
    with pytest.raises(FlowError) as raised:
        problems(folder, "send: [{pause: false}, {resume: soon}, {cancel: [x]}]")

    assert [(one.what, one.hints) for one in raised.value.diagnostics] == [
        ("'pause' takes `true`, and this is a boolean", ("write `pause: true`, or leave it out",)),
        ("'resume' takes `true`, and this is a text", ("write `resume: true`, or leave it out",)),
        ("'cancel' takes a text, and this is a list", ()),
    ]


def test_a_run_may_be_left_waiting_or_paused(folder: Path) -> None:
    (folder / "order.yaml").write_text("flow: f\ntasks: {a: {type: wait, with: {signal: go}}}\n")

    assert problems(folder, "expect: {status: waiting, tasks: {a: waiting}}") == []
    assert problems(folder, "send: [{pause: true, at: 5m}]\nexpect: {status: paused, duration: 5m}") == []
    (told,) = problems(folder, "expect: paused")
    assert told.startswith("the run waits for ever, in a")


def test_durations_are_told_as_a_flow_writes_them(folder: Path) -> None:
    expect = "expect: {error: {kind: wait.timeout}, duration: [9d, 10d]}"

    assert problems(folder, expect) == ["duration: expected 9d to 10d, got 3d"]
