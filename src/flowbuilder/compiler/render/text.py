"""Diagnostics for people: the place, what is wrong, the line with a caret, and how to put it right.

```text
orders.yaml:14:21: FB220 task 'charge' needs 'cart', which is no task
   |
14 |     needs: [cart]
   |             ^^^^
   = did you mean 'basket'?
```

Nothing that a flow's text holds reaches a terminal as a control sequence.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from flowbuilder.core.diagnostics import Diagnostic

Role = Literal["place", "error", "warning", "message", "gutter", "source", "caret", "hint"]
_WIDEST: Final = 140
"""Characters of a source line that are shown; of a longer one those around the caret."""
_LEAD: Final = 60
"""Of them before the caret."""


class Piece(NamedTuple):
    """A stretch of a line, and what it is: whoever has colours chooses one by its role."""

    role: Role
    text: str


Line = tuple[Piece, ...]


def render_text(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]) -> str:
    """Return diagnostics as text, each followed by a line end.

    Args:
        diagnostics: in the order in which they are to be shown.
        sources: the texts that they are about, by file; without one the line is left out.
    """
    lines = render_lines(diagnostics, sources)
    return "".join("".join(piece.text for piece in line).rstrip() + "\n" for line in lines)


def render_lines(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str]) -> list[Line]:
    """Return diagnostics as lines of pieces, for whoever shows them in colour."""
    split: dict[str, list[str]] = {}
    lines: list[Line] = []
    for diagnostic in diagnostics:
        file = diagnostic.at.file
        if file not in split:
            split[file] = sources[file].split("\n") if file in sources else []
        lines += _diagnostic(diagnostic, split[file])
    return lines


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """Return how many there are: `2 errors, 1 warning`; an empty text for none."""
    severities = [diagnostic.severity for diagnostic in diagnostics]
    counts = [(severities.count(word), word) for word in ("error", "warning")]
    return ", ".join(f"{n} {word}{'s' if n > 1 else ''}" for n, word in counts if n)


def _diagnostic(diagnostic: Diagnostic, lines: list[str]) -> list[Line]:
    at = diagnostic.at
    word = "warning: " if diagnostic.severity == "warning" else ""
    shown: list[Line] = [
        (
            Piece("place", f"{clean(at.file)}:{at.line}:{at.column}: "),
            Piece(diagnostic.severity, f"{diagnostic.code} {word}"),
            Piece("message", clean(diagnostic.what)),
        )
    ]
    number = str(at.line)
    margin = " " * max(len(number), 2)
    if 0 < at.line <= len(lines):
        source, before, under = _window(lines[at.line - 1], at.column - 1, _end(diagnostic, lines))
        shown += [
            (Piece("gutter", f"{margin} |"),),
            (Piece("gutter", f"{number:>{len(margin)}} | "), Piece("source", source)),
            (Piece("gutter", f"{margin} | "), Piece("caret", " " * before + "^" * max(1, under))),
        ]
    shown += [(Piece("gutter", f"{margin} = "), Piece("hint", clean(hint))) for hint in diagnostic.hints]
    return shown


def _end(diagnostic: Diagnostic, lines: list[str]) -> int:
    """Return where the marked stretch ends on its first line, from 0."""
    at = diagnostic.at
    return at.end_column - 1 if at.end_line == at.line else len(lines[at.line - 1])


def _window(line: str, start: int, end: int) -> tuple[str, int, int]:
    """Return what is shown of a line, and the widths of what stands before and in the marked stretch."""
    cut = 0
    prefix = suffix = ""
    if len(line) > _WIDEST:
        cut = max(0, min(start - _LEAD, len(line) - _WIDEST))
        prefix = "…" if cut else ""
        suffix = "…" if cut + _WIDEST < len(line) else ""
        line = line[cut : cut + _WIDEST]
    start, end = max(0, start - cut), max(0, min(end - cut, len(line)))
    return (
        prefix + clean(line) + suffix,
        _width(prefix) + _width(clean(line[:start])),
        _width(clean(line[start:end])),
    )


def clean(text: str) -> str:
    """Return a text without anything that would move a cursor or hide; a tab is shown as a blank."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c == "\t" else "\ufffd" for c in text)


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )
