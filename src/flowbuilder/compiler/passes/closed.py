"""Which parts of an expression depend on nothing outside of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.compiler.expressions.references import MOMENTARY
from flowbuilder.compiler.expressions.tree import Call, DictComp, ListComp, Name
from flowbuilder.compiler.expressions.walk import children

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.compiler.expressions.tree import Expr

_NONE: Final[frozenset[str]] = frozenset()


class Closed:
    """Tells of each part of one expression on which loops around it it depends, and whether on more.

    Args:
        expr: the whole.
        bound: names of loops around the whole.
    """

    def __init__(self, expr: Expr, bound: frozenset[str] = _NONE) -> None:
        self._free: dict[int, frozenset[str] | None] = {}
        self._look(expr, bound)

    def free(self, expr: Expr) -> frozenset[str] | None:
        """Return the names of loops around a part that it mentions; None if it depends on the run too.

        A part without such names is constant.
        """
        return self._free[id(expr)]

    def _look(self, expr: Expr, bound: frozenset[str]) -> frozenset[str] | None:
        free: frozenset[str] | None
        if type(expr) is ListComp or type(expr) is DictComp:
            free = self._comprehension(expr, bound)
        elif type(expr) is Name:
            free = frozenset({expr.id}) if expr.id in bound else None
        else:
            free = _NONE
            for part in children(expr):
                inner = self._look(part, bound)
                free = None if free is None or inner is None else free | inner
            if type(expr) is Call and expr.function in MOMENTARY:
                free = None
        self._free[id(expr)] = free
        return free

    def _comprehension(self, expr: ListComp | DictComp, bound: frozenset[str]) -> frozenset[str] | None:
        free: frozenset[str] | None = _NONE
        for part, own in parts_with_own(expr):
            inner = self._look(part, bound | own)
            free = None if free is None or inner is None else free | (inner - own)
        return free


def parts_with_own(expr: Expr) -> Iterator[tuple[Expr, frozenset[str]]]:
    """Yield the parts of an expression as `walk.children` has them, each with the names that loops of its own bind."""
    own = _NONE
    if type(expr) is not ListComp and type(expr) is not DictComp:
        for part in children(expr):
            yield part, own
        return
    for loop in expr.loops:
        yield loop.over, own  # does not see the names of its own loop
        own = own.union(loop.names)
        for condition in loop.conditions:
            yield condition, own
    if isinstance(expr, DictComp):
        yield expr.key, own
    yield expr.value, own
