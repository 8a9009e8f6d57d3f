"""The order of ready work: what is urgent comes first in every list of a plan.

Urgent is what its author says (`priority`), then what has the longest path
behind it.  Only the order depends on what is known of earlier runs, so a plan
is arranged anew, in place, when that turns out otherwise; runs in flight go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.core.plan import Region

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.core.plan import FlowPlan, GraphPlan, TaskPlan, Weight


def arrange(plan: FlowPlan, weights: Mapping[str, Weight]) -> None:
    """Give tasks what they weigh, by path without indexes, and put ready work in the order that follows."""
    for graph, prefix in ((plan.main, ""), (plan.on_failure, "on_failure:"), (plan.finally_, "finally:")):
        if graph is not None:
            _weigh(graph, prefix, weights)


def in_order(graph: GraphPlan) -> None:
    """Sort what is ready first, and what each end makes ready, by urgency."""
    units = graph.units

    def urgency(number: int) -> tuple[int, float]:
        unit = units[number]
        task = unit.tasks[0] if isinstance(unit, Region) else unit
        return -task.priority, -task.remaining

    graph.first = tuple(sorted(graph.first, key=urgency))
    for task in graph.tasks:
        if len(task.dependants) > 1:
            task.dependants = tuple(sorted(task.dependants, key=urgency))
    for unit in units:
        if isinstance(unit, Region):
            unit.dependants = tuple(number for task in unit.tasks for number in task.dependants)


def _weigh(graph: GraphPlan, prefix: str, weights: Mapping[str, Weight]) -> None:
    for task in graph.tasks:
        _weigh_task(task, prefix + task.id, weights)
    in_order(graph)


def _weigh_task(task: TaskPlan, path: str, weights: Mapping[str, Weight]) -> None:
    weight = weights.get(path)
    if weight is not None:
        task.remaining, task.quick = weight.remaining, weight.quick
    if task.body is not None:
        _weigh(task.body, path + ".", weights)
    if task.on_error is not None and task.on_error.graph is not None:
        _weigh(task.on_error.graph, path + "!", weights)
    if task.undo is not None:
        _weigh(task.undo, path, weights)
