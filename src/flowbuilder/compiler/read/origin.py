"""The way back from a character of a value to its place in the file.

YAML folds lines, strips indentation and knows escapes, so a value's fifth
character may stand anywhere.  The way is worked out when a diagnostic asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from flowbuilder.compiler.nodes import Scalar
from flowbuilder.compiler.read.source import Source

if TYPE_CHECKING:
    from flowbuilder.compiler.nodes import Node
    from flowbuilder.core.span import Span

_ESCAPE_DIGITS = {"x": 2, "u": 4, "U": 8}


class ScalarOrigin(msgspec.Struct, gc=False, eq=False):
    """The text of a scalar: what an expression was read from."""

    source: Source
    scalar: Scalar

    def span(self, start: int, end: int) -> Span:
        """Return the place in the file of the characters `start` to `end` of the text."""
        return self.source.span(*self._range(start, end))

    def authors(self, start: int, end: int) -> Span:
        """Return the same place in the author's own file."""
        return self.source.authors(*self._range(start, end))

    def _range(self, start: int, end: int) -> tuple[int, int]:
        placed = self.source.placed
        if placed is None or placed[0] is not self.scalar:
            # a long text with a thousand mistakes is asked a thousand times
            placed = self.source.placed = (self.scalar, places(self.source.text, self.scalar))
        known = placed[1]
        if not known:
            return self.scalar.start, self.scalar.end
        first = known[min(start, len(known) - 1)] + (start >= len(known))
        last = known[min(end, len(known)) - 1] + 1 if end > start else first + 1
        return first, max(last, first + 1)


class NodeOrigin:
    """A list or mapping as a whole."""

    __slots__ = ("node", "source")

    def __init__(self, source: Source, node: Node) -> None:
        self.source = source
        self.node = node

    def span(self, start: int, end: int) -> Span:
        """Return the place of the node's first line."""
        return self.source.span(*self._range())

    def authors(self, start: int, end: int) -> Span:
        """Return the same place in the author's own file."""
        return self.source.authors(*self._range())

    def _range(self) -> tuple[int, int]:
        begin = self.node.start
        line_end = self.source.text.find("\n", begin)
        end = self.node.end if line_end < 0 else min(self.node.end, line_end)
        return begin, max(end, begin + 1)


def places(text: str, scalar: Scalar) -> Sequence[int]:
    """Return for each character of a scalar's value its index in the file's text."""
    value, start = scalar.text, scalar.start
    match scalar.style:
        case "":
            return _flowing(text, value, start, scalar.end, "")
        case "'" | '"':
            return _flowing(text, value, start + 1, scalar.end - 1, scalar.style)
        case _:
            return _block(text, value, start, scalar.end)


def _flowing(text: str, value: str, at: int, end: int, style: str) -> Sequence[int]:
    if text.startswith(value, at):
        return range(at, at + len(value))
    found: list[int] = []
    while len(found) < len(value) and at < end:
        character = text[at]
        if character in " \t\n" and (fold := _FOLD.match(text, at)) and "\n" in fold[0]:
            # one line end is a blank, n + 1 are n line ends
            count = max(1, fold[0].count("\n") - 1)
            found.extend([at] * min(count, len(value) - len(found)))
            at = fold.end()
        elif style == "'" and text.startswith("''", at):
            found.append(at)
            at += 2
        elif style == '"' and character == "\\":
            at = _escape(text, at, found)
        else:
            found.append(at)
            at += 1
    found.extend([end] * (len(value) - len(found)))
    return found


_FOLD = re.compile(r"[ \t]*(?:\n[ \t]*)*")


def _escape(text: str, at: int, found: list[int]) -> int:
    kind = text[at + 1]
    if kind == "\n":  # the line goes on without a blank
        after = at + 2
        while text[after] in " \t":
            after += 1
        return after
    found.append(at)
    return at + 2 + _ESCAPE_DIGITS.get(kind, 0)


def _block(text: str, value: str, start: int, end: int) -> list[int]:
    """Match a block scalar with its lines: blanks at their start are indentation as far as the value lacks them."""
    at = text.find("\n", start) + 1
    if at == 0:
        return []
    found: list[int] = []
    indent = _indent(text, value, at, end)
    at_line_start = True
    while len(found) < len(value):
        if at >= end:
            found.append(max(start, end - 1))
            continue
        if at_line_start:
            skipped = 0
            while skipped < indent and text.startswith(" ", at):
                skipped += 1
                at += 1
            at_line_start = False
            continue
        wanted, there = value[len(found)], text[at]
        if there == "\n":
            at_line_start = True
            # folded: a single line end is a blank, and the first of several vanishes
            if wanted in "\n ":
                found.append(at)
            at += 1
            if wanted == "\n" and there == "\n":
                continue
        else:
            found.append(at)
            at += 1
    return found


def _indent(text: str, value: str, at: int, end: int) -> int:
    """Return how many blanks the block's lines begin with that are not the value's."""
    return max(0, _leading(text[at:end]) - _leading(value))


def _leading(lines: str) -> int:
    """Return how many blanks the first line begins with that holds anything else."""
    for line in lines.split("\n"):
        if line.strip():
            return len(line) - len(line.lstrip(" "))
    return 0
