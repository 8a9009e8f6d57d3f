"""The parts of a node: what every walk over an expression needs."""

from __future__ import annotations

from collections.abc import Iterator

from flowbuilder.compiler.expressions.tree import (
    Binary,
    Call,
    Choice,
    Compare,
    Dict,
    DictComp,
    Expr,
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


def children(expr: Expr) -> tuple[Expr, ...]:
    """Return the direct parts of a node, in the order in which they stand.

    Those of a comprehension's loops are among them, whatever names they bind.
    """
    match expr:
        case Member(of=of) | Negate(of=of) | Not(of=of):
            return (of,)
        case Index(of=of, index=index):
            return (of, index)
        case Slice(of=of, start=start, stop=stop, step=step):
            return (of, *(part for part in (start, stop, step) if part is not None))
        case List(items=items) | Text(parts=items) | Logic(operands=items):
            return items
        case Dict(items=pairs):
            return tuple(part for pair in pairs for part in pair)
        case ListComp(value=value, loops=loops):
            return (value, *(part for loop in loops for part in (loop.over, *loop.conditions)))
        case DictComp(key=key, value=value, loops=loops):
            return (key, value, *(part for loop in loops for part in (loop.over, *loop.conditions)))
        case Call(args=args, named=named):
            return (*args, *(value for _, value in named))
        case Binary(left=left, right=right):
            return (left, right)
        case Compare(first=first, rest=rest):
            return (first, *(operand for _, operand in rest))
        case Choice(condition=condition, then=then, otherwise=otherwise):
            return (then, condition, otherwise)
        case _:
            return ()


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
