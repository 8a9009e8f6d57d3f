"""A graph in the DOT language of Graphviz."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowbuilder.compiler.drawing.boxes import Box, Part

_STYLES = {
    "trigger": "shape=cds",
    "pure": 'shape=box, style="rounded"',
    "read": 'shape=box, style="rounded,bold"',
    "write": "shape=box, style=bold",
    "group": "shape=folder",
    "never": "shape=box, style=dashed, fontcolor=gray50",
}


def as_dot(parts: Sequence[Part], name: str) -> str:
    """Return a DOT graph of all parts of a flow."""
    lines = [f'digraph "{_escaped(name)}" {{', "  node [fontname=sans, fontsize=10]"]
    numbers = count()
    for part in parts:
        if part.title:
            lines += _cluster(part.title, part.boxes, "  ", numbers)
        else:
            lines += _boxes(part.boxes, "  ", numbers)
    lines.append("}")
    return "\n".join(lines) + "\n"


def _cluster(title: str, boxes: Sequence[Box], indent: str, numbers: Iterator[int]) -> Iterator[str]:
    yield f"{indent}subgraph cluster{next(numbers)} {{"
    yield f'{indent}  label="{_escaped(title)}"'
    yield from _boxes(boxes, indent + "  ", numbers)
    yield f"{indent}}}"


def _boxes(boxes: Sequence[Box], indent: str, numbers: Iterator[int]) -> Iterator[str]:
    names = [f"t{next(numbers)}" for _ in boxes]
    for name, box in zip(names, boxes, strict=True):
        label = "\\n".join([_escaped(box.title), *map(_escaped, box.words)])
        yield f'{indent}{name} [label="{label}", {_STYLES[box.look]}]'
        for other in box.waits:
            yield f"{indent}{names[other]} -> {name}"
        for title, inside in ((box.title, box.body), (f"{box.title}: on_error", box.rescue)):
            if inside:
                lines = list(_cluster(title, inside, indent, numbers))
                yield from lines
                yield f"{indent}{name} -> {_first(lines)} [style=dotted, arrowhead=none]"


def _first(lines: Sequence[str]) -> str:
    """Return the name of the first node of a cluster."""
    return lines[2].split()[0]


def _escaped(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace('"', '\\"').split())
