"""What people see of a run: its row, its journal and its plan, put together."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core import values
from flowbuilder.core.plan import UNDO
from flowbuilder.core.rounds import without_rounds
from flowbuilder.core.rules import CACHED, PENDING, RUNNING, STATUS, WAITING
from flowbuilder.core.sealed import shown
from flowbuilder.runtime.attempts import FOR_OTHERS, FOR_TASKS
from flowbuilder.runtime.forked import forks_of
from flowbuilder.runtime.recovered import EndedTask, Recovered, replay
from flowbuilder.runtime.rounds_shown import history_of, present_path
from flowbuilder.runtime.waits import FOREVER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.core.plan import FlowPlan, GraphPlan, TaskPlan
    from flowbuilder.core.records import Waited
    from flowbuilder.runtime.state import Execution, RunState
    from flowbuilder.storage.api import RunRow, Store


LINKS: Final = ("rerun_of", "forked_from", "again", "edited", "stale")
"""What of `RunView.about` is shown."""
_INSIDE: Final = re.compile(r"[\[@#]")
"""Behind the path of a task: an element, a round, an attempt."""
_NUMBERS: Final = re.compile(r"(\d+)")
ENDED: Final = frozenset({"succeeded", "skipped", "failed", "cancelled"})
"""How a task may have ended."""


class TaskView(msgspec.Struct):
    """A task of a run.  Instants are seconds since 1970 UTC, durations seconds."""

    status: str
    reason: str | None = None
    """Why it was skipped or cancelled."""
    output: Any = None
    error: dict[str, Any] | None = None
    attempts: int = 0
    started_at: float | None = None
    duration: float | None = None
    items: int | None = None
    """Of a map: how many elements it has."""
    items_done: int | None = None
    errors: list[dict[str, Any]] | None = None
    """Of a map: what failed among its elements."""
    child: str | None = None
    """The run that it started."""
    children: list[str] | None = None
    """Of a map: the runs that its elements started, in the order of the elements."""
    rounds: int | None = None
    """Of a loop: how many rounds have ended."""
    history: list[dict[str, Any]] | None = None
    """Of a loop: the last of them, each with `round`, `started_at`, `duration`, `attempts` and `output`."""
    undone: int | None = None
    """Of a map: how many tasks of its elements have been undone; of an undo in a loop: in how many rounds."""
    until: float | None = None
    """Of one that waits: when that is over by itself, a sleep, a wait with a timeout, the delay of a retry."""
    taken_over: bool = False
    """Another run did it, and this one took over what came of it."""

    def to_json(self, *, full: bool = False) -> dict[str, Any]:
        """Return the task as `--json` shows it; `full` adds what holds for maps and sub-flows."""
        shown: dict[str, Any] = {
            "status": self.status,
            "reason": self.reason,
            "output": values.to_json(self.output),
            "error": values.to_json(self.error),
            "attempts": self.attempts,
            "started_at": iso(self.started_at),
            "duration": None if self.duration is None else round(self.duration, 6),
        }
        for name in ("items", "items_done", "errors", "child", "children", "rounds", "history", "undone"):
            value = getattr(self, name)
            if full and value is not None:
                shown[name] = values.to_json(value)
        if full and self.until is not None:
            shown["until"] = iso(self.until)
        if full and self.taken_over:
            shown["taken_over"] = True
        return shown


class RunView(msgspec.Struct):
    """A run as people see it."""

    run_id: str
    flow: str
    status: str
    inputs: dict[str, Any]
    outputs: Any
    error: dict[str, Any] | None
    created_at: float
    started_at: float | None
    ended_at: float | None
    key: str | None
    priority: int
    parent: str | None
    wake_at: float | None
    labels: dict[str, str]
    tasks: dict[str, TaskView]
    """By path, in the order of the file: those in groups and handlers too, elements of maps not."""
    elements: dict[str, TaskView]
    """Elements of maps, by path."""
    about: dict[str, Any] = {}
    """What few runs have: `rerun_of`, `forked_from`, with `again` (the tasks done again), `edited` and `stale`
    (tasks that were kept although they rest on what was edited); `trigger`, …"""
    forks: list[str] = []
    """Runs that were begun from this one."""
    paused: dict[str, Any] | None = None
    """Since when (`at`), and why (`reason`), where somebody has paused it."""

    def _repr_html_(self) -> str:
        """Return the run as a table: what a notebook shows."""
        from flowbuilder.runtime.run_html import run_as_html  # start-up time: for notebooks only

        return run_as_html(self)

    def to_json(self, *, full: bool = False) -> dict[str, Any]:
        """Return the object that `--json` prints; its shape is stable.  `full` adds all else that is known."""
        shown = {
            "run_id": self.run_id,
            "flow": self.flow,
            "status": self.status,
            "outputs": values.to_json(self.outputs),
            "error": values.to_json(self.error),
            "tasks": {id: task.to_json(full=full) for id, task in self.tasks.items()},
        }
        if full:
            shown |= {
                "inputs": values.to_json(self.inputs),
                "key": self.key,
                "priority": self.priority,
                "created_at": iso(self.created_at),
                "started_at": iso(self.started_at),
                "ended_at": iso(self.ended_at),
                "parent": self.parent,
                "labels": self.labels,
                "forks": self.forks,
            }
            if self.paused is not None:
                shown["paused"] = {"at": iso(self.paused["at"]), "reason": self.paused["reason"]}
            shown |= {
                name: values.to_json(self.about[name]) for name in (*LINKS, "trigger") if name in self.about
            }
        return shown


def iso(seconds: float | None) -> str | None:
    """Return an instant as ISO 8601 in UTC."""
    if seconds is None:
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="microseconds")


def view(store: Store, row: RunRow, plan: FlowPlan | None, live: RunState | None = None) -> RunView:
    """Put together what is known of a run; blocks while it reads.

    Args:
        store: where its journal lies.
        row: the run.
        plan: its version of the flow; without one only tasks with records are shown.
        live: the run in memory of this engine, which knows what is running.
    """
    recovered = replay(store.journal(row.id), store.blobs().get)
    tasks: dict[str, TaskView] = {}
    known = {path: _ended(ended) for path, ended in recovered.ended.items()}
    rounds = _live_rounds(live)
    shown_as: dict[str, str] = {}
    for path in known_paths(plan):
        present = present_path(path, recovered, rounds)
        shown_as[present] = path
        tasks[path] = known.pop(present) if present in known else _open(present, recovered, row, known)
    if live is not None and not live.ended:
        for execution in list(live.executions):
            waits = execution.parked and execution.wake_at not in (FOR_TASKS, FOR_OTHERS)
            held = execution.held.waits if execution.held is not None else None
            path = execution.path if execution.loop is None else execution.loop.path
            path = shown_as.get(path, path)
            _overlay(tasks, path, waits, execution.attempt, execution.started_at, held)
            if path in tasks and waits:
                _tell_wait(tasks[path], execution)
    elif live is None and plan is not None and row.status == "running":
        _suppose_running(tasks, plan.main, "")
    if plan is None:
        tasks, known = known, {}
    for path in recovered.taken_over:
        if path in tasks:
            tasks[path].taken_over = True
    for path, child in sorted(recovered.children.items(), key=lambda one: in_order(one[0])):
        task = tasks.get(without_rounds(path))  # of a loop that of the last round, which is the last here
        if task is not None:
            task.child = child
            continue
        if "@" not in path:
            known.setdefault(path, _open(path, recovered, row, {})).child = child
        if (task := tasks.get(_INSIDE.split(path, 1)[0])) is not None:
            task.children = task.children or []
            task.children.append(child)
    for path, loop in recovered.rounds.items():
        task = tasks.get(shown_as.get(path, path)) or known.get(path)
        if task is not None:
            task.rounds = max(loop.round, rounds.get(path, 1) - 1)
            task.history = history_of(loop, store.blobs().get)
    _count_undone(tasks, known)
    result = shown(values.decode(row.result)) if row.result is not None else None
    succeeded = row.status == "succeeded"
    return RunView(
        run_id=row.id,
        flow=row.flow,
        status=row.status,
        inputs=shown(values.decode(row.inputs)),
        outputs=result if succeeded else None,
        error=None if succeeded else result,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        key=row.key,
        priority=row.priority,
        parent=row.parent,
        wake_at=row.wake_at,
        labels=row.labels,
        tasks=tasks,
        elements=known,
        about=values.decode(row.about) if row.about is not None else {},
        forks=forks_of(store, row.id),
        paused=_pause_of(row, recovered),
    )


def told(view: RunView) -> list[tuple[str, TaskView]]:
    """Return the tasks of a run that people are told of: undos only where the run has come to them."""
    return [
        (path, task)
        for path, task in view.tasks.items()
        if not (path.endswith(UNDO) and task.status == "skipped" and task.reason == "not_failed")
    ]


def in_order(path: str) -> list[tuple[int, str]]:
    """Return what paths are sorted by: elements and rounds by their numbers.

    Example:
        >>> sorted(["c[10]", "c[9]", "c[9].a"], key=in_order)
        ['c[9]', 'c[9].a', 'c[10]']
    """
    parts = _NUMBERS.split(path)
    return [(int(part), "") if odd % 2 else (0, part) for odd, part in enumerate(parts)]


def _count_undone(tasks: dict[str, TaskView], elements: dict[str, TaskView]) -> None:
    """Tell of undos that have no row: they belong to an element of a task, or a round of an undo, that has one."""
    for path, undo in elements.items():
        if path.endswith(UNDO) and undo.status == "succeeded":
            row = tasks.get(without_rounds(path))
            task = row or tasks.get(_INSIDE.split(path, 1)[0])
            if task is not None:
                task.undone = (task.undone or (task is row and row.status == "succeeded")) + 1


def _live_rounds(live: RunState | None) -> dict[str, int]:
    """Return the round that each loop in memory is in, by the path of its task."""
    if live is None or live.ended or live.history is None:
        return {}
    return {path: loop.round + 1 for path, loop in list(live.history.loops.items())}


def _pause_of(row: RunRow, recovered: Recovered) -> dict[str, Any] | None:
    paused = recovered.paused
    if paused is None or row.status != "paused":
        return None
    return {"at": paused.at, "reason": paused.reason}


def known_paths(plan: FlowPlan | None) -> Iterator[str]:
    """Yield the paths of all tasks that a flow's author wrote, in the order of the file."""
    if plan is None:
        return
    found: list[tuple[int, int, str]] = []
    for graph, prefix in ((plan.main, ""), (plan.on_failure, "on_failure:"), (plan.finally_, "finally:")):
        if graph is not None:
            _gather(graph, prefix, found)
    found.sort()
    for _, _, path in found:
        yield path


