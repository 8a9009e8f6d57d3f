"""A graph as text: a line for each task, with the tasks that it waits for to its upper left.

```text
◐    fetch  http
├─○  rows  set
● │  stock  http
●─┘  report  python
```

A lane is a column that leads down from a task until the last that waits for
it.  The picture depends on the order of tasks only, so equal flows look equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbuilder.compiler.drawing.boxes import Box, Part

MAX_LANES: Final = 40
"""Lanes side by side; a wider graph is listed instead, each task with what it waits for."""

_SIGNS: Final = {"trigger": "▷", "pure": "○", "read": "◐", "write": "●", "group": "◇", "never": "×"}

_CROSSED: Final = {" ": "─", "├": "┼", "┤": "┼", "└": "┴", "┘": "┴"}
"""What a cell becomes when a line runs through it; a lane that is not joined stays as it is."""


def as_text(parts: Sequence[Part]) -> str:
    """Return a drawing of all parts of a flow."""
    lines: list[str] = []
    for part in parts:
        if part.title:
            lines.append(f"{part.title}:")
        lines += _drawn(part.boxes)
        if any(box.look == "trigger" for box in part.boxes):
            lines.append("")
    lines.append("")
    lines.append("○ pure   ◐ reads   ● writes   ◇ group   × never runs")
    return "\n".join(lines) + "\n"


def _drawn(boxes: Sequence[Box]) -> list[str]:
    drawing = _Lanes(boxes)
    rows = []
    for place in range(len(boxes)):
        rows.append(drawing.row(place))
        if drawing.width > MAX_LANES:
            return _listed(boxes)
    lines = []
    for box, (lanes, below) in zip(boxes, rows, strict=True):
        lines.append(f"{lanes}  {_label(box)}")
        for title, inside in (("", box.body), ("on_error:", box.rescue)):
            if inside:
                inner = [title] if title else []
                inner += _drawn(inside)
                lines += [f"{below}    {line}" for line in inner]
    return lines


def _listed(boxes: Sequence[Box]) -> list[str]:
    lines = []
    for box in boxes:
        waits = ", ".join(boxes[place].title for place in box.waits)
        lines.append(f"{_SIGNS[box.look]} {_label(box)}{'  ← ' + waits if waits else ''}")
        for inside in (box.body, box.rescue):
            lines += [f"    {line}" for line in _drawn(inside)]
    return lines


def _label(box: Box) -> str:
    return f"{box.title}  {', '.join(box.words)}"


class _Lanes:
    """The columns of a drawing while it is made from top to bottom."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        self.width = 0
        """The most lanes that were side by side."""
        self._boxes = boxes
        self._last = [-1] * len(boxes)
        """For each box the last that waits for it."""
        for place, box in enumerate(boxes):
            for other in box.waits:
                self._last[other] = place
        self._lanes: list[int | None] = []
        """For each column the box it leads down from; None where it is free."""

    def row(self, place: int) -> tuple[str, str]:
        """Return the lanes on the line of a box, and on lines below it, and go on to the next."""
        waits = set(self._boxes[place].waits)
        needed = [lane for lane, box in enumerate(self._lanes) if box in waits]
        ending = [lane for lane in needed if self._last[self._lanes[lane] or 0] == place]
        column = ending[0] if ending else self._free(needed)
        cells = ["│" if box is not None else " " for box in self._lanes]
        links = [" "] * len(cells)
        for lane in sorted(needed, key=lambda lane: abs(lane - column)):
            if lane != column:
                self._connect(lane, column, cells, links, ends=lane in ending)
        cells[column] = _SIGNS[self._boxes[place].look]
        for lane in ending:
            self._lanes[lane] = None
        self._lanes[column] = place if self._last[place] > place else None
        while self._lanes and self._lanes[-1] is None:
            self._lanes.pop()
        self.width = max(self.width, len(cells))
        row = "".join(cell + link for cell, link in zip(cells, links, strict=True)).rstrip()
        return row, " ".join("│" if box is not None else " " for box in self._lanes)

    def _free(self, needed: list[int]) -> int:
        """Return a free column, to the right of what leads into it if there is one."""
        start = needed[-1] + 1 if needed else 0
        for lane in range(start, len(self._lanes)):
            if self._lanes[lane] is None:
                return lane
        self._lanes.append(None)
        return len(self._lanes) - 1

    def _connect(self, lane: int, column: int, cells: list[str], links: list[str], *, ends: bool) -> None:
        """Draw a line from a lane to the column of the box; lanes between, if joined, are joined already."""
        if lane < column:
            cells[lane] = "└" if ends else "├"
            first, last = lane, column
        else:
            cells[lane] = "┘" if ends else "┤"
            first, last = column, lane
        for between in range(first, last):
            links[between] = "─"
            if between != first:
                cells[between] = _CROSSED.get(cells[between], cells[between])
