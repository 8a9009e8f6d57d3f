"""Which part of an expression failed, why, and where it stands.

Runs only when something went wrong: each part is evaluated again by itself,
in the order in which Python would, until the smallest one that fails is found.
"""

from __future__ import annotations

import ast
import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.expressions.generate import BUDGET, GLOBALS, Generator, Names, weight
from flowbuilder.compiler.expressions.tree import (
    Call,
    Choice,
    Compare,
    CompareOp,
    Const,
    Dict,
    DictComp,
    Expr,
    Index,
    ListComp,
    Logic,
    Member,
    Name,
)
from flowbuilder.compiler.expressions.walk import children
from flowbuilder.core.errors import ExpressionError
from flowbuilder.core.functions.support import OUT_OF_STEPS, kind_of
from flowbuilder.core.functions.table import METHODS, PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_NEAR = 100
"""Keys that near misses are looked for among, and characters of each."""


_PATIENCE: Final = 3
"""Times the steps of one evaluation that the search for the part at fault may take."""
_EACH: Final = 32
"""Steps that evaluating a part counts for: one element of a loop after the other may be many."""
_TRIES: Final = 1_000
"""Parts that it may look at."""
_COUNTER: Final = "_counter"
_HELD: Final = "_held"


class _Enough(Exception):
    """The search for the part at fault has taken long enough."""


class _Counted(Generator):
    """Makes code whose steps are counted from outside."""

    def is_charged(self) -> bool:
        """Tell that texts are paid for: a part is evaluated often where it is one of a loop."""
        return True

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

    def __call__(self, scope: Any, error: Exception) -> ExpressionError:
        """Return the error to raise."""
        search = _Search(self._names, self._steps, self._globals, scope)
        return search.error(self._expr, error)


class _Holding:
    """The names of the flow, and those of the loops around the part at hand, for one element."""

    def __init__(self, names: Names, held: Mapping[str, Any]) -> None:
        self._names = names
        self._held = held

    def resolve(self, expr: Name | Member | Index) -> ast.expr | None:
        root: Expr = expr
        while isinstance(root, Member | Index):
            root = root.of
        if not isinstance(root, Name) or root.id not in self._held:
            return self._names.resolve(expr)
        if root is not expr:
            return None
        return ast.Subscript(ast.Name(_HELD, ast.Load()), ast.Constant(root.id), ast.Load())

    def context(self) -> ast.expr:
        return self._names.context()