def _gather(graph: GraphPlan, prefix: str, found: list[tuple[int, int, str]]) -> None:
    for task in graph.tasks:
        path = prefix + task.id
        found.append((task.at.line, task.at.column, path))
        if task.over is not None:
            continue  # its tasks have a path for each element
        for inner, mark in _inside(task):
            _gather(inner, path + mark, found)


def _inside(task: TaskPlan) -> Iterator[tuple[GraphPlan, str]]:
    if task.body is not None:
        yield task.body, "."
    if task.on_error is not None and task.on_error.graph is not None:
        yield task.on_error.graph, "!"
    if task.undo is not None:
        yield task.undo, ""


def _ended(ended: EndedTask) -> TaskView:
    began = ended.attempts or ended.reason == CACHED
    return TaskView(
        status=STATUS[ended.code],
        reason=ended.reason,
        output=shown(ended.output),
        error=ended.error,
        attempts=ended.attempts,
        started_at=ended.started_at if began else None,
        duration=ended.ended_at - ended.started_at if began else None,
        items=ended.items,
        items_done=ended.items,
        errors=ended.errors,
    )


def _open(path: str, recovered: Recovered, row: RunRow, known: dict[str, TaskView]) -> TaskView:
    """Return the view of a task without an end."""
    failed = recovered.attempts.get(path)
    if row.ended_at is not None and UNDO in path:
        return TaskView("skipped", _why_not_undone(recovered, row))
    if row.ended_at is not None:
        needless = path.startswith("on_failure:") and row.status != "failed"
        return TaskView("skipped", "not_failed" if needless else "not_reached")
    if failed is not None:
        return TaskView(STATUS[WAITING], error=failed.error, attempts=failed.attempt, until=failed.retry_at)
    waited = recovered.waited.get(path)
    if waited is not None and (waited.until is None or row.status == "waiting"):
        reason = _what_it_waits_for(waited)
        return TaskView(STATUS[WAITING], reason=reason, attempts=waited.attempt, until=waited.until)
    slept = recovered.sleeps.get(path)
    if slept is not None or path in recovered.children:
        return TaskView(STATUS[WAITING], until=None if slept is None else slept.until)
    wait = recovered.waits.get(path)
    if wait is not None:
        return TaskView(
            STATUS[WAITING], f"for {wait.what}", attempts=wait.attempt, started_at=wait.at, until=wait.until
        )
    rescue = recovered.rescues.get(path)
    if rescue is not None:
        return TaskView(STATUS[RUNNING], error=rescue.error, attempts=rescue.attempt)
    items = recovered.maps.get(path)
    if items is not None:
        done = sum(name.startswith(path + "[") and name.endswith("]") for name in known)
        return TaskView(STATUS[RUNNING], items=items, items_done=done)
    return TaskView(STATUS[PENDING])


