"""What every pass needs of expression trees: their parts, and trees with other parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbuilder.compiler.expressions.tree import (
    Binary,
    Call,
    Choice,
    Compare,
    Const,
    Dict,
    DictComp,
    For,
    Index,
    List,
    ListComp,
    Logic,
    Member,
    Name,
    Negate,
    Not,
    Slice,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbuilder.compiler.expressions.tree import Expr

HIDING = frozenset({"default", "exists"})
"""Functions that take a failure of their first argument for an answer."""

IMPURE = frozenset({"now", "today", "uuid"})
"""Functions that no pass folds, shares or moves."""


def parts(expr: Expr) -> tuple[Expr, ...]:
    """Return the expressions directly inside one, in the order written."""
    return _PARTS[type(expr)](expr)


def _loop_parts(loops: tuple[For, ...]) -> tuple[Expr, ...]:
    found: list[Expr] = []
    for loop in loops:
        found.append(loop.over)
        found += loop.conditions
    return tuple(found)


_PARTS: dict[type, Callable[[Any], tuple[Expr, ...]]] = {
    Const: lambda e: (),
    Name: lambda e: (),
    Member: lambda e: (e.of,),
    Index: lambda e: (e.of, e.index),
    Slice: lambda e: tuple(p for p in (e.of, e.start, e.stop, e.step) if p is not None),
    List: lambda e: e.items,
    Dict: lambda e: tuple(p for item in e.items for p in item),
    ListComp: lambda e: (e.value, *_loop_parts(e.loops)),
    DictComp: lambda e: (e.key, e.value, *_loop_parts(e.loops)),
    Call: lambda e: (*e.args, *(v for _, v in e.named)) if e.named else e.args,
    Negate: lambda e: (e.of,),
    Binary: lambda e: (e.left, e.right),
    Compare: lambda e: (e.first, *(v for _, v in e.rest)),
    Not: lambda e: (e.of,),
    Logic: lambda e: e.operands,
    Choice: lambda e: (e.condition, e.then, e.otherwise),
    Text: lambda e: e.parts,
}
