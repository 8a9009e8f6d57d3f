"""What a YAML file is once it is read: scalars, sequences and mappings with their places.

Keys are the text that was written, and nothing is resolved: whether `010` is
a number is asked by whoever needs to know (`read.scalars`).  A node keeps
indexes into its file's text; lines and columns are worked out when a
diagnostic needs them.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import msgspec

from flowbuilder.compiler.read.scalars import UnusableNumber, value_of


class Scalar(msgspec.Struct, gc=False, eq=False):
    """A text, number, boolean or null as it was written.

    Not tracked by the garbage collector: a file has a hundred thousand of them,
    and none refers to anything but texts.
    """

    text: str
    style: str
    """Empty for a plain scalar, else its mark: `'`, `"`, `|` or `>`."""
    start: int
    end: int

    size: ClassVar[int] = 1


class Sequence:
    """A list."""

    __slots__ = ("end", "items", "size", "start")

    def __init__(self, start: int) -> None:
        self.items: list[Node] = []
        self.start = start
        self.end = start
        self.size = 1
        """Nodes in all, shared ones counted each time."""


class Mapping:
    """A mapping: for each key's text the key and its value, in the order written."""

    __slots__ = ("end", "pairs", "size", "start")

    def __init__(self, start: int) -> None:
        self.pairs: dict[str, tuple[Scalar, Node]] = {}
        self.start = start
        self.end = start
        self.size = 1

    def get(self, key: str) -> Node | None:
        """Return the value of a key that may be missing."""
        pair = self.pairs.get(key)
        return pair[1] if pair else None


class Broken:
    """What could not be read and was reported; whoever meets it says nothing more."""

    __slots__ = ("end", "start")
    size = 1

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end


Node: TypeAlias = Scalar | Sequence | Mapping | Broken


def is_nothing(node: Scalar) -> bool:
    """Tell whether a key was left without a value, or says `null`."""
    return not node.style and node.text in ("", "~", "null", "Null", "NULL")


def kind_of(node: Node) -> str:
    """Return what a node is, in words for a message."""
    if type(node) is Mapping:
        return "a mapping"
    if type(node) is Sequence:
        return "a list"
    if type(node) is not Scalar:
        return "nothing"
    try:
        value = value_of(node)
    except UnusableNumber:
        return "a number"
    if value is None:
        return "nothing"
    return "a text" if type(value) is str else "a boolean" if type(value) is bool else "a number"
