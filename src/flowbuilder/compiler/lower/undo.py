"""`undo`: a task that reverses another.

It is lowered as any task is, into a graph of its own that holds nothing
else, so that whatever goes through graphs goes through it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.lower.fields import Field
from flowbuilder.compiler.nodes import Mapping as MappingNode
from flowbuilder.core.plan import UNDO
from flowbuilder.core.policies import RetryPolicy

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.nodes import Node, Scalar

_REFUSED: Final = {
    "needs": "undos run one after the other, the newest first",
    "run_when": "it runs when its task is to be undone; `if` may say otherwise",
}
"""Keys of a task that an undo cannot have."""


def _read(ctx: Context, node: Node, key: str) -> Node | None:
    if type(node) is not MappingNode:
        ctx.expected("a task", node, key, "write for example `undo: {run: …}`")
        return None
    return node


FIELD: Final = Field(_read, {"$ref": "#/$defs/task"})


def lower_undo(ctx: Context, owner: Scalar, key: Scalar, node: Node, work: ir.Work) -> ir.Graph:
    """Return the graph of the one task that reverses the task `owner`, which does `work`.

    Without a `retry` of its own, and where `defaults` have none, it is tried three times.
    """
    ctx.tasks += 1
    if type(node) is MappingNode:
        for name, why in _REFUSED.items():
            if name in node.pairs:
                ctx.error(
                    "FB276", f"the undo of task '{owner.text}' has a key '{name}'", node.pairs[name][0], why
                )
    if type(work) is ir.Compute or (type(work) is ir.Invoke and work.effect == "pure"):
        ctx.warn(
            "FB260",
            f"'undo' does nothing for task '{owner.text}'",
            key,
            "the task changes nothing in the world; say `effect: write` if it does",
        )
    fields = ctx.lower_task(ctx, key, node).fields
    fields.pop("run_when", None)
    if fields.get("retry") is None and type(fields["work"]) is not ir.Compute:
        fields["retry"] = ir.Retry(RetryPolicy())
    return ir.Graph((ir.Task(id=UNDO, at=ctx.span(key), needs=(), waits_for=(), **fields),))
