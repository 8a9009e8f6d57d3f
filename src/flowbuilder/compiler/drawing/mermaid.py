"""A graph as a Mermaid flowchart, for Markdown pages and merge requests."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowbuilder.compiler.drawing.boxes import Box, Part

_ESCAPES = str.maketrans({'"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "#": "#35;", "`": "#96;"})
_SHAPES = {
    "trigger": ('{{"', '"}}'),
    "pure": ('(["', '"])'),
    "read": ('("', '")'),
    "write": ('["', '"]'),
    "never": ('["', '"]'),
}


def as_mermaid(parts: Sequence[Part]) -> str:
    """Return a Mermaid flowchart of all parts of a flow."""
    lines = ["flowchart TD"]
    numbers = count()
    for part in parts:
        if part.title:
            lines.append(f'  subgraph part{next(numbers)}["{part.title}"]')
            lines += _boxes(part.boxes, "    ", numbers)
            lines.append("  end")
        else:
            lines += _boxes(part.boxes, "  ", numbers)
    lines.append("  classDef never stroke-dasharray: 4 4, opacity: 0.5")
    return "\n".join(lines) + "\n"


def _boxes(boxes: Sequence[Box], indent: str, numbers: Iterator[int]) -> Iterator[str]:
    names = [f"t{next(numbers)}" for _ in boxes]
    for name, box in zip(names, boxes, strict=True):
        if box.look == "group":
            yield f'{indent}subgraph {name}["{_label(box)}"]'
            yield from _boxes(box.body, indent + "  ", numbers)
            yield f"{indent}end"
        else:
            before, after = _SHAPES[box.look]
            yield f"{indent}{name}{before}{_label(box)}{after}{':::never' if box.look == 'never' else ''}"
        if box.rescue:
            inside = f"e{next(numbers)}"
            yield f'{indent}subgraph {inside}["{_escaped(box.title)}: on_error"]'
            yield from _boxes(box.rescue, indent + "  ", numbers)
            yield f"{indent}end"
            yield f"{indent}{name} -.-> {inside}"
        for other in box.waits:
            yield f"{indent}{names[other]} --> {name}"


def _label(box: Box) -> str:
    return "<br/>".join([f"<b>{_escaped(box.title)}</b>", *map(_escaped, box.words)])


def _escaped(text: str) -> str:
    return " ".join(text.translate(_ESCAPES).split())
