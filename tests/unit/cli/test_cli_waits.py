"""What waiting tasks wait for, in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowbuilder.cli.waits import answer_to, until, waits_for
from flowbuilder.runtime.views import TaskView

NOW = 1_767_225_600.0


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (0, "due now"),
        (-5, "due now"),
        (5, "in 5s"),
        (0.2, "in 1s"),
        (3598, "in 59m58s"),
        (3 * 3600 + 59, "in 3h1m"),
        (90 * 86400 + 5, "in 90d"),
    ],
)
def test_a_moment_to_come_is_told_with_how_long_it_is(left: float, told: str) -> None:
    assert until(NOW + left, NOW).endswith(told)


def test_a_far_moment_has_its_date() -> None:
    assert until(NOW + 40 * 86400, NOW).startswith("until 2026-02-")


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (TaskView("waiting", "for the signal 'go'", until=NOW + 60), "for the signal 'go', until "),
        (TaskView("waiting", until=NOW + 60), "until "),
        (TaskView("waiting", error={"kind": "shell.exit"}, until=NOW + 60), "for the next attempt, until "),
        (TaskView("waiting", child="01K"), "for run 01K"),
        (TaskView("waiting"), ""),
        (TaskView("running", "for the signal 'go'", until=NOW + 60), ""),
    ],
)
def test_what_a_task_waits_for(task: TaskView, told: str) -> None:
    found = waits_for(task, NOW)

    assert found.startswith(told)
    assert bool(found) == bool(told)


@pytest.mark.parametrize(
    ("reason", "answer"),
    [
        ("for the signal 'go on'", "signal 01K 'go on'"),
        ("for 3 × the event 'order.paid'", "events emit order.paid"),
        ("for an approval: is the signal 'x' fine?", "approvals approve 01K 'a[1]'"),
        ("waits for a place in the queue 'q'", ""),
        (None, ""),
    ],
)
def test_how_a_wait_is_answered(reason: str | None, answer: str) -> None:
    found = answer_to("a[1]", TaskView("waiting", reason), "01K", Path("flowbuilder.db"))

    assert answer in found
    assert bool(found) == bool(answer)
