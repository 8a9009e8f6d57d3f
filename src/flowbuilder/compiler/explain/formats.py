"""An explanation in the formats that it may be asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from flowbuilder.compiler.explain.text import as_text, figures
from flowbuilder.compiler.graph import draw_graph

if TYPE_CHECKING:
    from flowbuilder.compiler.explain.nodes import Explanation, PlanNode
    from flowbuilder.compiler.ir import Flow

FORMATS: Final = ("text", "json", "mermaid", "dot")


def render(explanation: Explanation, flow: Flow, format: str = "text") -> str:
    """Return an explanation as text.

    Args:
        explanation: what `explain` made.
        flow: the optimised flow, which the drawings show.
        format: one of `FORMATS`.

    Raises:
        ValueError: if there is no such format.
    """
    match format:
        case "text":
            return as_text(explanation)
        case "json":
            return msgspec.json.format(msgspec.json.encode(explanation), indent=2).decode() + "\n"
        case "mermaid" | "dot":
            return draw_graph(flow, format, dict(_figures(explanation.plan)))
    raise ValueError(f"no format '{format}'; there are {', '.join(FORMATS)}")


def _figures(node: PlanNode) -> Iterator[tuple[str, str]]:
    if node.path:
        yield node.path, figures(node.estimate, node.actual, never=node.never_executed)
    for child in node.children:
        yield from _figures(child)
