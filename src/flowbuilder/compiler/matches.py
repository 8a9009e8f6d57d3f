"""Finds what of a filter an index can answer: `event.payload.order == inputs.order`.

A conjunct that says that a part of the event equals something which is known
before the event comes is looked up; all of the filter is asked all the same,
of the events that were found so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler.expressions.references import references
from flowbuilder.compiler.expressions.tree import Compare, Const, Index, Logic, Member, Name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.core.matching import Step


def looked_up(condition: Expr) -> tuple[tuple[Step, ...], Expr] | None:
    """Return a part of the event, as a path, and what it must be equal to; None where there is no such conjunct.

    One that differs from run to run is preferred to a constant: it finds fewer.
    """
    found = [pair for conjunct in _conjuncts(condition) if (pair := _equality(conjunct)) is not None]
    varying = [pair for pair in found if type(pair[1]) is not Const]
    return next(iter(varying or found), None)


def mentions_event(expr: Expr) -> bool:
    """Tell whether an expression looks at the event at all."""
    return any(reference.root == "event" for reference in references(expr))


def _conjuncts(expr: Expr) -> Iterator[Expr]:
    if type(expr) is Logic and expr.op == "and":
        for operand in expr.operands:
            yield from _conjuncts(operand)
    else:
        yield expr


def _equality(expr: Expr) -> tuple[tuple[Step, ...], Expr] | None:
    if type(expr) is not Compare or len(expr.rest) != 1 or expr.rest[0][0] != "==":
        return None
    left, right = expr.first, expr.rest[0][1]
    for one, other in ((left, right), (right, left)):
        path = _path(one)
        if path is not None and not mentions_event(other):
            return path, other
    return None


def _path(expr: Expr) -> tuple[Step, ...] | None:
    """Return the steps from the event to a part of it; None for anything else."""
    steps: list[Step] = []
    while True:
        match expr:
            case Name(id="event"):
                return tuple(reversed(steps)) if steps else None
            case Member(of=of, name=name):
                steps.append(name)
                expr = of
            case Index(of=of, index=Const(value=str() | int() as step)) if type(step) is not bool:
                steps.append(step)
                expr = of
            case _:
                return None
