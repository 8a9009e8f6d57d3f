"""How a run went, for people: a table of its tasks, its error, and what to type next."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.cli import exits
from flowbuilder.cli.next_steps import next_steps
from flowbuilder.cli.parsing import nearest
from flowbuilder.cli.tables import STATUS_COLOURS, one_line, show_table
from flowbuilder.cli.terminal import data, is_rich, say
from flowbuilder.cli.waits import waits_for
from flowbuilder.core import values
from flowbuilder.core.durations import format_duration
from flowbuilder.core.errors import NotFound
from flowbuilder.runtime.views import told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from flowbuilder.runtime.views import RunView, TaskView
    from flowbuilder.storage.api import RunStatus

MARKS: Final[Mapping[str, str]] = {
    "succeeded": "✓",
    "failed": "✗",
    "cancelled": "■",
    "skipped": "–",
    "running": "▶",
    "waiting": "…",
    "ready": "·",
    "pending": "·",
}
REASONS: Final[Mapping[str, str]] = {
    "condition": "its condition does not hold",
    "upstream_failed": "what it needs failed",
    "upstream_skipped": "what it needs was skipped",
    "not_reached": "the run ended before it",
    "not_failed": "the run did not fail",
    "edited": "its output was set by hand",
    "nothing_to_undo": "there was nothing to undo",
    "without_undo": "the run was cancelled without undo",
    "cached": "its output comes from the cache",
}
"""Why a task did not run, in words."""
ENDED_STATUSES: Final[tuple[RunStatus, ...]] = ("succeeded", "failed", "cancelled")
_MOST_ROWS = 60
_NAMED: Final = 5
"""Elements of a map that are named as having failed."""


def as_json(value: Any, *, indent: bool = False) -> str:
    """Return a value as JSON; dates as ISO 8601, bytes as base64."""
    text = msgspec.json.encode(values.to_json(value))
    return (msgspec.json.format(text, indent=2) if indent else text).decode()


def exit_code(view: RunView, *, interrupted: bool = False) -> int:
    """Return the exit code that says how a run stands."""
    match view.status:
        case "succeeded":
            return exits.DONE
        case "failed":
            return exits.FAILED
        case "cancelled":
            return exits.INTERRUPTED if interrupted else exits.CANCELLED
        case _:
            return exits.INTERRUPTED if interrupted else exits.TOO_LONG


def show_result(view: RunView, store: Path, *, json: bool, quiet: bool, left: bool = False) -> None:
    """Print what a run has come to: its outputs as data, the rest beside it.

    Args:
        view: the run.
        store: where it is kept.
        json: print the object that is the same in every release.
        quiet: say nothing but what went wrong.
        left: whether the engine here has left the run before its end.
    """
    if json:
        data(as_json(view.to_json()))
    elif view.status == "succeeded" and view.outputs:
        data(as_json(view.outputs, indent=True))
    if quiet:
        if view.error and view.status == "failed":
            say(error_line(view.error))
            for line in not_undone(view):
                say(line)
    else:
        show_summary(view, store, left=left)


def show_summary(view: RunView, store: Path, *, left: bool = False) -> None:
    """Tell on standard error how a run went, task by task, and what to type next."""
    show_tasks(view)
    say()
    if view.error and view.status == "failed":
        say(_coloured("1;31", error_line(view.error)))
    for line in not_undone(view):
        say(_coloured("1;31", line))
    duration = duration_of(view)
    took = f" in {format_time(duration)}" if duration is not None else ""
    mark = MARKS.get(view.status, "·")
    head = _coloured(STATUS_COLOURS.get(view.status, ""), f"{mark} {view.flow} {view.status}{took}")
    say(f"{head}   run {view.run_id}")
    steps = next_steps(view, store, left=left)
    widest = max(len(typed) for typed, _ in steps)
    for typed, why in steps:
        say(f"  {_coloured('36', typed)}{' ' * (widest - len(typed))}  {_coloured('2', why)}")


def show_tasks(view: RunView) -> None:
    """Print the table of a run's tasks on standard error."""
    rows = [task_row(name, task) for name, task in told(view)]
    if len(rows) > _MOST_ROWS:
        # what went wrong first; a table of ten thousand rows tells nobody anything
        rows.sort(key=lambda row: row[1] != "failed")
        hidden = len(rows) - _MOST_ROWS
        rows = [*rows[:_MOST_ROWS], (f"… {hidden} more", "", "", "")]
    if rows:
        show_table(sys.stderr, ("task", "status", "time", "note"), rows, numbers=frozenset({"time"}))