def _what_it_waits_for(waited: Waited) -> str:
    if waited.until is None:
        return f"waits for a place in the queue '{waited.key}'"
    return f"waits for the rate limit '{waited.key}'"


def _why_not_undone(recovered: Recovered, row: RunRow) -> str:
    if row.status == "succeeded":
        return "not_failed"
    if recovered.cancel is not None and not recovered.cancel.undo:
        return "without_undo"
    return "nothing_to_undo"


def _suppose_running(tasks: dict[str, TaskView], graph: GraphPlan, prefix: str) -> None:
    """Show those as running that nothing keeps from it: most starts are in the memory of their engine only."""
    for task in graph.tasks:
        path = prefix + task.id
        ready = all(tasks[prefix + graph.tasks[slot].id].status in ENDED for slot in task.waits)
        if tasks[path].status == STATUS[PENDING] and ready:
            tasks[path].status = STATUS[RUNNING]
            if task.body is not None and task.over is None:
                _suppose_running(tasks, task.body, f"{path}.")


def _tell_wait(task: TaskView, execution: Execution) -> None:
    """Say what an execution in memory waits for: a short wait is in no journal."""
    if execution.wake_at is not None and execution.wake_at < FOREVER:
        task.until = execution.wake_at
    if what := getattr(execution.handle, "what", ""):
        task.reason = f"for {what}"


def _overlay(
    tasks: dict[str, TaskView], path: str, waits: bool, attempt: int, started: float, held: str | None
) -> None:
    task = tasks.get(path)
    if task is None:
        return
    task.status = STATUS[WAITING if waits or held else RUNNING]
    if held or not waits:
        task.reason, task.until = held, None
    task.attempts = attempt
    task.started_at = started
