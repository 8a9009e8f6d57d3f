"""Fuses pure tasks that become ready at the same moment into regions.

A region is one generated function and one journal record, so that a pure
task costs about as much as a line of Python.  Tasks that wait for the same
tasks outside all regions become ready together: where those have ended, what
is left between them is pure, and runs at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from flowbuilder.compiler.expressions.references import MOMENTARY
from flowbuilder.compiler.expressions.tree import Call, Const, Member, Name
from flowbuilder.compiler.expressions.walk import children
from flowbuilder.compiler.ir import Compute, Fused
from flowbuilder.compiler.order import in_order, waits_of
from flowbuilder.compiler.passes.graphs import rewrite_graphs
from flowbuilder.compiler.passes.notes import Note, Rewritten

if TYPE_CHECKING:
    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.ir import Flow, Graph, Task

MAX_TASKS: Final = 256
"""Tasks of one region.  A longer function saves nothing more, and would hold the
engine's loop and grow one journal record without bound."""

_OPAQUE = frozenset({"tasks", "run", "secrets"})
_RUN_STATUS = frozenset({"status", "errors", "tasks"})


def fuse_tasks(flow: Flow) -> Rewritten:
    """Put fusible tasks of each graph into regions; regions made before are made anew.

    Cost:
        O(N log N + E · N / 64) for N tasks and E edges of a graph.
    """
    secret = _secret_vars(flow)
    notes: list[Note] = []

    def fuse(graph: Graph, prefix: str) -> Graph:
        regions = _regions(graph, secret)
        for region in regions:
            if len(region.tasks) > 1:
                what = f"fused {len(region.tasks)} tasks into one function: {_names(region.tasks)}"
                notes.append(Note("fuse_tasks", what, prefix + region.tasks[0]))
        return graph if regions == graph.regions else replace(graph, regions=regions)

    return Rewritten(rewrite_graphs(flow, fuse), tuple(notes))


def _names(ids: tuple[str, ...]) -> str:
    return ", ".join(ids) if len(ids) <= 8 else f"{', '.join(ids[:7])} and {len(ids) - 7} more"


def _regions(graph: Graph, secret: frozenset[str]) -> tuple[Fused, ...]:
    tasks = graph.tasks
    fusible = [_is_fusible(task, secret) for task in tasks]
    if not any(fusible):
        return ()
    waits = waits_of(tasks)
    # a bit for each task outside all regions that must have ended before
    behind = [0] * len(tasks)
    members: dict[int, list[int]] = {}
    for place in in_order(waits):
        ancestors = 0
        for other in waits[place]:
            ancestors |= behind[other] if fusible[other] else behind[other] | 1 << other
        behind[place] = ancestors
        if fusible[place]:
            members.setdefault(ancestors, []).append(place)
    return tuple(
        _region([tasks[place] for place in group[start : start + MAX_TASKS]])
        for group in members.values()
        for start in range(0, len(group), MAX_TASKS)
    )


def _region(tasks: list[Task]) -> Fused:
    return Fused(
        tuple([task.id for task in tasks]),
        tuple([task.work.value for task in tasks if type(task.work) is Compute]),
    )


def _is_fusible(task: Task, secret: frozenset[str]) -> bool:
    """Tell whether a task is nothing but a value, which the same function may yield with others."""
    return (
        type(task.work) is Compute
        and task.run_when == "default"
        and task.map is None
        and task.retry is None
        and task.on_error is None
        and task.undo is None
        and not task.sensitive
        and task.timeout is None
        and task.deadline is None
        and task.env is None
        and task.idempotency_key is None
        and task.repeat is None
        and task.cache is None
        and task.schema is None
        and task.pruned is None
        and task.limits is None
        and _is_free(task.work.value, secret)
        and (task.condition is None or _is_free(task.condition, secret))
    )


def _is_free(expr: Expr, secret: frozenset[str]) -> bool:
    """Tell whether an expression yields the same whenever the outputs it reads are there.

    It mentions no moment, no `uuid()`, no secret, and nothing of how other
    tasks stand: those of its region have no status yet when it runs.
    """
    stack = [expr]
    while stack:
        node = stack.pop()
        if type(node) is Const:
            continue
        if type(node) is Member:
            of = node.of
            if type(of) is Name:
                if of.id == "vars" and node.name not in secret:
                    continue
                if of.id == "run" and node.name not in _RUN_STATUS:
                    continue
            elif type(of) is Member and type(of.of) is Name and of.of.id == "tasks":
                if node.name != "output":
                    return False
                continue
            stack.append(of)
        elif type(node) is Name:
            # `tasks` and `run` as a whole tell how tasks stand; `vars` may hold a secret
            if node.id in _OPAQUE or (secret and node.id == "vars"):
                return False
        elif type(node) is Call and node.function in MOMENTARY:
            return False
        else:
            stack += children(node)
    return True


def _secret_vars(flow: Flow) -> frozenset[str]:
    """Return the variables that mention secrets, themselves or through others."""
    if not flow.secrets:
        return frozenset()
    found: set[str] = set()
    while True:
        more = {var.name for var in flow.vars if var.name not in found and _is_secret(var.value, found)}
        if not more:
            return frozenset(found)
        found |= more


def _is_secret(expr: Expr, known: set[str]) -> bool:
    stack = [expr]
    while stack:
        node = stack.pop()
        if type(node) is Name and node.id == "secrets":
            return True
        if type(node) is Member and type(node.of) is Name and node.of.id == "vars" and node.name in known:
            return True
        stack += children(node)
    return False
