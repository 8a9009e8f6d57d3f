"""What the passes need of expression trees: which parts are always evaluated, and trees with other parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.expressions.tree import (
    Binary,
    Call,
    Choice,
    Compare,
    Dict,
    DictComp,
    For,
    Index,
    List,
    ListComp,
    Logic,
    Member,
    Negate,
    Not,
    Slice,
    Text,
)
from flowbuilder.compiler.expressions.walk import children

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flowbuilder.compiler.expressions.tree import Expr

HIDING: Final = frozenset({"default", "exists"})
"""Functions that take a failure of their first argument for an answer."""

HIDDEN: Final = 0
"""A part whose failure is taken for an answer: its shape matters, so it is left as written."""
PERHAPS: Final = 1
"""A part that is not evaluated each time the whole is."""
ALWAYS: Final = 2


def parts_with_certainty(expr: Expr) -> Iterator[tuple[Expr, int]]:
    """Return the parts of an expression, each with HIDDEN, PERHAPS or ALWAYS."""
    inner = children(expr)
    if certainty := _CERTAINTY.get(type(expr)):
        return zip(inner, certainty(expr, len(inner)), strict=True)
    return zip(inner, (ALWAYS,) * len(inner), strict=True)


def rebuilt(expr: Expr, new: Sequence[Expr]) -> Expr:
    """Return an expression with other parts, given as `children` has them; itself if they are the same."""
    old = children(expr)
    for before, after in zip(old, new, strict=True):
        if before is not after:
            made: Expr = _REBUILD[type(expr)](expr, new)
            return made
    return expr


def _loops(loops: tuple[For, ...], new: Sequence[Expr]) -> tuple[For, ...]:
    made = []
    place = 0
    for loop in loops:
        end = place + 1 + len(loop.conditions)
        made.append(For(loop.names, new[place], tuple(new[place + 1 : end])))
        place = end
    return tuple(made)


def _slice(expr: Slice, new: Sequence[Expr]) -> Slice:
    rest = iter(new[1:])
    start, stop, step = (part and next(rest) for part in (expr.start, expr.stop, expr.step))
    return Slice(expr.at, new[0], start, stop, step)


def _dict(expr: Dict, new: Sequence[Expr]) -> Dict:
    return Dict(expr.at, tuple(zip(new[::2], new[1::2], strict=True)))


def _call(expr: Call, new: Sequence[Expr]) -> Call:
    count = len(expr.args)
    named = tuple((name, value) for (name, _), value in zip(expr.named, new[count:], strict=True))
    return Call(expr.at, expr.function, tuple(new[:count]), named, expr.form)


def _compare(expr: Compare, new: Sequence[Expr]) -> Compare:
    return Compare(expr.at, new[0], tuple((op, v) for (op, _), v in zip(expr.rest, new[1:], strict=True)))


_REBUILD: dict[type, Callable[[Any, Sequence[Expr]], Expr]] = {
    Member: lambda e, new: Member(e.at, new[0], e.name),
    Index: lambda e, new: Index(e.at, new[0], new[1]),
    Slice: _slice,
    List: lambda e, new: List(e.at, tuple(new)),
    Dict: _dict,
    ListComp: lambda e, new: ListComp(e.at, new[-1], _loops(e.loops, new)),
    DictComp: lambda e, new: DictComp(e.at, new[-2], new[-1], _loops(e.loops, new)),
    Call: _call,
    Negate: lambda e, new: Negate(e.at, new[0]),
    Binary: lambda e, new: Binary(e.at, e.op, new[0], new[1]),
    Compare: _compare,
    Not: lambda e, new: Not(e.at, new[0]),
    Logic: lambda e, new: Logic(e.at, e.op, tuple(new)),
    Choice: lambda e, new: Choice(e.at, new[0], new[1], new[2]),
    Text: lambda e, new: Text(e.at, tuple(new)),
}

_CERTAINTY: dict[type, Callable[[Any, int], Sequence[int]]] = {
    ListComp: lambda e, n: (ALWAYS, *(PERHAPS,) * (n - 1)),
    DictComp: lambda e, n: (ALWAYS, *(PERHAPS,) * (n - 1)),
    # `a < b < c` looks at c only if a < b
    Compare: lambda e, n: (ALWAYS, ALWAYS, *(PERHAPS,) * (n - 2)),
    Logic: lambda e, n: (ALWAYS, *(PERHAPS,) * (n - 1)),
    Choice: lambda e, n: (ALWAYS, PERHAPS, PERHAPS),
    Call: lambda e, n: (HIDDEN, *(PERHAPS,) * (n - 1)) if e.function in HIDING and n else (ALWAYS,) * n,
}
"""For the kinds of which not every part is always evaluated."""
