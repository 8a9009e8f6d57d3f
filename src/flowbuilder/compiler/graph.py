"""`flowbuilder graph`: a flow's graph as the author wrote it, as text, Mermaid or DOT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.compiler.drawing.boxes import parts_of
from flowbuilder.compiler.drawing.dot import as_dot
from flowbuilder.compiler.drawing.mermaid import as_mermaid
from flowbuilder.compiler.drawing.text import as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.compiler.ir import Flow

GRAPH_FORMATS: Final = ("text", "mermaid", "dot")


def draw_graph(flow: Flow, format: str = "text", extra: Mapping[str, str] | None = None) -> str:
    """Return a drawing of a flow.

    Args:
        flow: checked, optimised or not.
        format: one of `GRAPH_FORMATS`.
        extra: by task path, what is to be said besides.

    Raises:
        ValueError: if there is no such format.
    """
    parts = parts_of(flow, extra)
    match format:
        case "text":
            return as_text(parts)
        case "mermaid":
            return as_mermaid(parts)
        case "dot":
            return as_dot(parts, flow.name)
    raise ValueError(f"no format '{format}'; there are {', '.join(GRAPH_FORMATS)}")
