"""Graphs: tasks by id, and what each waits for.

A reference to a task of the same graph is a dependency.  One to a task
outside bubbles up: the group that it stands in waits for that task, since
its tasks cannot start before the group does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler import ir
from flowbuilder.compiler.lower.draft import Draft, Mentions
from flowbuilder.compiler.lower.fields import check_name
from flowbuilder.compiler.nodes import Mapping as MappingNode

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.nodes import Node, Scalar


class TooManyTasks(Exception):
    """The limit is passed and reported; there is no point in reading on."""


EMPTY = ir.Graph(())


def lower_graph(ctx: Context, node: Node, key: str) -> tuple[ir.Graph, Mentions]:
    """Return a graph, and what its tasks mention of tasks outside of it."""
    outside = Mentions()
    if type(node) is not MappingNode:
        ctx.expected(
            "a mapping of tasks by id", node, key, "write for example `fetch: {type: http, with: {…}}`"
        )
        return EMPTY, outside
    if not node.pairs:
        ctx.error(
            "FB202", f"'{key}' holds no task", node, "write for example `fetch: {type: http, with: {…}}`"
        )
    _count(ctx, node)
    drafts = {}
    for id, (id_key, value) in node.pairs.items():
        check_name(ctx, id_key, "task id")
        drafts[id] = ctx.lower_task(ctx, id_key, value)
    order = {id: number for number, id in enumerate(drafts)}
    tasks = tuple([_link(ctx, draft, order, outside) for draft in drafts.values()])
    return ir.Graph(tasks), outside


def _count(ctx: Context, node: MappingNode) -> None:
    ctx.tasks += len(node.pairs)
    if ctx.tasks <= ctx.limits.tasks:
        return
    ctx.error(
        "FB109",
        f"the file has more than {ctx.limits.tasks:,} tasks",
        node,
        "use `for_each` or sub-flows, or raise `limits.tasks`",
    )
    raise TooManyTasks


def _link(ctx: Context, draft: Draft, order: dict[str, int], outside: Mentions) -> ir.Task:
    """Return the task with what it needs and waits for, in file order."""
    id = draft.key.text
    mentioned = draft.mentions.found
    inside = [other for other in mentioned if other in order]
    outside.add({other: wanted for other, wanted in mentioned.items() if other not in order})
    if id in mentioned:
        ctx.error(
            "FB224",
            f"task '{id}' refers to itself",
            draft.key,
            "its own output is not known before it has ended",
        )
        inside.remove(id)
    if draft.needs is None:
        needs = sorted((other for other in inside if mentioned[other] == "output"), key=order.__getitem__)
    else:
        needs = _needs(ctx, draft.needs, id, order)
    waits_for = inside if draft.needs is None else [*inside, *needs]
    return ir.Task(
        id=id,
        at=ctx.span(draft.key),
        needs=tuple(needs),
        waits_for=tuple(sorted(set(waits_for), key=order.__getitem__)),
        **draft.fields,
    )


def _needs(ctx: Context, written: list[Scalar], id: str, order: dict[str, int]) -> list[str]:
    """Return what stands in `needs`, once each; what is no task here is reported."""
    found: dict[str, None] = {}
    for scalar in written:
        name = scalar.text
        if name == id:
            ctx.error("FB224", f"task '{id}' needs itself", scalar, "leave it out")
        elif name in order:
            found[name] = None
        else:
            ctx.missing_needs.append((scalar, id, tuple(order)))
    return list(found)
