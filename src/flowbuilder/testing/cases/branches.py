"""Which way a flow went: what of it can go several ways, and a watcher for values that are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.tree import Choice, Const
from flowbuilder.compiler.passes.graphs import rewrite_graphs

if TYPE_CHECKING:
    from flowbuilder.compiler.expressions.tree import Expr

BRANCH: Final = "$branch"
"""What the id of a watcher ends in; no author can write it."""


def watched(flow: ir.Flow) -> ir.Flow:
    """Return a flow with a watcher beside each task that chooses a value (`switch`, or `x if c else y`).

    A watcher makes the same choice among numbers, under the same conditions;
    when it fails, that is ignored: the task itself fails too, and says why.
    """

    def rewrite(graph: ir.Graph, prefix: str) -> ir.Graph:
        watchers = tuple(_watcher(task) for task in graph.tasks if cases_of(task))
        return replace(graph, tasks=graph.tasks + watchers) if watchers else graph

    return rewrite_graphs(flow, rewrite)


def cases_of(task: ir.Task) -> int:
    """Return among how many values a task chooses; 0 for one that does not, or does so for each element."""
    if task.map is not None or not isinstance(task.work, ir.Compute):
        return 0
    count = 0
    value: Expr = task.work.value
    while isinstance(value, Choice):
        count += 1
        value = value.otherwise
    return count + 1 if count else 0


def _watcher(task: ir.Task) -> ir.Task:
    assert isinstance(task.work, ir.Compute)
    return replace(
        task,
        id=task.id + BRANCH,
        work=ir.Compute(_numbered(task.work.value, 0)),
        on_error=ir.OnError(),
        retry=None,
    )


def _numbered(value: Expr, number: int) -> Expr:
    if not isinstance(value, Choice):
        return Const(value.at, number)
    return replace(value, then=Const(value.at, number), otherwise=_numbered(value.otherwise, number + 1))
