"""What tasks wait for, until when, and what to type so that they go on."""

from __future__ import annotations

import re
import shlex
import time
from typing import TYPE_CHECKING, Final

from flowbuilder.cli.next_steps import typed
from flowbuilder.cli.tables import one_line
from flowbuilder.core.durations import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowbuilder.runtime.views import RunView, TaskView

LONG: Final = 5.0
"""Seconds that a wait which ends by itself takes at least to be worth a line of its own."""
_HEARS: Final = re.compile(r"for (?:\d+ × )?the (signal|event) '(.+)'")
_ASKS: Final = "for an approval"
_DAY: Final = 86400.0


def until(moment: float, now: float | None = None) -> str:
    """Return a moment to come as people read it: `until 14:03:05, in 59m58s`."""
    now = time.time() if now is None else now
    left = moment - now
    if left <= 0:
        return "due now"
    near = left < _DAY and time.localtime(moment)[:3] == time.localtime(now)[:3]
    clock = time.strftime("%H:%M:%S" if near else "%Y-%m-%d %H:%M:%S", time.localtime(moment))
    return f"until {clock}, in {format_duration(_rounded(left))}"


def _rounded(seconds: float) -> float:
    """Return seconds without what nobody reads: days have no seconds, hours no fractions."""
    unit = 3600 if seconds >= 2 * _DAY else 60 if seconds >= 7200 else 1
    return max(1, round(seconds / unit) * unit)


def waits_for(task: TaskView, now: float | None = None) -> str:
    """Return what a task that waits waits for and until when; empty where nothing is known of it."""
    if task.status != "waiting":
        return ""
    reason = task.reason or ("for the next attempt" if task.error else "")
    parts = [one_line(reason)] if reason else []
    if task.until is not None:
        parts.append(until(task.until, now))
    if not parts and task.child:
        parts.append(f"for run {task.child}")
    return ", ".join(parts)


def waiting_lines(view: RunView, store: Path) -> Iterator[tuple[str, str]]:
    """Yield what to say of each task of a run that waits for somebody, or for long, by its path."""
    now = time.time()
    for path, task in (*view.tasks.items(), *view.elements.items()):
        answer = answer_to(path, task, view.run_id, store)
        long = task.until is not None and task.until - now >= LONG
        if task.status == "waiting" and (answer or long):
            about = waits_for(task, now).removeprefix("waits ")
            yield path, f"{path} waits {about}" + (f"\n  {answer}" if answer else "")


def answer_to(path: str, task: TaskView, run_id: str, store: Path) -> str:
    """Return the command with which somebody answers what a task waits for; empty where nobody can."""
    if task.status != "waiting" or not task.reason:
        return ""
    if task.reason.startswith(_ASKS):
        return typed(f"approvals approve {run_id} {shlex.quote(path)}", store)
    if heard := _HEARS.fullmatch(task.reason):
        name = shlex.quote(heard[2])
        words = f"signal {run_id} {name}" if heard[1] == "signal" else f"events emit {name}"
        return typed(words, store)
    return ""
