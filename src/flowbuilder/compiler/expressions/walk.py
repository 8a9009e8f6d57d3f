"""The parts of a node: what every walk over an expression needs."""

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
    from collections.abc import Callable, Iterator, Sequence

    from flowbuilder.compiler.expressions.tree import Expr


def children(expr: Expr) -> Sequence[Expr]:
    """Return the direct parts of a node, in the order in which they are evaluated.

    Those of a comprehension's loops are among them, whatever names they bind.
    """
    return _CHILDREN[type(expr)](expr)


def is_deeper(expr: Expr, levels: int) -> bool:
    """Tell whether an expression has more than so many levels; takes no recursion itself."""
    level = [expr]
    for _ in range(levels):
        level = [part for node in level for part in children(node)]
        if not level:
            return False
    return True


def walk(expr: Expr) -> Iterator[Expr]:
    """Yield a node and all that is below it, each before its parts."""
    stack = [expr]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def _loops(loops: tuple[For, ...]) -> list[Expr]:
    found: list[Expr] = []
    for loop in loops:
        found.append(loop.over)
        found += loop.conditions
    return found


# hot: benchmarks/compiling.py; a `match` over the kinds takes five times as long
_CHILDREN: dict[type, Callable[[Any], Sequence[Expr]]] = {
    Const: lambda e: (),
    Name: lambda e: (),
    Member: lambda e: (e.of,),
    Index: lambda e: (e.of, e.index),
    Slice: lambda e: [p for p in (e.of, e.start, e.stop, e.step) if p is not None],
    List: lambda e: e.items,
    Dict: lambda e: [p for item in e.items for p in item],
    ListComp: lambda e: [*_loops(e.loops), e.value],
    DictComp: lambda e: [*_loops(e.loops), e.key, e.value],
    Call: lambda e: [*e.args, *(v for _, v in e.named)] if e.named else e.args,
    Negate: lambda e: (e.of,),
    Binary: lambda e: (e.left, e.right),
    Compare: lambda e: [e.first, *(v for _, v in e.rest)],
    Not: lambda e: (e.of,),
    Logic: lambda e: e.operands,
    Choice: lambda e: (e.condition, e.then, e.otherwise),
    Text: lambda e: e.parts,
}
