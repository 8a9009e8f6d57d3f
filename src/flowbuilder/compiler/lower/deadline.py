"""The `deadline` of a flow: a moment, or a duration from when a run was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler.expressions.tree import Call, Const, Expr, Text
from flowbuilder.compiler.lower.works.lower_sleep import is_moment, read_for

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.nodes import Node


def read_deadline(ctx: Context, node: Node, key: str) -> Expr | None:
    """Return seconds, a moment, or an expression that gives a duration or a datetime."""
    value = read_for(ctx, node, key) if not is_moment(getattr(node, "text", "")) else None
    if value is None and is_moment(text := getattr(node, "text", "")):
        at = ctx.at(node)
        return Call(at, "datetime", (Const(at, text),))
    if type(value) is Call and value.function == "duration" and type(value.args[0]) is Text:
        return Call(value.at, "datetime", value.args)  # a text with values in it is a moment
    if type(value) is Const and value.value == 0:
        ctx.error("FB210", f"'{key}' must be longer than nothing", node, f"leave out '{key}' for none")
        return None
    return value
