"""Which part of an expression failed, why, and where it stands.

Runs only when something went wrong: each part is evaluated again by itself,
in the order in which Python would, until the smallest one that fails is found.
"""

from __future__ import annotations

import ast
import difflib
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.expressions.generate import BUDGET, GLOBALS, Generator, Names
from flowbuilder.compiler.expressions.tree import (
    Call,
    Choice,
    DictComp,
    Expr,
    Index,
    ListComp,
    Logic,
    Member,
)
from flowbuilder.compiler.expressions.walk import children
from flowbuilder.core.errors import ExpressionError
from flowbuilder.core.functions.support import kind_of
from flowbuilder.core.functions.table import METHODS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_NEAR = 100
"""Keys that near misses are looked for among, and characters of each."""


_PATIENCE: Final = 3
"""Times the steps of one evaluation that the search for the part at fault may take."""
_TRIES: Final = 1_000
"""Parts that it may look at."""
_COUNTER: Final = "_counter"


class _Enough(Exception):
    """The search for the part at fault has taken long enough."""


class _Counted(Generator):
    """Makes code whose steps are counted from outside."""

    def budget(self) -> list[ast.stmt]:
        """Return what a function must begin with: the budget that it is given."""
        return [ast.Assign([ast.Name(BUDGET, ast.Store())], ast.Name(_COUNTER, ast.Load()))]


class Explainer:
    """Turns what an evaluation raised into an error that names the part at fault."""

    def __init__(self, expr: Expr, names: Names, steps: int, names_of_module: Mapping[str, Any]) -> None:
        self._expr = expr
        self._names = names
        self._steps = steps
        self._globals = names_of_module
        self._left = self._tries = 0

    def __call__(self, scope: Any, error: Exception) -> ExpressionError:
        """Return the error to raise."""
        self._left = _PATIENCE * self._steps
        self._tries = _TRIES
        culprit, cause = self._expr, error
        while (inner := self._failing_part(culprit, scope)) is not None:
            culprit, cause = inner
        kind, message = self._what(culprit, cause, scope)
        return ExpressionError(kind, f"{culprit.at.span}: {message}")

    def _failing_part(self, expr: Expr, scope: Any) -> tuple[Expr, Exception] | None:
        for part in self._parts(expr, scope):
            try:
                self._evaluate(part, scope)
            except _Enough:
                return None
            except Exception as error:
                return part, error
        return None

    def _parts(self, expr: Expr, scope: Any) -> Sequence[Expr]:
        """Return the parts that are evaluated whenever the whole is, or were this time."""
        match expr:
            case ListComp(loops=loops) | DictComp(loops=loops):
                return (loops[0].over,)
            case Choice(condition=condition, then=then, otherwise=otherwise):
                try:
                    return (then,) if self._evaluate(condition, scope) else (otherwise,)
                except Exception:
                    return (condition,)
            case Logic(op=op, operands=operands):
                return self._reached(op, operands, scope)
            case Call(function="default" | "exists", args=args):
                return args[1:]
            case Call(function="any" | "all" | "first", args=args) if args and type(args[0]) is ListComp:
                return (args[0].loops[0].over, *args[1:])
            case Member() | Index() if self._names.resolve(expr) is not None:
                return ()
            case _:
                return children(expr)

    def _reached(self, op: str, operands: Sequence[Expr], scope: Any) -> list[Expr]:
        reached: list[Expr] = []
        for operand in operands:
            reached.append(operand)
            try:
                holds = bool(self._evaluate(operand, scope))
            except Exception:
                break
            if holds is (op == "or"):
                break
        return reached

    def _evaluate(self, expr: Expr, scope: Any) -> Any:
        """Evaluate a part by itself.

        Raises:
            _Enough: so much has been evaluated that the search ends here.
        """
        self._tries -= 1
        if self._left <= 0 or self._tries < 0:
            raise _Enough
        budget = [min(self._steps, self._left)]
        before = budget[0]
        definition = _Counted(self._names, self._steps).function(expr, "part")
        module = ast.fix_missing_locations(ast.Module([definition], []))
        namespace = {**GLOBALS, **self._globals, _COUNTER: budget}
        exec(compile(module, "<part of an expression>", "exec"), namespace)
        try:
            return namespace["part"](scope)
        except ExpressionError:
            if budget[0] < 0 and before < self._steps:  # it is the search that ran out of steps
                raise _Enough from None
            raise
        finally:
            self._left -= before - budget[0]

    def _what(self, expr: Expr, error: Exception, scope: Any) -> tuple[str, str]:
        """Return the kind and the words for what one part raised."""
        if isinstance(error, ExpressionError):
            return error.kind, error.message
        if isinstance(expr, Member | Index):
            return self._member(expr, scope)
        match error:
            case KeyError() | IndexError():
                return "expression.missing", "a member or element is missing"
            case ZeroDivisionError():
                return "expression.value", "division by zero"
            case OverflowError() | MemoryError() | RecursionError():
                return "expression.limit", "the value would be too large"
            case ValueError():
                return "expression.value", "a value does not fit"
            case _:
                return "expression.type", "a value is of the wrong kind"

    def _member(self, expr: Member | Index, scope: Any) -> tuple[str, str]:
        name = expr.name if isinstance(expr, Member) else self._evaluate(expr.index, scope)
        try:
            of = self._evaluate(expr.of, scope)
        except Exception:
            return "expression.missing", f"there is no '{name}'"
        if of is None:
            return (
                "expression.missing",
                f"null has no member '{name}'; write `| default(…)` if it may be null",
            )
        if type(of) is not dict:
            hint = "; elements are taken by number: `[0]`" if type(of) is list else ""
            return "expression.type", f"{kind_of(of)} has no member '{name}'{hint}"
        if isinstance(name, str) and name in METHODS:
            return "expression.missing", f"there is no member '{name}'; did you mean `.{name}()`?"
        keys = [key for key, _ in zip(of, range(MOST_NEAR), strict=False) if len(key) <= MOST_NEAR]
        near = difflib.get_close_matches(str(name)[:MOST_NEAR], keys, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else "; write `| default(…)` if it may be missing"
        return "expression.missing", f"there is no member '{name}'{hint}"
