"""Texts with `${{ }}` in them, and conditions, where the marks may be left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.compiler.expressions.parse import Parser, parse_expression
from flowbuilder.compiler.expressions.problems import ExpressionSyntaxError
from flowbuilder.compiler.expressions.scan import scan
from flowbuilder.compiler.expressions.tree import At, Const, Expr, Origin, Text

if TYPE_CHECKING:
    from flowbuilder.core.diagnostics import Diagnostic

MARK: Final = "${{"


def parse_template(text: str, origin: Origin) -> Expr:
    """Read a text of the file.

    Without a mark it is a constant.  A text that is one expression, white
    space around it aside, is that expression, with its value and type; in a
    longer one each value is written out.

    Raises:
        ExpressionSyntaxError: with everything that is wrong in any of its expressions.
    """
    whole = At(origin, 0, len(text))
    if MARK not in text:
        return Const(whole, text)
    parts = _cut(text, origin)
    solid = [part for part, is_text in parts if not (is_text and str(part.value).isspace())]  # type: ignore[union-attr]
    expressions = [part for part, is_text in parts if not is_text]
    if not expressions:
        return Const(whole, "".join(str(part.value) for part, _ in parts))  # type: ignore[union-attr]
    if len(solid) == 1:
        return expressions[0]
    return Text(whole, tuple(part for part, _ in parts))


def _cut(text: str, origin: Origin) -> list[tuple[Expr, bool]]:
    """Return the parts of a text in order, and of each whether it is text outside the marks."""
    parts: list[tuple[Expr, bool]] = []
    problems: list[Diagnostic] = []
    plain, begin, at = "", 0, 0
    while (mark := text.find(MARK, at)) >= 0:
        if mark and text[mark - 1] == "$":
            plain += text[at : mark - 1] + MARK
            at = mark + len(MARK)
            continue
        plain += text[at:mark]
        if plain:
            parts.append((Const(At(origin, begin, mark), plain), True))
        try:
            tokens, at = scan(text, mark + len(MARK), origin, closed=True)
            parts.append((Parser(tokens, origin).whole(), False))
        except ExpressionSyntaxError as error:
            problems += error.diagnostics
            closing = text.find("}}", mark)
            at = closing + 2 if closing >= 0 else len(text)
        plain, begin = "", at
    if problems:
        raise ExpressionSyntaxError(tuple(problems))
    plain += text[at:]
    if plain:
        parts.append((Const(At(origin, begin, len(text)), plain), True))
    return parts


def parse_condition(text: str, origin: Origin) -> Expr:
    """Read a condition: an expression, with marks around it or without.

    Raises:
        ExpressionSyntaxError: as `parse_template`.
    """
    if text.lstrip().startswith(MARK):
        return parse_template(text, origin)
    return parse_expression(text, origin)
