"""`sensitive`: what holds of a task holds of all that runs inside of it, and instead of it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from flowbuilder.compiler import ir


def spread_sensitive(fields: dict[str, Any]) -> None:
    """Mark a task that is being made, the tasks of its group, and those of its `on_error`; not its undo."""
    fields["sensitive"] = True
    if type(work := fields["work"]) is ir.Group:
        fields["work"] = replace(work, graph=_marked(work.graph))
    on_error = fields.get("on_error")
    if on_error is not None and on_error.graph is not None:
        fields["on_error"] = replace(on_error, graph=_marked(on_error.graph))


def take_on_sensitive(fields: dict[str, Any]) -> None:
    """Mark a task whose output is made of sensitive ones without its author's doing.

    Such is a group without `outputs`, and whatever its `on_error` tasks stand in for.
    """
    work, on_error = fields["work"], fields.get("on_error")
    if type(work) is ir.Group and work.outputs is None and _has_sensitive(work.graph):
        fields["sensitive"] = True
    if on_error is not None and on_error.graph is not None and _has_sensitive(on_error.graph):
        fields["sensitive"] = True


def mark_graph(graph: ir.Graph) -> ir.Graph:
    """Mark all tasks of a graph, whatever they do, and their undos."""
    return replace(graph, tasks=tuple([_marked_with_undo(task) for task in graph.tasks]))


def _marked_with_undo(task: ir.Task) -> ir.Task:
    work, on_error = task.work, task.on_error
    if type(work) is ir.Group:
        work = replace(work, graph=mark_graph(work.graph))
    if on_error is not None and on_error.graph is not None:
        on_error = replace(on_error, graph=mark_graph(on_error.graph))
    undo = None if task.undo is None else mark_graph(task.undo)
    return replace(task, sensitive=True, work=work, on_error=on_error, undo=undo)


def _has_sensitive(graph: ir.Graph) -> bool:
    return any(task.sensitive for task in graph.tasks)


def _marked(graph: ir.Graph) -> ir.Graph:
    return replace(graph, tasks=tuple([_marked_task(task) for task in graph.tasks]))


def _marked_task(task: ir.Task) -> ir.Task:
    if task.sensitive:
        return task
    fields: dict[str, Any] = {"work": task.work, "on_error": task.on_error}
    spread_sensitive(fields)
    return replace(task, **fields)
