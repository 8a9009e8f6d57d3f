"""What has to be on disk before an effect starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.compiler.ir import Group, Invoke, SubFlow

if TYPE_CHECKING:
    from flowbuilder.compiler.ir import Flow, Graph, Task

MAX_NAMES: Final = 50
"""Outputs that are named for one effect; of more than that nobody reads the names."""


def is_effect(task: Task) -> bool:
    """Tell whether a task changes the world, so that what it rests on has to be on disk."""
    return type(task.work) is SubFlow or (type(task.work) is Invoke and task.work.effect == "write")


def disk_waits(flow: Flow) -> dict[str, tuple[str, ...]]:
    """Return for each effect, by path, the tasks whose outputs must be on disk before it starts.

    Those are all before it, back to earlier effects: behind those everything
    is on disk already.  Empty means that only the run itself has to be.
    """
    if flow.durability == "none":
        return {}
    found: dict[str, tuple[str, ...]] = {}
    _collect(flow.main, "", (), found)
    for graph, prefix in ((flow.on_failure, "on_failure:"), (flow.finally_, "finally:")):
        if graph is not None:
            _collect(graph, prefix, ("the main graph",), found)
    return found


def _collect(graph: Graph, prefix: str, around: tuple[str, ...], found: dict[str, tuple[str, ...]]) -> None:
    tasks = {task.id: task for task in graph.tasks}
    for task in graph.tasks:
        path = prefix + task.id
        quiet = task.on_error is None and task.undo is None
        if not is_effect(task) and type(task.work) is not Group and quiet:
            continue
        before = _before(task, tasks, around)
        if is_effect(task):
            found[path] = before
        if type(task.work) is Group:
            _collect(task.work.graph, path + ".", before, found)
        if task.on_error is not None and task.on_error.graph is not None:
            _collect(task.on_error.graph, path + "!", (task.id,), found)
        if task.undo is not None:
            _collect(task.undo, path, (task.id,), found)


def _before(task: Task, tasks: dict[str, Task], around: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a task rests on, back to earlier effects; the nearest first.

    Where that goes back to the beginning of its graph, what the graph itself
    rests on (`around`) is part of it.
    """
    seen: dict[str, None] = {}
    begins = False
    front = [task]
    while front and len(seen) < MAX_NAMES:
        behind: list[Task] = []
        for one in front:
            waits = [id for id in one.waits_for if id in tasks]
            begins = begins or not waits
            for id in waits:
                if id not in seen:
                    seen[id] = None
                    if not is_effect(tasks[id]):
                        behind.append(tasks[id])
        front = behind
    names = tuple(id for id in seen if tasks[id].pruned is None)
    return names + around if begins else names
