"""When each task of a run waited, ran and was tried again, and which of them made the run take so long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from flowbuilder.core import records
from flowbuilder.core.rounds import without_rounds
from flowbuilder.runtime.views import iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbuilder.core.plan import FlowPlan, GraphPlan
    from flowbuilder.runtime.views import RunView, TaskView

Kind = Literal["queued", "running", "waiting", "retry"]
"""Ready and not begun; at work; waiting for time, an event or another run; waiting for the next attempt."""


class Segment(msgspec.Struct):
    """A stretch of time, in seconds since 1970 UTC."""

    kind: Kind
    start: float
    end: float


class Bar(msgspec.Struct):
    """A task on the timeline."""

    path: str
    status: str
    attempts: int
    segments: list[Segment]
    critical: bool = False
    """Had it ended earlier, the run would have, too."""

    @property
    def end(self) -> float:
        """When it ended, or now."""
        return self.segments[-1].end

    def to_json(self) -> dict[str, Any]:
        """Return the bar as `--json` shows it."""
        return {
            "task": self.path,
            "status": self.status,
            "attempts": self.attempts,
            "critical": self.critical,
            "segments": [
                {"kind": one.kind, "from": iso(one.start), "to": iso(one.end)} for one in self.segments
            ],
        }


def timeline(
    view: RunView, journal: Iterable[records.Record], plan: FlowPlan | None, now: float
) -> list[Bar]:
    """Return the tasks of a run that have begun, earliest first.

    Args:
        view: the run.
        journal: what it was made of.
        plan: its version of the flow; without one nobody knows what was queued or critical.
        now: where the bars of what has not ended end.
    """
    notes = _Notes(journal)
    needs = {} if plan is None else dict(_needs(plan))
    until = view.ended_at if view.ended_at is not None else now
    began = view.started_at or view.created_at
    bars: dict[str, Bar] = {}
    ends: dict[str, float] = {}
    for path, task in view.tasks.items():
        if task.started_at is not None and task.duration is not None:
            ends[path] = task.started_at + task.duration
    for path, task in view.tasks.items():
        ready = max((ends[name] for name in needs.get(path, ()) if name in ends), default=None)
        if ready is None:
            ready = _opened(path, view, began, notes)
        segments = notes.segments(path, task, max(ready, began), until)
        if segments and not task.taken_over:
            bars[path] = Bar(path, task.status, max(task.attempts, 1), segments)
    if plan is not None:
        for graph, prefix in _graphs(plan):
            _mark_critical(graph, prefix, bars)
    return sorted(bars.values(), key=lambda bar: (bar.segments[0].start, bar.end))


def _opened(path: str, view: RunView, began: float, notes: _Notes) -> float:
    """Return since when a task that waited for no other could have begun: as far as is known, since it did."""
    group, _, name = path.rpartition(".")
    if not name.isidentifier():  # an undo, a handler: when what is before it had ended
        return view.tasks[path].started_at or began
    if group in notes.rounds:
        return notes.rounds[group][-1].next_at
    return (view.tasks[group].started_at or began) if group in view.tasks else began


class _Notes:
    """What a journal tells of moments, by path; of all rounds of a loop by that of the task."""

    def __init__(self, journal: Iterable[records.Record]) -> None:
        self.ended: dict[str, list[records.Ended]] = {}
        self.failed: dict[str, list[records.AttemptFailed]] = {}
        self.rounds: dict[str, list[records.RoundEnded]] = {}
        self.waits: dict[str, list[float]] = {}
        for record in journal:
            match record:
                case records.Ended():
                    self.ended.setdefault(without_rounds(record.path), []).append(record)
                case records.AttemptFailed():
                    self.failed.setdefault(without_rounds(record.path), []).append(record)
                case records.RoundEnded():
                    self.rounds.setdefault(without_rounds(record.path), []).append(record)
                case records.Slept():
                    self.waits.setdefault(without_rounds(record.path), []).append(record.since)
                case records.ChildStarted() | records.WaitBegan():
                    self.waits.setdefault(without_rounds(record.path), []).append(record.at)

    def segments(self, path: str, task: TaskView, ready: float, until: float) -> list[Segment]:
        """Return the stretches of a task, those of its other rounds too; none of one that has not begun."""
        rounds = [ended for ended in self.ended.get(path, ()) if ended.attempts]
        shown = next((one for one in rounds if one.started_at == task.started_at), None)
        found = [
            segment
            for ended in rounds
            if ended is not shown
            for segment in self._of_one(path, ended.started_at, ended.ended_at)
        ]
        others = max((segment.end for segment in found), default=0.0)
        start = self._start(path, task, ready, others)
        if start is not None and task.status != "skipped":
            end = until if task.duration is None else start + task.duration
            if start > ready:
                found.append(Segment("queued", ready, start))
            found += self._of_one(path, start, end)
        return sorted(found, key=lambda segment: segment.start)

    def _start(self, path: str, task: TaskView, ready: float, others: float) -> float | None:
        """Return when the round that a task is in began; `others` is when those before it had ended."""
        if task.started_at is not None:
            return task.started_at
        if path in self.rounds:
            return self.rounds[path][0].began_at
        for attempt in self.failed.get(path, ()):
            if attempt.at > others:
                return attempt.started_at or attempt.at
        for at in self.waits.get(path, ()):
            if at >= others:
                return at
        return ready if task.status == "running" else None

    def _of_one(self, path: str, start: float, end: float) -> list[Segment]:
        """Return the stretches between the moments at which a task, or a round of it, began and ended."""
        found = []
        at = start
        failed = [one for one in self.failed.get(path, ()) if start <= one.at <= end]
        for attempt in failed:
            found.append(Segment("running", at, attempt.at))
            at = min(max(attempt.retry_at, attempt.at), end)
            found.append(Segment("retry", attempt.at, at))
        for ended in self.rounds.get(path, ()):
            if at <= ended.ended_at < min(ended.next_at, end):  # between rounds
                found.append(Segment("running", at, ended.ended_at))
                at = min(ended.next_at, end)
                found.append(Segment("waiting", ended.ended_at, at))
        waits = max((one for one in self.waits.get(path, ()) if at <= one < end), default=None)
        if waits is not None:
            if waits > at:
                found.append(Segment("running", at, waits))
            found.append(Segment("waiting", waits, end))
        elif end > at or not found:
            found.append(Segment("running", at, max(at, end)))
        return found


def _graphs(plan: FlowPlan) -> list[tuple[GraphPlan, str]]:
    found = ((plan.main, ""), (plan.on_failure, "on_failure:"), (plan.finally_, "finally:"))
    return [(graph, prefix) for graph, prefix in found if graph is not None]


def _needs(plan: FlowPlan) -> Iterable[tuple[str, list[str]]]:
    """Yield each task with those that it waited for; the first of a group with nothing."""
    waiting = _graphs(plan)
    while waiting:
        graph, prefix = waiting.pop()
        for task in graph.tasks:
            yield prefix + task.id, [prefix + graph.tasks[slot].id for slot in task.waits]
            if task.body is not None and task.over is None:
                waiting.append((task.body, f"{prefix}{task.id}."))


def _mark_critical(graph: GraphPlan, prefix: str, bars: dict[str, Bar]) -> None:
    """Mark the chain of tasks that ended last, each held up by the one before."""
    here = {task.slot: bar for task in graph.tasks if (bar := bars.get(prefix + task.id)) is not None}
    if not here:
        return
    slot = max(here, key=lambda slot: here[slot].end)
    while True:
        here[slot].critical = True
        task = graph.tasks[slot]
        if task.body is not None and task.over is None:
            _mark_critical(task.body, f"{prefix}{task.id}.", bars)
        before = [one for one in task.waits if one in here]
        if not before:
            return
        slot = max(before, key=lambda one: here[one].end)
