"""How deep an expression is: what goes through trees by recursion asks before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.compiler.expressions.walk import is_deeper

if TYPE_CHECKING:
    from flowbuilder.compiler.expressions.tree import Expr

MAX_DEPTH: Final = 120
"""Levels of a tree.  People write ten; more than this would use up Python's stack, so it is left as it is."""


def is_deep(expr: Expr) -> bool:
    """Tell whether an expression has more than `MAX_DEPTH` levels; takes no recursion itself."""
    return is_deeper(expr, MAX_DEPTH)
