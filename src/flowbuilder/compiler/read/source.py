"""The text of one file, and the lines and columns of what stands in it."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import msgspec

from flowbuilder.core.span import Span


class WrittenFrom(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A part of a text that was written from another file: from the character `start` to before `end`."""

    start: int
    end: int
    at: Span


class Source:
    """One file's text with line ends as on Unix; finds positions when they are asked for.

    Args:
        text: what is in the file.
        file: its name.
        written_from: where its parts come from, if it was written by a front end.
    """

    __slots__ = ("_starts", "_written_from", "file", "placed", "text")

    def __init__(self, text: str, file: str, written_from: Sequence[WrittenFrom] = ()) -> None:
        self.text = canonical(text)
        self.file = file
        self._written_from = written_from
        self._starts: list[int] | None = None
        self.placed: tuple[object, Sequence[int]] | None = None
        """The scalar that positions were last asked for, and those of its characters."""

    @property
    def starts(self) -> list[int]:
        """The index of each line's first character."""
        if self._starts is None:
            starts = [0]
            at = self.text.find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = self.text.find("\n", at + 1)
            self._starts = starts
        return self._starts

    def position(self, index: int) -> tuple[int, int]:
        """Return line and column, from 1, of a character."""
        index = max(0, min(index, len(self.text)))
        line = bisect.bisect_right(self.starts, index)
        return line, index - self.starts[line - 1] + 1

    def index(self, line: int, column: int) -> int:
        """Return the index of a position, both counted from 1."""
        return self.starts[line - 1] + column - 1

    def line(self, number: int) -> str:
        """Return the text of a line, counted from 1, without its end."""
        if not 1 <= number <= len(self.starts):
            return ""
        start = self.starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start:] if end < 0 else self.text[start:end]

    def replace_line(self, number: int, line: str) -> None:
        """Put another line in a line's place, so that reading can go on behind it."""
        start = self.starts[number - 1]
        end = start + len(self.line(number))
        self.text = self.text[:start] + line + self.text[end:]
        self._starts = None

    def authors(self, start: int, end: int) -> Span:
        """Return the place in the author's own file: that of the smallest part around, or `span`."""
        around = [part for part in self._written_from if part.start <= start < part.end]
        if not around:
            return self.span(start, end)
        return min(around, key=lambda part: part.end - part.start).at

    def span(self, start: int, end: int) -> Span:
        """Return the place of the characters from `start` to before `end`, at least one wide.

        White space at the end is left out: YAML ends a block where the next begins.
        """
        text = self.text
        end = min(end, len(text))
        while end > start + 1 and text[end - 1] in " \n\t":
            end -= 1
        line, column = self.position(start)
        end_line, end_column = self.position(end)
        if (end_line, end_column) <= (line, column):
            end_line, end_column = line, column + 1
        return Span(self.file, line, column, end_line, end_column)


def canonical(text: str) -> str:
    """Return a text without byte order mark and with line ends as on Unix."""
    if text[:1] == "\ufeff":
        text = text[1:]
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text
