"""Going through all graphs of a flow, those inside tasks too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from flowbuilder.compiler.ir import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowbuilder.compiler.ir import Flow, Graph, Task

    Rewrite = Callable[[Graph, str], Graph]


def rewrite_graphs(flow: Flow, rewrite: Rewrite) -> Flow:
    """Return the flow with each graph replaced by what `rewrite` makes of it.

    Bodies of groups and of `on_error` come before the graphs that they are
    part of.  What is not changed is not copied: the same object comes back.

    Args:
        flow: not changed.
        rewrite: gets a graph and what stands before the paths of its tasks.
    """
    main = _inside_out(flow.main, "", rewrite)
    on_failure = flow.on_failure and _inside_out(flow.on_failure, "on_failure:", rewrite)
    finally_ = flow.finally_ and _inside_out(flow.finally_, "finally:", rewrite)
    if main is flow.main and on_failure is flow.on_failure and finally_ is flow.finally_:
        return flow
    return replace(flow, main=main, on_failure=on_failure, finally_=finally_)


def rewrite_tasks(flow: Flow, rewrite: Callable[[Task, str], Task]) -> Flow:
    """Return the flow with each task replaced by what `rewrite` makes of it and its path."""

    def each(graph: Graph, prefix: str) -> Graph:
        return with_tasks(graph, [rewrite(task, prefix + task.id) for task in graph.tasks])

    return rewrite_graphs(flow, each)


def with_tasks(graph: Graph, tasks: list[Task]) -> Graph:
    """Return a graph with other tasks in the same places; itself, where they are the same."""
    for old, new in zip(graph.tasks, tasks, strict=True):
        if old is not new:
            return replace(graph, tasks=tuple(tasks))
    return graph


def all_tasks(flow: Flow) -> Iterator[tuple[str, Task]]:
    """Yield each task of a flow with its path: a group before its body, handlers last.

    Paths are those of the journal without indexes: `build.compile` inside a
    group, `fetch!notify` among what runs when `fetch` has failed, `fetch~undo` for what reverses it.
    """
    yield from _tasks(flow.main, "")
    if flow.on_failure:
        yield from _tasks(flow.on_failure, "on_failure:")
    if flow.finally_:
        yield from _tasks(flow.finally_, "finally:")


def _tasks(graph: Graph, prefix: str) -> Iterator[tuple[str, Task]]:
    for task in graph.tasks:
        path = prefix + task.id
        yield path, task
        if type(task.work) is Group:
            yield from _tasks(task.work.graph, path + ".")
        if task.on_error is not None and task.on_error.graph is not None:
            yield from _tasks(task.on_error.graph, path + "!")
        if task.undo is not None:
            yield from _tasks(task.undo, path)


def _inside_out(graph: Graph, prefix: str, rewrite: Rewrite) -> Graph:
    tasks = list(graph.tasks)
    for place, task in enumerate(tasks):
        if type(task.work) is Group:
            body = _inside_out(task.work.graph, f"{prefix}{task.id}.", rewrite)
            if body is not task.work.graph:
                task = tasks[place] = replace(task, work=replace(task.work, graph=body))
        if task.on_error is not None and task.on_error.graph is not None:
            body = _inside_out(task.on_error.graph, f"{prefix}{task.id}!", rewrite)
            if body is not task.on_error.graph:
                task = tasks[place] = replace(task, on_error=replace(task.on_error, graph=body))
        if task.undo is not None:
            body = _inside_out(task.undo, f"{prefix}{task.id}", rewrite)
            if body is not task.undo:
                tasks[place] = replace(task, undo=body)
    return rewrite(with_tasks(graph, tasks), prefix)
