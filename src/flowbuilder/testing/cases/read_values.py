"""Kinds of value that stand in several places of a file of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.lower.fields import Field
from flowbuilder.compiler.lower.values import constant
from flowbuilder.compiler.nodes import Mapping, Node

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context


def read_values(ctx: Context, node: Node, key: str) -> dict[str, Any] | None:
    """Return constants by name."""
    if type(node) is not Mapping:
        ctx.expected("a mapping of names and values", node, key)
        return None
    return {name.text: constant(ctx, value, name.text) for name, value in node.pairs.values()}


VALUES: Final = Field(read_values, {"type": "object"})
ANY: Final = Field(constant, {})