class _Search:
    """One search for the part at fault, of one evaluation."""

    def __init__(self, names: Names, steps: int, names_of_module: Mapping[str, Any], scope: Any) -> None:
        self._held: dict[str, Any] = {}
        self._names = _Holding(names, self._held)
        self._steps = steps
        self._globals = names_of_module
        self._scope = scope
        self._left = _PATIENCE * steps
        self._tries = _TRIES
        self._made: dict[int, tuple[Expr, dict[str, Any], int]] = {}
        """By identity: a part, the module of its function, and the steps that it counts for."""

    def error(self, expr: Expr, error: Exception) -> ExpressionError:
        """Return the error to raise for an expression that raised."""
        culprit, cause, elements = expr, error, ""
        while True:
            if (inner := self._failing_part(culprit)) is not None:
                culprit, cause = inner
            elif (element := self._failing_element(culprit, cause)) is not None:
                culprit, cause, number = element
                elements += f"[{number}]"
            else:
                break
        kind, message = self._what(culprit, cause)
        where = f" (element {elements})" if elements else ""
        return ExpressionError(kind, f"{culprit.at.authors}: {message}{where}")

    def _failing_part(self, expr: Expr) -> tuple[Expr, Exception] | None:
        for part in self._parts(expr):
            try:
                self._evaluate(part)
            except _Enough:
                return None
            except Exception as error:
                return part, error
        return None

    def _parts(self, expr: Expr) -> Sequence[Expr]:
        """Return the parts that are evaluated whenever the whole is, or were this time."""
        match expr:
            case ListComp(loops=loops) | DictComp(loops=loops):
                return (loops[0].over,)
            case Choice(condition=condition, then=then, otherwise=otherwise):
                try:
                    return (then,) if self._evaluate(condition) else (otherwise,)
                except Exception:
                    return (condition,)
            case Logic(op=op, operands=operands):
                return self._reached(op, operands)
            case Call(function="default", args=args):
                # the second is evaluated only where the path leads to nothing
                nothing = self._holds(Call(expr.at, "default", (args[0], Const(expr.at, None)))) is None
                return args[1:] if nothing else self._beside_path(args[0])
            case Call(function="exists", args=args):
                return self._beside_path(args[0])
            case Compare(first=first, rest=rest) if len(rest) > 1:
                return self._compared(first, rest)
            case Call(function="any" | "all" | "first", args=args) if args and type(args[0]) is ListComp:
                return (args[0].loops[0].over, *args[1:])
            case Member() | Index() if self._names.resolve(expr) is not None:
                return ()
            case _:
                return children(expr)

    def _beside_path(self, expr: Expr) -> tuple[Expr, ...]:
        """Return the parts of a path whose failures are not hidden: what it begins with, and its indexes."""
        match expr:
            case Name() | Member() | Index() if self._names.resolve(expr) is not None:
                return ()
            case Member(of=of):
                return self._beside_path(of)
            case Index(of=of, index=index):
                return (*self._beside_path(of), index)
            case _:
                return (expr,)

    def _holds(self, expr: Expr) -> Any:
        """Return a part's value; False where it has none."""
        try:
            return self._evaluate(expr)
        except Exception:
            return False

    def _compared(self, first: Expr, rest: tuple[tuple[CompareOp, Expr], ...]) -> list[Expr]:
        """Return the operands of a chain as far as it was compared."""
        reached = [first, rest[0][1]]
        for number in range(1, len(rest)):
            if self._holds(Compare(first.at, first, rest[:number])) is not True:
                break
            reached.append(rest[number][1])
        return reached

    def _reached(self, op: str, operands: Sequence[Expr]) -> list[Expr]:
        reached: list[Expr] = []
        for operand in operands:
            reached.append(operand)
            try:
                holds = bool(self._evaluate(operand))
            except Exception:
                break
            if holds is (op == "or"):
                break
        return reached

    def _failing_element(self, expr: Expr, cause: Exception) -> tuple[Expr, Exception, int] | None:
        """Return what fails of a comprehension for the first element for which anything does, and its number."""
        if isinstance(cause, ExpressionError) and cause.message == OUT_OF_STEPS:
            return None  # all elements together did it
        if type(expr) is Call and expr.args and expr.function in ("any", "all", "first"):
            expr = expr.args[0]
        if type(expr) is not ListComp and type(expr) is not DictComp:
            return None
        loop = expr.loops[0]
        last = _inside(expr)
        before = dict(self._held)
        try:
            for number, item in enumerate(list(self._evaluate(loop.over))):
                self._held.update(zip(loop.names, item if len(loop.names) > 1 else (item,), strict=True))
                for part in (*loop.conditions, last):
                    try:
                        value = self._evaluate(part)
                    except _Enough:
                        raise
                    except Exception as error:
                        return part, error, number
                    if part is not last and not value:
                        break
        except Exception:  # the loop itself is at fault, or it took long enough
            pass
        self._held.clear()
        self._held.update(before)
        return None

    def _evaluate(self, expr: Expr) -> Any:
        """Evaluate a part by itself.

        Raises:
            _Enough: so much has been evaluated that the search ends here.
        """
        if self._left <= 0:
            raise _Enough
        budget = [min(self._steps, self._left)]
        before = budget[0]
        module, cost = self._module(expr)
        module[_COUNTER] = budget
        try:
            return module["part"](self._scope)
        except ExpressionError:
            if budget[0] < 0 and before < self._steps:  # it is the search that ran out of steps
                raise _Enough from None
            raise
        finally:
            self._left -= before - budget[0] + cost

    def _module(self, expr: Expr) -> tuple[dict[str, Any], int]:
        """Return the module of a part's function, made once."""
        known = self._made.get(id(expr))
        if known is not None:
            return known[1:]
        self._tries -= 1
        if self._tries < 0:
            raise _Enough
        definition = _Counted(self._names, self._steps).function(expr, "part")
        module = ast.fix_missing_locations(ast.Module([definition], []))
        namespace = {**GLOBALS, **self._globals, _HELD: self._held}
        exec(compile(module, "<part of an expression>", "exec"), namespace)
        cost = _EACH * weight(expr)
        self._made[id(expr)] = expr, namespace, cost
        return namespace, cost

    def _what(self, expr: Expr, error: Exception) -> tuple[str, str]:
        """Return the kind and the words for what one part raised."""
        if isinstance(error, ExpressionError):
            return error.kind, error.message
        if isinstance(expr, Member | Index):
            return self._member(expr)
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

    def _member(self, expr: Member | Index) -> tuple[str, str]:
        name = expr.name if isinstance(expr, Member) else self._evaluate(expr.index)
        try:
            of = self._evaluate(expr.of)
        except Exception:
            return "expression.missing", f"there is no '{name}'"
        if of is None:
            return (
                "expression.missing",
                f"null has no member '{name}'; write `| default(…)` if it may be null",
            )
        if type(of) is not dict:
            hint = "; elements are taken by number: `[0]`" if type(of) is list else ""
            if type(of) is str and name in METHODS:
                hint = f"; did you mean `.{name}()`?"
            elif isinstance(of, dt.date) and name in PARTS:
                hint = f"; write `| {name}`"
            return "expression.type", f"{kind_of(of)} has no member '{name}'{hint}"
        if isinstance(name, str) and name in METHODS:
            return "expression.missing", f"there is no member '{name}'; did you mean `.{name}()`?"
        keys = [key for key, _ in zip(of, range(MOST_NEAR), strict=False) if len(key) <= MOST_NEAR]
        import difflib  # start-up time: only for a misspelt name

        near = difflib.get_close_matches(str(name)[:MOST_NEAR], keys, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else "; write `| default(…)` if it may be missing"
        return "expression.missing", f"there is no member '{name}'{hint}"


def _inside(expr: ListComp | DictComp) -> Expr:
    """Return what a comprehension evaluates for an element: the loops inside, or its value."""
    rest = expr.loops[1:]
    if isinstance(expr, ListComp):
        return ListComp(expr.at, expr.value, rest) if rest else expr.value
    return DictComp(expr.at, expr.key, expr.value, rest) if rest else Dict(expr.at, ((expr.key, expr.value),))
