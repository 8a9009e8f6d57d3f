"""Stepping through a script: characters, the values among them, and what is known so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from flowbuilder.core.shellcode import EXPANDED, VALUE, Command, Judge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DEEPEST: Final = 50
_BLANKS: Final = " \t"


Style = Literal["bare", "quoted", "single", "ansi", "number", "comment"]


class ScriptProblem(msgspec.Struct, frozen=True):
    """A value that cannot be bound."""

    index: int
    """The placeholder's number, from 0."""
    what: str
    hint: str = 'give the value by `env: {NAME: ${{ … }}}` and write "$NAME" in the script'


class Place:
    """Where a value stands."""

    __slots__ = ("integer", "style")

    def __init__(self, style: Style, integer: bool) -> None:
        self.style = style
        self.integer = integer
        """Whether bash computes with it."""


class Scanned(msgspec.Struct, frozen=True):
    """Where each value stands, and what is wrong with some."""

    places: tuple[Place, ...]
    problems: tuple[ScriptProblem, ...]


class Lost(Exception):
    """The scanner cannot tell any more where it is."""


class Document:
    """A here-document whose body is still to come."""

    __slots__ = ("command", "delimiter", "pipeline", "quoted", "tabs")

    def __init__(
        self, command: Command, pipeline: list[Command], delimiter: str, quoted: bool, tabs: bool
    ) -> None:
        self.command = command
        self.pipeline = pipeline
        """The command's own, which is whole by the time the body is read."""
        self.delimiter = delimiter
        self.quoted = quoted
        self.tabs = tabs


class Cursor:
    """Where the reader is in a script, and what it has found up to there.

    Args:
        parts: the script; None stands for a value.
    """

    def __init__(self, parts: Sequence[str | None]) -> None:
        self.foreign = any(VALUE in part or EXPANDED in part for part in parts if part)
        self.text = "".join(VALUE if part is None else part.replace(VALUE, " ") for part in parts)
        self.count = sum(part is None for part in parts)
        self.at = 0
        self.limit = len(self.text)
        self.places: list[Place] = []
        """Of the values up to `at`: they are read in order."""
        self.sure = 0
        """How many of them stand in commands that were read to their ends."""
        self.problems: dict[int, str] = {}
        self.judge = Judge(self.text, self.problem, self.must_compute)
        self.documents: list[Document] = []
        self.no_arithmetic: set[int] = set()
        """Where `((` has turned out to be two brackets: tried once, so that the time stays linear."""
        self.depth = 0
        self.computing = 0
        """How many arithmetic contexts are open: values in them must be whole numbers."""

    def peek(self, ahead: int = 0) -> str:
        """Return a character that follows, empty behind the end."""
        at = self.at + ahead
        return self.text[at] if at < self.limit else ""

    def sees(self, text: str) -> bool:
        """Tell whether this text follows."""
        return self.text.startswith(text, self.at, self.limit)

    def take(self, count: int = 1) -> str:
        """Step over text and return it."""
        taken = self.text[self.at : min(self.at + count, self.limit)]
        self.at += len(taken)
        return taken

    def value(self, style: Style) -> int:
        """Step over a value, noting in which quotes it stands; return its number."""
        self.at += 1
        self.places.append(Place(style, self.computing > 0))
        return len(self.places) - 1

    def values_since(self, before: int) -> range:
        """Return the numbers of the values that were read since there were `before`."""
        return range(before, len(self.places))

    def must_compute(self, index: int) -> None:
        """Note that bash computes with a value."""
        self.places[index].integer = True

    def problem(self, index: int, what: str) -> None:
        """Note why a value cannot be bound; the first reason stays."""
        self.problems.setdefault(index, what)

    def blanks(self, also: str = "") -> None:
        """Pass over what separates words."""
        while (c := self.peek()) and (c in _BLANKS or c in also or self.sees("\\\n")):
            self.take(2 if c == "\\" else 1)

    def deeper(self, inner: Callable[[], object]) -> None:
        """Read something inside brackets or quotes, which may not go on without end."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise Lost(f"brackets and quotes are more than {_DEEPEST} deep")
        inner()
        self.depth -= 1
