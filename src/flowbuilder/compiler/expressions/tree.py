"""What an expression is once it is read: an immutable tree.

Templates are expressions too: a text with several `${{ }}` is a `Text`, a
mapping or list of the YAML file that holds expressions a `Dict` or `List`,
everything constant one `Const`.  So a task's whole `with` is one tree.

Equality ignores where a node stands, so that equal expressions at two places
are equal (common sub-expressions depend on it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from flowbuilder.core.span import Span


class Origin(Protocol):
    """The text that an expression was read from, and where that text stands."""

    def span(self, start: int, end: int) -> Span:
        """Return the place in the file of the characters `start` to `end` of the text."""
        ...

    def authors(self, start: int, end: int) -> Span:
        """Return the same place in the file that its author wrote, where a front end wrote this one."""
        ...


class At(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Where a node stands; the span is worked out only when somebody asks.

    All instances are equal, so that comparing trees compares meaning only.
    """

    origin: Origin
    start: int
    end: int

    def __eq__(self, other: object) -> bool:
        return type(other) is At

    def __hash__(self) -> int:
        return 0

    @property
    def span(self) -> Span:
        """The place in the file."""
        return self.origin.span(self.start, self.end)

    @property
    def authors(self) -> Span:
        """The place in the file that its author wrote."""
        return self.origin.authors(self.start, self.end)


class Node(msgspec.Struct, frozen=True):
    """A part of an expression."""

    at: At


class Const(Node, frozen=True, eq=False):
    """A value that is known: null, boolean, number, text, or a list or mapping of such.

    Equality tells `1` from `True` and from `1.0`.
    """

    value: object

    def __eq__(self, other: object) -> bool:
        return type(other) is Const and repr(self.value) == repr(other.value)

    def __hash__(self) -> int:
        return hash(repr(self.value))


class Name(Node, frozen=True):
    """A name: of the flow (`inputs`, `item`, …), of a `for`, or of `as`."""

    id: str


class Member(Node, frozen=True):
    """`of.name`: a mapping's member, never a method."""

    of: Expr
    name: str


class Index(Node, frozen=True):
    """`of[index]`."""

    of: Expr
    index: Expr


class Slice(Node, frozen=True):
    """`of[start:stop:step]`; parts that are left out are None."""

    of: Expr
    start: Expr | None
    stop: Expr | None
    step: Expr | None


class List(Node, frozen=True):
    """`[a, b]`."""

    items: tuple[Expr, ...]


class Dict(Node, frozen=True):
    """`{k: v}`, in the order written."""

    items: tuple[tuple[Expr, Expr], ...]


class For(msgspec.Struct, frozen=True):
    """One `for names in over if …` of a comprehension."""

    names: tuple[str, ...]
    over: Expr
    conditions: tuple[Expr, ...]


class ListComp(Node, frozen=True):
    """`[value for …]`, also the sole argument `f(value for …)`."""

    value: Expr
    loops: tuple[For, ...]


class DictComp(Node, frozen=True):
    """`{key: value for …}`."""

    key: Expr
    value: Expr
    loops: tuple[For, ...]


class Call(Node, frozen=True):
    """`f(a, k=v)`; also `a.f(…)` and `a | f(…)`, with `a` as the first argument."""

    function: str
    args: tuple[Expr, ...]
    named: tuple[tuple[str, Expr], ...] = ()
    form: Literal["call", "method", "filter"] = "call"


class Negate(Node, frozen=True):
    """`-of`."""

    of: Expr


class Binary(Node, frozen=True):
    """`left op right` with an arithmetic operator."""

    op: Literal["+", "-", "*", "/", "//", "%", "**"]
    left: Expr
    right: Expr


CompareOp = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in", "is null", "is not null"]


class Compare(Node, frozen=True):
    """`first op x op y …`; for `is null` the operand is `Const(None)`."""

    first: Expr
    rest: tuple[tuple[CompareOp, Expr], ...]


class Not(Node, frozen=True):
    """`not of`."""

    of: Expr


class Logic(Node, frozen=True):
    """`a and b and c`, or the same with `or`: two or more operands."""

    op: Literal["and", "or"]
    operands: tuple[Expr, ...]


class Choice(Node, frozen=True):
    """`then if condition else otherwise`."""

    condition: Expr
    then: Expr
    otherwise: Expr


class Text(Node, frozen=True):
    """A longer text with expressions in it: each part is written out and joined."""

    parts: tuple[Expr, ...]


Expr = (
    Const
    | Name
    | Member
    | Index
    | Slice
    | List
    | Dict
    | ListComp
    | DictComp
    | Call
    | Negate
    | Binary
    | Compare
    | Not
    | Logic
    | Choice
    | Text
)
