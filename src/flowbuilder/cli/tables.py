"""Tables: coloured columns at a terminal, plain columns through a pipe.

Drawn here and not by rich: a result table stands at the end of every run at a
terminal, and importing rich would double the time of a short one.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, TextIO

from flowbuilder.cli.terminal import columns_of, is_rich, put

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STATUS_COLOURS: Final[Mapping[str, str]] = {
    "succeeded": "32",
    "failed": "1;31",
    "cancelled": "33",
    "skipped": "2",
    "running": "36",
    "waiting": "34",
    "ready": "36",
    "pending": "2",
    "queued": "2",
    "paused": "35",
    "ok": "32",
    "warning": "33",
    "error": "1;31",
}
"""ANSI colours of what stands in a column named `status`."""

_GAP = "  "
_NARROWEST = 16


def show_table(
    stream: TextIO,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: frozenset[str] = frozenset(),
) -> None:
    """Print rows under their columns.

    At a terminal the last column is cut where it would run over the edge, and
    then the first; through a pipe nothing is cut.

    Args:
        stream: where they go; decides whether they are coloured.
        columns: the headings; one named `status` is coloured by its cells.
        rows: texts, as many in each row as there are columns.
        numbers: columns that are set to the right.
    """
    coloured = is_rich(stream)
    cleaned = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(width_of, cells)) for cells in zip(columns, *cleaned, strict=True)]
    if coloured:
        _fit(widths, columns_of(stream) - len(_GAP) * (len(widths) - 1))
    lines = []
    for row in (columns, *cleaned):
        cells = []
        for column, cell, width in zip(columns, row, widths, strict=True):
            text = cut(cell, width) if coloured else cell
            pad = " " * (width - width_of(text))
            shown = _styled(text, column, heading=row is columns) if coloured else text
            cells.append(pad + shown if column in numbers else shown + pad)
        lines.append(_GAP.join(cells).rstrip() + "\n")
    put("".join(lines), stream)


def _fit(widths: list[int], room: int) -> None:
    """Make the last column, then the first, narrower until all have room; not past what says something."""
    for column in (-1, 0):
        surplus = sum(widths) - room
        if surplus > 0:
            widths[column] = max(widths[column] - surplus, min(widths[column], _NARROWEST))


def width_of(text: str) -> int:
    """Return how many places a text takes at a terminal.

    Example:
        >>> width_of("ok"), width_of("東京")
        (2, 4)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def one_line(text: str) -> str:
    """Return a text without line breaks and control characters, which would move the cursor."""
    return "".join(c if c.isprintable() else " " for c in text)


def cut(text: str, width: int) -> str:
    """Return a text, shortened so that it takes no more places than `width`."""
    if width_of(text) <= width:
        return text
    while width_of(text) > width - 1:
        text = text[:-1]
    return text + "…"


def _styled(text: str, column: str, *, heading: bool) -> str:
    code = "1" if heading else STATUS_COLOURS.get(text, "") if column == "status" else ""
    return f"\x1b[{code}m{text}\x1b[0m" if code else text
