"""Conditions of a test: expressions of the language over what came of the run."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from flowbuilder.compiler.codegen.module import Module
from flowbuilder.compiler.codegen.names import at, chain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowbuilder.compiler.expressions.tree import Expr, Index, Member, Name

_STEPS = 1_000_000


class _Names:
    """Each name is a member of the mapping that a condition is evaluated over."""

    def resolve(self, expr: Name | Member | Index) -> ast.expr | None:
        """Return what loads a name; its members are members."""
        path = chain(expr)
        if path is None or len(path) != 1:
            return None
        return at(ast.Name("s", ast.Load()), path[0])

    def context(self) -> ast.expr:
        """Return what would know the time; conditions of a test know none."""
        return at(ast.Name("s", ast.Load()), "run")


def condition(tree: Expr) -> Callable[[Mapping[str, Any]], bool]:
    """Return the function of a condition; it raises `ExpressionError`."""
    module = Module("test", _STEPS)
    made: list[Any] = []
    module.function(tree, _Names(), made.append, 1, condition=True)
    module.compile()
    return made[0]  # type: ignore[no-any-return]
