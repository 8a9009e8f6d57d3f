"""Evaluates one expression, the way a flow does: read, checked, made into Python, run, explained.

Names are roots such as `inputs`, with values given by the test.  Whatever
code is generated on the way is looked through: it must hold nothing but what
`generate.py` promises.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from flowbuilder.compiler.expressions import parse_condition, parse_expression, parse_template
from flowbuilder.compiler.expressions.check import ScopeNames, check
from flowbuilder.compiler.expressions.explain import Explainer
from flowbuilder.compiler.expressions.generate import GLOBALS, Generator
from flowbuilder.core.errors import ExpressionError
from flowbuilder.core.functions.support import STEPS
from flowbuilder.core.span import Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.compiler.expressions.tree import Expr, Index, Member, Name
    from flowbuilder.core.diagnostics import Diagnostic


class Refused(Exception):
    """The checks refuse an expression, which can be read."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__("; ".join(f"{found.code} {found.what} {found.hints}" for found in diagnostics))
        self.diagnostics = diagnostics


class Context:
    """The moment, zone and place of an evaluation."""

    def __init__(
        self, moment: float = 1767611045.0, timezone: str = "Europe/Berlin", place: str = "r/t"
    ) -> None:
        self.moment = moment
        self.timezone = timezone
        self.place = place
        self._counts: dict[str, int] = {}

    def occurrence(self, place: str) -> int:
        """Return how often a place was evaluated before."""
        self._counts[place] = self._counts.get(place, -1) + 1
        return self._counts[place]


class _Names:
    """Each root is a place of the scope, a mapping; the context is another."""

    def __init__(self, roots: Mapping[str, Any]) -> None:
        self._roots = roots

    def resolve(self, expr: Name | Member | Index) -> ast.expr | None:
        name = getattr(expr, "id", None)
        if name not in self._roots:
            return None
        return ast.Subscript(ast.Name("s", ast.Load()), ast.Constant(name), ast.Load())

    def context(self) -> ast.expr:
        return ast.Subscript(ast.Name("s", ast.Load()), ast.Constant("<context>"), ast.Load())


class _Line:
    """A text of one line."""

    def span(self, start: int, end: int) -> Span:
        return Span("e", 1, start + 1, 1, end + 1)

    authors = span


LINE = _Line()


def evaluate(
    text: str, names: Mapping[str, Any] | None = None, *, steps: int = STEPS, context: Context | None = None
) -> Any:
    """Return the value of an expression without marks around it."""
    return run(parse_expression(text, LINE), names or {}, steps=steps, context=context)


def write_out(text: str, names: Mapping[str, Any] | None = None) -> Any:
    """Return the value of a text of the file, with marks in it or without."""
    return run(parse_template(text, LINE), names or {})


def holds(text: str, names: Mapping[str, Any] | None = None) -> Any:
    """Return whether a condition holds."""
    return run(parse_condition(text, LINE), names or {}, condition=True)


def run(
    expr: Expr,
    names: Mapping[str, Any],
    *,
    steps: int = STEPS,
    context: Context | None = None,
    condition: bool = False,
) -> Any:
    """Check, generate, look through, compile and call.

    Raises:
        Refused: by the checks.
        ExpressionError: by the evaluation.
    """
    found = check(expr, ScopeNames(names, condition=condition))
    if found:
        raise Refused(found)
    where = _Names(names)
    definition = Generator(where, steps).function(expr, "f", condition=condition, explain="x")
    look_through(definition)
    namespace = {**GLOBALS, "x": Explainer(expr, where, steps, {})}
    module = ast.fix_missing_locations(ast.Module([definition], []))
    exec(compile(module, "<formula>", "exec"), namespace)
    return namespace["f"]({**names, "<context>": context or Context()})


_ALLOWED = (
    *(ast.FunctionDef, ast.arguments, ast.arg, ast.Assign, ast.Return, ast.Try, ast.ExceptHandler, ast.Raise),
    *(ast.Constant, ast.Name, ast.Load, ast.Store, ast.Subscript, ast.List, ast.Dict, ast.Tuple, ast.Call),
    *(ast.keyword, ast.ListComp, ast.DictComp, ast.GeneratorExp, ast.comprehension, ast.Lambda),
    *(ast.UnaryOp, ast.Not, ast.BoolOp, ast.And, ast.Or, ast.IfExp),
    *(ast.Compare, ast.Eq, ast.NotEq, ast.Is, ast.IsNot),
)


def look_through(definition: ast.FunctionDef) -> None:
    """Check generated code: no attribute, no operator of Python, no name that an author chose."""
    for node in ast.walk(definition):
        assert isinstance(node, _ALLOWED), ast.dump(node)
        if isinstance(node, ast.Name):
            known = node.id in GLOBALS or node.id in ("s", "e", "x", "_b")
            assert known or (node.id[0] == "v" and node.id[1:].isdigit()), node.id
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name), ast.dump(node)


def outcome(text: str, names: Mapping[str, Any] | None = None, **options: Any) -> Any:
    """Return the value of an expression, or the kind of its error."""
    try:
        return evaluate(text, names, **options)
    except ExpressionError as error:
        return Kind(error.kind)


class Kind(str):
    """The kind of an error, which is no text of the language."""

    __slots__ = ()
