"""`tolerate`: how many elements of a map may fail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from flowbuilder.compiler.lower.fields import Field, integer
from flowbuilder.compiler.nodes import Scalar

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.nodes import Node

_COUNT: Final = integer(0, 1_000_000_000)
_SHARE: Final = r"(\d+(?:\.\d+)?)\s*%"


def read_tolerate(ctx: Context, node: Node, key: str) -> int | float | None:
    """Return a count, or a share as a number from 0.0 to 1.0."""
    if type(node) is Scalar and (share := re.fullmatch(_SHARE, node.text.strip())):
        percent = float(share[1])
        if percent <= 100:
            return percent / 100
        ctx.error("FB210", f"'{key}' is {node.text}, and at most 100% can fail", node)
        return None
    if type(node) is Scalar and re.fullmatch(r"0?\.\d+", node.text):
        percent = float(node.text) * 100
        ctx.error("FB203", f"'{key}' takes a number of elements, or a share", node, f"write `{percent:g}%`")
        return None
    count: int | None = _COUNT.read(ctx, node, key)
    return count


FIELD: Final = Field(
    read_tolerate,
    {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"}]},
)
