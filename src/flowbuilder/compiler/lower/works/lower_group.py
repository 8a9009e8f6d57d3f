"""`group`: a graph inside a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.references import task_references
from flowbuilder.compiler.lower.graph import EMPTY, lower_graph
from flowbuilder.compiler.lower.outputs import lower_outputs

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.lower.draft import Mentions
    from flowbuilder.compiler.nodes import Scalar
    from flowbuilder.core.catalogue import TaskSpec


def lower(
    ctx: Context,
    key: Scalar,
    spec: TaskSpec,
    values: dict[str, Any],
    mentions: Mentions,
) -> ir.Work:
    """Return the graph and its outputs; what they mention of tasks outside, the group waits for."""
    if "with" in values:
        ctx.error(
            "FB211", "a group takes no 'with'", values["with"], "its tasks stand in `tasks`, beside `type`"
        )
    if "tasks" not in values:
        ctx.error(
            "FB202",
            f"task '{key.text}' lacks the key 'tasks'",
            key,
            "a group's tasks stand in `tasks`, by id",
        )
        return ir.Group(EMPTY, None)
    graph, outside = lower_graph(ctx, values["tasks"], "tasks")
    mentions.add(outside.found)
    outputs = None
    if "outputs" in values:
        outputs = lower_outputs(ctx, values["outputs"])
        inside = {task.id for task in graph.tasks}
        mentions.add({id: w for id, w in task_references(outputs).items() if id not in inside})
    return ir.Group(graph, outputs, bool(values.get("workspace")))
