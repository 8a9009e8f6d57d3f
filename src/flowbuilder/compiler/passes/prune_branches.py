"""Marks tasks that never run: those whose `if` is constantly false, and chains behind them.

They stay in the flow, since a run shows every task that its author wrote;
no code is made for them.  An `if` that is constantly true is taken off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from flowbuilder.compiler.expressions.tree import Const
from flowbuilder.compiler.passes.graphs import rewrite_graphs, with_tasks
from flowbuilder.compiler.passes.notes import Note, Rewritten

if TYPE_CHECKING:
    from flowbuilder.compiler.ir import Flow, Graph, Task

ALWAYS_FALSE = "its condition is always false"


def prune_branches(flow: Flow) -> Rewritten:
    """Mark tasks that can never run, and say why in `Task.pruned`."""
    notes: list[Note] = []

    def prune(graph: Graph, prefix: str) -> Graph:
        tasks = [_decided(task) for task in graph.tasks]
        _spread({task.id: place for place, task in enumerate(tasks)}, tasks)
        for old, new in zip(graph.tasks, tasks, strict=True):
            # said again by a second go over the same flow, so that EXPLAIN of it shows the same
            if new.pruned is not None:
                notes.append(Note("prune_branches", f"never runs: {new.pruned}", prefix + new.id))
            elif old is not new:
                notes.append(Note("prune_branches", "took off its condition: always true", prefix + new.id))
        return with_tasks(graph, tasks)

    return Rewritten(rewrite_graphs(flow, prune), tuple(notes))


def _decided(task: Task) -> Task:
    condition = task.condition
    # a constant text fails when the task is ready: that is not ours to take away
    if type(condition) is not Const or type(condition.value) is str:
        return task
    if condition.value:
        return replace(task, condition=None)
    return task if task.pruned is not None else replace(task, pruned=ALWAYS_FALSE)


def _spread(places: dict[str, int], tasks: list[Task]) -> None:
    """Mark what can only be skipped because it stands behind tasks that never run."""
    front = [task.id for task in tasks if task.pruned is not None]
    if not front:
        return
    behind: dict[str, list[int]] = {}
    for place, task in enumerate(tasks):
        for need in task.needs:
            behind.setdefault(need, []).append(place)
    while front:
        for place in behind.get(front.pop(), ()):
            task = tasks[place]
            if task.pruned is None and (why := _why_never(task, places, tasks)):
                tasks[place] = replace(task, pruned=why)
                front.append(task.id)


def _why_never(task: Task, places: dict[str, int], tasks: list[Task]) -> str | None:
    """Say why a task can never run, given the tasks already known never to.

    A task that never runs ends skipped, or `upstream_failed`: never succeeded.
    """
    never = [need for need in task.needs if need in places and tasks[places[need]].pruned is not None]
    match task.run_when:
        case "default" | "any_success" if len(never) == len(task.needs):
            return f"all that it needs never runs: {', '.join(never)}"
        case "all_success" if never:
            return f"what it needs never runs: {', '.join(never)}"
        case _:
            return None
