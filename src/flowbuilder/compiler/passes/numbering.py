"""Numbers for sub-expressions: equal ones, and only they, have the same number.

Source: value numbering, J. Cocke and J. T. Schwartz, "Programming Languages
and Their Compilers", 1970.  Comparing trees instead would take quadratic time
for long chains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.depth import is_deep
from flowbuilder.compiler.expressions.references import MOMENTARY
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
from flowbuilder.compiler.expressions.walk import children
from flowbuilder.compiler.passes.trees import HIDING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from flowbuilder.compiler.expressions.tree import Expr

_NONE: Final[frozenset[str]] = frozenset()
_NEVER: Final = frozenset({"()"})
"""Stands for a bound name that nothing binds, in what may not be evaluated elsewhere at all."""


class Numbering:
    """The numbers of what costs something in the expressions that were added."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}
        self._of: dict[int, int] = {}
        """Of costly nodes, by identity; the caller keeps the trees alive."""
        self._bound: list[frozenset[str]] = []
        """For each number the names of loops around it that it mentions."""
        self._costly: list[bool] = []

    def add(self, expr: Expr) -> None:
        """Number an expression and all of its parts."""
        self._number(expr, _NONE)

    def is_costly(self, expr: Expr) -> bool:
        """Tell whether an expression that was added, or a part of one, loops, calls or counts."""
        return id(expr) in self._of

    def get_shareable(self, expr: Expr) -> int | None:
        """Return the number of a costly expression that means the same wherever it stands."""
        number = self._of[id(expr)]
        return None if self._bound[number] else number

    def _number(self, expr: Expr, bound: frozenset[str]) -> int:
        kind = type(expr)
        if kind is Member or kind is Name or kind is Const:
            number = self._plain(expr, bound)
            if number >= 0:
                return number
        if type(expr) is ListComp or type(expr) is DictComp:
            numbers, names = self._comprehension(expr, bound)
        else:
            numbers = [self._number(part, bound) for part in children(expr)]
            names = self._names_in(numbers)
        what = _WHAT.get(kind)
        key = (kind, what and what(expr), *numbers)
        number = self._numbers.get(key, -1)
        if number < 0:
            if type(expr) is Call and expr.function in MOMENTARY:
                names = _NEVER
            costs = _costs(expr) or any([self._costly[n] for n in numbers])
            number = self._new(key, names, costs=costs)
        if self._costly[number]:
            self._of[id(expr)] = number
        return number

    def _plain(self, expr: Expr, bound: frozenset[str]) -> int:
        """Return the number of a constant or of a name with members; -1 for members of anything else."""
        if type(expr) is Const:
            value = expr.value
            key: Hashable = (value, type(value)) if type(value) is str else repr(value)
            number = self._numbers.get(key, -1)
            return number if number >= 0 else self._new(key, _NONE, costs=False)
        path = []
        node = expr
        while type(node) is Member:
            path.append(node.name)
            node = node.of
        if type(node) is not Name:
            return -1
        path.append(node.id)
        names = frozenset({node.id}) if node.id in bound else _NONE
        key = (Name, bool(names), *path)
        number = self._numbers.get(key, -1)
        return number if number >= 0 else self._new(key, names, costs=False)

    def _new(self, key: Hashable, names: frozenset[str], *, costs: bool) -> int:
        number = self._numbers[key] = len(self._bound)
        self._bound.append(names)
        self._costly.append(costs)
        return number

    def _names_in(self, numbers: list[int]) -> frozenset[str]:
        names = _NONE
        for number in numbers:
            if bound := self._bound[number]:
                names |= bound
        return names

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


def alike(values: Sequence[Expr]) -> list[int]:
    """Return the places of values that may have something costly in common, or twice in themselves.

    Looks only at which functions and operators they mention: most regions
    need no numbers at all.
    """
    seen: dict[Hashable, int] = {}
    found: set[int] = set()
    for place, value in enumerate(values):
        stack = [value]
        while stack:
            node = stack.pop()
            if type(node) is Const or type(node) is Name:
                continue
            if _costs(node):
                key = (type(node), _WHAT[type(node)](node))
                if key in seen:
                    found.add(place)
                    found.add(seen[key])
                else:
                    seen[key] = place
            stack += children(node)
    return [place for place in sorted(found) if not is_deep(values[place])]


def _costs(expr: Expr) -> bool:
    kind = type(expr)
    if kind is Binary or kind is ListComp or kind is DictComp:
        return True
    return type(expr) is Call and expr.function not in HIDING


_WHAT: dict[type, Callable[[Any], Hashable]] = {
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
