"""Makes the explanation of a plan: one node for each unit that runs, in the order of their start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler.drawing.boxes import type_of
from flowbuilder.compiler.drawing.starts import starts_of
from flowbuilder.compiler.explain.details import deadline_of, details_of
from flowbuilder.compiler.explain.disk import disk_waits
from flowbuilder.compiler.explain.facts import TaskFacts
from flowbuilder.compiler.explain.nodes import (
    Explanation,
    PassReport,
    PlanNode,
    actual_of,
    estimate_of,
    together,
)
from flowbuilder.compiler.ir import Group
from flowbuilder.compiler.order import in_order, waits_of
from flowbuilder.compiler.written import written
from flowbuilder.core.durations import format_duration

if TYPE_CHECKING:
    from flowbuilder.compiler.costs import Costs
    from flowbuilder.compiler.explain.facts import RunFacts
    from flowbuilder.compiler.ir import Flow, Fused, Graph, Task
    from flowbuilder.compiler.passes import Note, Optimized

LOSS_WINDOW = "100 ms"
"""How much a crash may take back of a flow with `durability: none`."""

_DURABILITY = {
    "group": "group: an effect starts when all that it rests on is on disk; a result is shown when it is",
    "none": f"none: nothing waits for the disk; a crash may take back the last {LOSS_WINDOW}",
}
_OFF = 10.0
"""How many times an estimate is wrong before it is said."""
_NOTABLE = 0.001
"""Seconds; a smaller difference is noise."""


def explain(flow: Flow, optimized: Optimized, costs: Costs, actuals: RunFacts | None = None) -> Explanation:
    """Explain how a flow is going to run, or how it ran.

    Args:
        flow: as the author wrote it, before any pass.
        optimized: what the optimizer made of it.
        costs: what that is expected to cost.
        actuals: what a run of it came to, to stand beside the estimates.
    """
    made = _Explainer(optimized.flow, costs, actuals)
    return Explanation(
        flow=flow.name,
        content_hash=flow.content_hash,
        plan=made.run(flow),
        passes=_reports(optimized.notes),
        run_id=actuals.run_id if actuals else None,
        status=actuals.status if actuals else None,
        execution_time=round(actuals.duration * 1000, 3) if actuals else None,
    )


def _reports(notes: tuple[Note, ...]) -> tuple[PassReport, ...]:
    did: dict[str, list[str]] = {}
    for note in notes:
        did.setdefault(note.by, []).append(f"{note.path}: {note.what}" if note.path else note.what)
    return tuple(PassReport(name, tuple(lines)) for name, lines in did.items())


class _Explainer:
    def __init__(self, flow: Flow, costs: Costs, actuals: RunFacts | None) -> None:
        self._flow = flow
        self._costs = costs
        self._actuals = actuals
        self._disk = disk_waits(flow)

    def run(self, written_flow: Flow) -> PlanNode:
        """Return the node of the whole run."""
        flow = self._flow
        details = [("Units", "milliseconds from the start of the run, bytes a row")]
        details.append(("Durability", _DURABILITY[flow.durability]))
        for name, words in starts_of(written_flow):
            details.append(("Trigger", f"{name}: {'; '.join(words)}"))
        if flow.timeout is not None:
            details.append(("Timeout", format_duration(flow.timeout)))
        if flow.deadline is not None:
            details.append(("Deadline", deadline_of(flow.deadline)))
        if (bound := flow.concurrency) is not None:
            by = f", by {written(bound.key)}" if bound.key is not None else ""
            text = f"{bound.policy.limit} at once{by}; when full: {bound.policy.when_full}"
            details.append(("Concurrency", text))
        if (held := flow.debounce) is not None:
            by = f", by {written(held.key)}" if held.key is not None else ""
            most = f", at most {format_duration(held.policy.max)}" if held.policy.max is not None else ""
            details.append(("Debounce", f"{format_duration(held.policy.wait)}{most}{by}"))
        if flow.fail_fast:
            details.append(("Fail fast", "the first failure cancels the run"))
        if not any(cost.executions for cost in self._costs.tasks.values()):
            details.append(("Costs", "defaults by task type; no earlier runs are known"))
        children = self._graph(flow.main, "")
        for graph, prefix, when in (
            (flow.on_failure, "on_failure:", "if the run fails"),
            (flow.finally_, "finally:", "always, last"),
        ):
            if graph is not None:
                inner = self._graph(graph, prefix)
                children.append(
                    PlanNode("phase", prefix[:-1], details=(("Runs", when),), children=tuple(inner))
                )
        facts = self._actuals
        actual = TaskFacts(facts.status, 0.0, facts.duration, 1, 1, facts.output_bytes) if facts else None
        return PlanNode(
            "run",
            f"run {written_flow.name}",
            estimate=estimate_of(0.0, self._costs.total, 1, self._costs.width),
            actual=actual_of(actual) if actual else None,
            details=tuple(details),
            children=tuple(children),
        )

    def _graph(self, graph: Graph, prefix: str) -> list[PlanNode]:
        """Return a node for each unit of a graph, the one that can start first in front."""
        tasks = {task.id: task for task in graph.tasks}
        regions = {region.tasks[0]: region for region in graph.regions if len(region.tasks) > 1}
        inside = {id for region in regions.values() for id in region.tasks[1:]}
        order = [graph.tasks[place] for place in in_order(waits_of(graph.tasks))]
        order.sort(key=lambda task: self._costs.tasks[prefix + task.id].start)
        found = []
        for task in order:
            if task.id in regions:
                found.append(self._region(regions[task.id], tasks, prefix))
            elif task.id not in inside:
                found.append(self._task(task, prefix))
        return found

    def _region(self, region: Fused, tasks: dict[str, Task], prefix: str) -> PlanNode:
        costs = [self._costs.tasks[prefix + id] for id in region.tasks]
        members = tuple(self._task(tasks[id], prefix, fused=True) for id in region.tasks)
        details = [("Executor", "inline, one function")]
        details += [("Shared", f"{one.name} = {written(one.value)}") for one in region.shared]
        rows = sum(cost.rows for cost in costs)
        return PlanNode(
            "region",
            f"region of {len(members)} pure tasks",
            estimate=estimate_of(
                min(cost.start for cost in costs),
                max(cost.end for cost in costs),
                rows,
                sum(cost.width * cost.rows for cost in costs) / rows,
            ),
            actual=together([node.actual for node in members if node.actual is not None]),
            never_executed=self._actuals is not None and all(node.never_executed for node in members),
            details=tuple(details),
            children=members,
        )

    def _task(self, task: Task, prefix: str, *, fused: bool = False) -> PlanNode:
        path = prefix + task.id
        cost = self._costs.tasks[path]
        facts = self._actuals.tasks.get(path) if self._actuals is not None else None
        details = list(details_of(task, cost, self._disk.get(path), fused=fused))
        children: list[PlanNode] = []
        if type(task.work) is Group:
            children += self._graph(task.work.graph, path + ".")
        if task.on_error is not None and task.on_error.graph is not None:
            instead = tuple(self._graph(task.on_error.graph, path + "!"))
            children.append(
                PlanNode("phase", "on_error", details=(("Runs", "if it fails"),), children=instead)
            )
        if task.undo is not None:
            undo = tuple(self._graph(task.undo, path))
            why = "if the run fails or is cancelled, newest first"
            children.append(PlanNode("phase", "undo", details=(("Runs", why),), children=undo))
        actual = actual_of(facts) if facts is not None else None
        if facts is not None:
            details += _happened(facts, cost.duration if cost.executions else None)
        return PlanNode(
            "task",
            f"{type_of(task)} {task.id.removeprefix('~')}",
            path=path,
            estimate=estimate_of(cost.start, cost.end, cost.rows, cost.width),
            actual=actual,
            never_executed=self._actuals is not None and actual is None,
            details=tuple(details),
            children=tuple(children),
        )


def _happened(facts: TaskFacts, expected: float | None) -> list[tuple[str, str]]:
    """Say what became of a task, where that is not simply success."""
    found = []
    if facts.status != "succeeded":
        found.append(("Status", facts.status + (f": {facts.reason}" if facts.reason else "")))
    if facts.error:
        found.append(("Error", facts.error))
    if expected and facts.duration > 0 and abs(facts.duration - expected) > _NOTABLE:
        ratio = facts.duration / expected
        if ratio >= _OFF:
            found.append(("Estimate", f"{ratio:.0f} times too low"))
        elif ratio <= 1 / _OFF:
            found.append(("Estimate", f"{1 / ratio:.0f} times too high"))
    return found
