"""`outputs`: values by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler.expressions.tree import Const, Dict, Expr
from flowbuilder.compiler.lower.values import lower_value
from flowbuilder.compiler.nodes import Mapping

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.nodes import Node


def lower_outputs(ctx: Context, node: Node) -> Expr:
    """Return a `Dict`, also where all values are constant."""
    if type(node) is not Mapping:
        ctx.expected(
            "a mapping of names and values",
            node,
            "outputs",
            "write for example `total: ${{ tasks.sum.output }}`",
        )
        return Dict(ctx.at(node), ())
    items = [(Const(ctx.at(key), key.text), lower_value(ctx, value)) for key, value in node.pairs.values()]
    return Dict(ctx.at(node), tuple(items))
