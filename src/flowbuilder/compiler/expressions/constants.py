"""Evaluating what is known before a run: expressions without names."""

from __future__ import annotations

import ast
from typing import Any

from flowbuilder.compiler.expressions.explain import Explainer
from flowbuilder.compiler.expressions.generate import GLOBALS, Generator
from flowbuilder.compiler.expressions.tree import Const, Expr, Index, Member, Name


class _NoNames:
    """Names of an expression that has none."""

    def resolve(self, expr: Name | Member | Index) -> ast.expr | None:
        return None

    def context(self) -> ast.expr:
        raise AssertionError("a constant expression asks for nothing")


def evaluate_constant(expr: Expr, steps: int = 1000) -> Any:
    """Return the value of an expression without names, at most so many steps away.

    Raises:
        ExpressionError: it must fail, or takes more steps.
    """
    if type(expr) is Const:
        return expr.value
    names = _NoNames()
    definition = Generator(names, steps).function(expr, "constant")
    module = ast.fix_missing_locations(ast.Module([definition], []))
    namespace = dict(GLOBALS)
    exec(compile(module, "<constant>", "exec"), namespace)
    try:
        return namespace["constant"]([])
    except Exception as error:
        raise Explainer(expr, names, steps, {})([], error) from None
