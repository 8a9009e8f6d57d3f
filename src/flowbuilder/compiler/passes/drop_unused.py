"""Drops what nothing reads: variables that nobody mentions, and retries that can never happen.

Tasks are never dropped, since a run shows every task that its author wrote.
A variable is evaluated when first asked for, so one that is never asked for
costs only its function; dropping it saves that, and its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from flowbuilder.compiler.expressions.tree import Const, Member, Name
from flowbuilder.compiler.expressions.walk import children
from flowbuilder.compiler.ir import Compute
from flowbuilder.compiler.passes.fields import expressions_of
from flowbuilder.compiler.passes.graphs import all_tasks, rewrite_tasks
from flowbuilder.compiler.passes.notes import Note, Rewritten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.ir import Flow, Task

_BY = "drop_unused"


def drop_unused(flow: Flow) -> Rewritten:
    """Drop variables that nothing mentions, and the `retry` of tasks that are never tried again."""
    notes: list[Note] = []

    def without_retry(task: Task, path: str) -> Task:
        if task.retry is None or not (why := _why_no_retry(task)):
            return task
        notes.append(Note(_BY, f"dropped its retry: {why}", path))
        return replace(task, retry=None)

    flow = rewrite_tasks(flow, without_retry)
    if flow.vars:
        used = _used(flow)
        kept = tuple([var for var in flow.vars if var.name in used])
        if len(kept) < len(flow.vars):
            names = ", ".join(var.name for var in flow.vars if var.name not in used)
            notes.append(Note(_BY, f"dropped variables that nothing mentions: {names}"))
            flow = replace(flow, vars=kept)
    return Rewritten(flow, tuple(notes))


def _why_no_retry(task: Task) -> str:
    if type(task.work) is Compute and task.limits is None:  # a breaker may be closed the next time
        return "an expression that fails would fail again"
    if task.retry is not None and task.retry.policy.attempts <= 1:
        return "one attempt is all it has"
    return ""


def _used(flow: Flow) -> frozenset[str]:
    """Return the variables that are mentioned, directly or by a variable that is.

    Tasks that never run count too: code may still be made for them.
    """
    values = {var.name: var.value for var in flow.vars}
    seen: set[str] = set()
    for expr in _roots(flow):
        front = set(_mentioned(expr, values)) - seen
        while front:
            seen |= front
            front = {name for var in front for name in _mentioned(values[var], values)} - seen
        if len(seen) == len(values):
            break  # as in most flows, and soon
    return frozenset(seen)


def _roots(flow: Flow) -> Iterator[Expr]:
    for _, task in all_tasks(flow):
        yield from expressions_of(task)
    if flow.outputs is not None:
        yield flow.outputs
    if flow.deadline is not None:
        yield flow.deadline
    for bound in (flow.concurrency, flow.debounce):
        if bound is not None and bound.key is not None:
            yield bound.key


def _mentioned(expr: Expr, values: dict[str, Expr]) -> Iterator[str]:
    stack = [expr]
    while stack:
        node = stack.pop()
        if type(node) is Const:
            continue
        if type(node) is Member and type(node.of) is Name and node.of.id == "vars":
            if node.name in values:
                yield node.name
        elif type(node) is Name:
            if node.id == "vars":  # as a whole
                yield from values
        else:
            stack += children(node)
