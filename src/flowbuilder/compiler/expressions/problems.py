"""How the parser says that an expression cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.core.diagnostics import Diagnostic

if TYPE_CHECKING:
    from flowbuilder.compiler.expressions.tree import Origin


class ExpressionSyntaxError(Exception):
    """An expression, or several of one text, cannot be read; `diagnostics` says why."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__(diagnostics)
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        return "; ".join(diagnostic.what for diagnostic in self.diagnostics)


def problem(origin: Origin, code: str, start: int, end: int, what: str, *hints: str) -> ExpressionSyntaxError:
    """Return an error about the characters `start` to `end`."""
    span = origin.span(start, max(end, start + 1))
    return ExpressionSyntaxError((Diagnostic(code, what, span, tuple(hints)),))
