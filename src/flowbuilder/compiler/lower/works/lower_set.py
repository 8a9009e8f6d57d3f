"""`set`: the value as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.tree import Const
from flowbuilder.compiler.lower.values import lower_value

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
    """Return the value; without `with` there is none."""
    if "with" not in values:
        ctx.error(
            "FB202",
            f"task '{key.text}' lacks the key 'with'",
            key,
            f"`with` is the value that '{spec.name}' gives",
        )
        return ir.Compute(Const(ctx.at(key), None))
    value = lower_value(ctx, values["with"])
    mentions.of(value)
    return ir.Compute(value)
