"""Numbers for sub-expressions: equal ones, and only they, have the same number.

Source: value numbering, J. Cocke and J. T. Schwartz, "Programming Languages
and Their Compilers", 1970.  Comparing trees instead would take quadratic time
for long chains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.expressions.tree import (
    Binary,
    Call,
    Compare,
    Const,
    DictComp,
    ListComp,
    Logic,
    Member,
    Name,
    Slice,
)
from flowbuilder.compiler.passes.trees import HIDING, IMPURE, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from flowbuilder.compiler.expressions.tree import Expr

_NONE: Final[frozenset[str]] = frozenset()
_NEVER: Final = frozenset({"()"})
"""Stands for a bound name that nothing binds, in what may not be evaluated elsewhere at all."""


class Numbering:
    """The numbers of all parts of the expressions that were added."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Hashable, ...], int] = {}
        self._of: dict[int, int] = {}
        """By identity of the node; the caller keeps the trees alive."""
        self._bound: list[frozenset[str]] = []
        """For each number the names of loops around it that it mentions."""
        self._costly: list[bool] = []

    def add(self, expr: Expr) -> None:
        """Number an expression and all of its parts."""
        self._number(expr, _NONE)

    def __getitem__(self, expr: Expr) -> int:
        """Return the number of an expression that was added, or of a part of one."""
        return self._of[id(expr)]

    def may_share(self, expr: Expr) -> bool:
        """Tell whether an expression costs something and means the same wherever it stands."""
        number = self._of[id(expr)]
        return self._costly[number] and not self._bound[number]

    def _number(self, expr: Expr, bound: frozenset[str]) -> int:
        if type(expr) is ListComp or type(expr) is DictComp:
            numbers, names = self._comprehension(expr, bound)
        else:
            numbers = [self._number(part, bound) for part in parts(expr)]
            names = _NONE.union(*(self._bound[number] for number in numbers))
        is_bound = type(expr) is Name and expr.id in bound
        what = _WHAT.get(type(expr))
        key = (type(expr), is_bound, what and what(expr), *numbers)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._bound)
            if type(expr) is Name and is_bound:
                names = frozenset({expr.id})
            elif type(expr) is Call and expr.function in IMPURE:
                names = _NEVER
            self._bound.append(names)
            self._costly.append(_costs(expr) or any(self._costly[n] for n in numbers))
        self._of[id(expr)] = number
        return number

    def _comprehension(
        self, expr: ListComp | DictComp, bound: frozenset[str]
    ) -> tuple[list[int], frozenset[str]]:
        """Return the numbers of its parts, and what names of loops around it they mention."""
        own = _NONE
        numbers: list[int] = []
        names = _NONE

        def number(part: Expr) -> None:
            nonlocal names
            numbers.append(self._number(part, bound | own))
            names |= self._bound[numbers[-1]] - own

        for loop in expr.loops:
            number(loop.over)  # does not see the names of its own loop
            own = own.union(loop.names)
            for condition in loop.conditions:
                number(condition)
        if isinstance(expr, DictComp):
            number(expr.key)
        number(expr.value)
        return numbers, names


def _costs(expr: Expr) -> bool:
    kind = type(expr)
    if kind is Binary or kind is ListComp or kind is DictComp:
        return True
    return type(expr) is Call and expr.function not in HIDING


_WHAT: dict[type, Callable[[Any], Hashable]] = {
    Const: lambda e: repr(e.value),
    Name: lambda e: e.id,
    Member: lambda e: e.name,
    Slice: lambda e: (e.start is None, e.stop is None, e.step is None),
    ListComp: lambda e: tuple((loop.names, len(loop.conditions)) for loop in e.loops),
    DictComp: lambda e: tuple((loop.names, len(loop.conditions)) for loop in e.loops),
    # `f(a)`, `a.f()` and `a | f` are the same call
    Call: lambda e: (e.function, len(e.args), tuple(name for name, _ in e.named)),
    Binary: lambda e: e.op,
    Compare: lambda e: tuple(op for op, _ in e.rest),
    Logic: lambda e: e.op,
}
"""What tells nodes of a kind apart besides their parts."""