def task_of(view: RunView, name: str) -> TaskView:
    """Return a task of a run, or an element of a map, by its path.

    Raises:
        NotFound: the run has none of this name.
    """
    task = view.tasks.get(name) or view.elements.get(name)
    if task is None:
        raise NotFound("task", name, nearest(name, view.tasks) or f"run {view.run_id} has none of this name")
    return task


def task_row(name: str, task: TaskView) -> tuple[str, str, str, str]:
    """Return a task's row: name, status, time, what is worth noting."""
    time = format_time(task.duration) if task.duration is not None and task.status != "skipped" else ""
    return name, task.status, time, _note(name, task)


def _note(name: str, task: TaskView) -> str:
    notes = []
    if task.rounds is not None:
        notes.append(f"{task.rounds:,} round{'s' * (task.rounds != 1)}")
    if task.items is not None:
        whole = f"{task.items:,} item{'s' * (task.items != 1)}"
        count = whole if task.items_done == task.items else f"{task.items_done} of {whole}"
        notes.append(count + (f", {_failed(task.errors)}" if task.errors else ""))
    if task.undone:
        notes.append(f"{task.undone:,} undone")
    if task.taken_over:
        notes.append("taken over")
    if task.attempts > 1:
        notes.append(f"{task.attempts} attempts")
    if waiting := waits_for(task):
        notes.append(waiting)
    elif task.reason and task.reason != task.status:
        notes.append(REASONS.get(task.reason, task.reason))
    if task.error:
        notes.append(error_line(task.error, inside=name))
    return "; ".join(notes)


def _failed(errors: Sequence[Mapping[str, Any]]) -> str:
    """Name the elements of a map that failed."""
    named = ", ".join(f"[{as_json(one['key'])}]" for one in errors[:_NAMED] if "key" in one)
    return f"{len(errors)} failed" + (f": {named}" if named else "") + (" …" if len(errors) > _NAMED else "")


def error_line(error: Mapping[str, Any], *, inside: str = "") -> str:
    """Return an error as one line: where, unless that is `inside`, what kind, what."""
    task = error.get("task")
    place = f"{task}: " if task and task != inside else ""
    message = one_line(str(error.get("message", "")).strip().rpartition("\n")[2])
    return f"{place}{error.get('kind')}: {message or 'no message'}"


def not_undone(view: RunView) -> list[str]:
    """Return a line for each task that could not be undone."""
    return [f"not undone: {error_line(one)}" for one in (view.error or {}).get("not_undone", ())]


def duration_of(view: RunView) -> float | None:
    """Return how long a run has taken, from its start to its end, in seconds."""
    if view.started_at is None or view.ended_at is None:
        return None
    return view.ended_at - view.started_at


def format_time(seconds: float) -> str:
    """Return a measured time with about three digits.

    Example:
        >>> format_time(0.00004), format_time(0.0123), format_time(1.236), format_time(83.4)
        ('0.04ms', '12.3ms', '1.24s', '1m23s')
    """
    if seconds < 0.001:
        return f"{seconds * 1000:.2f}ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g}ms"
    return f"{seconds:.3g}s" if seconds < 60 else format_duration(round(seconds))


def _coloured(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if code and is_rich(sys.stderr) else text
