"""Values that may hold expressions: a node becomes one tree."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flowbuilder.compiler.expressions.codes import TEXT_CONDITION
from flowbuilder.compiler.expressions.problems import ExpressionSyntaxError
from flowbuilder.compiler.expressions.template import parse_condition, parse_template
from flowbuilder.compiler.expressions.tree import Const, Dict, Expr, List, Text
from flowbuilder.compiler.nodes import Broken, Mapping, Node, Scalar, Sequence
from flowbuilder.compiler.read.origin import ScalarOrigin
from flowbuilder.compiler.read.quoting import quote_expressions, quote_value
from flowbuilder.compiler.read.scalars import UnusableNumber, prints_otherwise, value_of

if TYPE_CHECKING:
    from types import EllipsisType

    from flowbuilder.compiler.lower.context import Context

MARK = "${{"
_ROOTS = "inputs|vars|secrets|tasks|env|item|trigger|run"
_BRACES = re.compile(rf"(?<!\$)\{{\{{-?\s*(?:{_ROOTS})[.\[ ][^}}]*\}}\}}")
_DOLLAR = re.compile(r"\$(?:inputs|vars|secrets|tasks)(?:\.\w+)+|\$\{(?:inputs|vars|secrets|tasks)\.[^}]*\}")


def lower_value(ctx: Context, node: Node) -> Expr:
    """Return the tree of a value; a value without expressions is one `Const`."""
    kind = type(node)
    if kind is Scalar:
        return lower_scalar(ctx, node)  # type: ignore[arg-type]
    if kind is Sequence:
        return lower_list(ctx, node)  # type: ignore[arg-type]
    if kind is Mapping:
        return lower_mapping(ctx, node)  # type: ignore[arg-type]
    return ctx.unknown(node)


def lower_scalar(ctx: Context, node: Scalar) -> Expr:
    """Return the tree of a text, number, boolean or null."""
    text = node.text
    if MARK in text:
        return lower_template(ctx, node)
    if "{{" in text or "$" in text:
        warn_of_other_marks(ctx, node)
    value = scalar_value(ctx, node)
    return ctx.unknown(node) if value is ... else Const(ctx.at(node), value)


def lower_list(ctx: Context, node: Sequence) -> Expr:
    """Return the tree of a list."""
    items = tuple([lower_value(ctx, item) for item in node.items])
    if all(type(item) is Const for item in items):
        return Const(ctx.at(node), [item.value for item in items])  # type: ignore[union-attr]
    return List(ctx.at(node), items)


def lower_mapping(ctx: Context, node: Mapping) -> Expr:
    """Return the tree of a mapping; keys are constant."""
    return mapping_of(ctx, node, [(key, lower_value(ctx, value)) for key, value in node.pairs.values()])


def mapping_of(ctx: Context, node: Node, items: list[tuple[Scalar, Expr]]) -> Expr:
    """Return a mapping of keys and values that are lowered: one `Const` if nothing varies."""
    if all(type(value) is Const for _, value in items):
        return Const(ctx.at(node), {key.text: value.value for key, value in items})  # type: ignore[union-attr]
    return Dict(ctx.at(node), tuple([(Const(ctx.at(key), key.text), value) for key, value in items]))


def scalar_value(ctx: Context, node: Scalar) -> str | int | float | bool | EllipsisType | None:
    """Return what a scalar without expressions means; numbers that lose something are warned about.

    Of a number that no flow can hold, which is reported, it is `...`.
    """
    try:
        value = value_of(node)
    except UnusableNumber as error:
        ctx.error("FB110", f"{node.text[:40]} {error}", node, "quote it if it is meant as a text")
        return ...
    if prints_otherwise(node.text, value):
        ctx.warn(
            "FB111",
            f"{node.text} is the number {value}, which is written otherwise",
            node,
            f"if it is a text, quote it: '{node.text}'",
            f"if it is a number, write {value}",
        )
    return value


def lower_template(ctx: Context, node: Scalar) -> Expr:
    """Return the tree of a text with `${{ }}` in it."""
    try:
        return parse_template(node.text, ScalarOrigin(ctx.source, node))
    except ExpressionSyntaxError as error:
        if not _was_cut(ctx, node):
            ctx.findings.extend(error.diagnostics)
        return ctx.unknown(node)


def lower_condition(ctx: Context, node: Node, key: str) -> Expr | None:
    """Return the tree of a condition, in which `${{ }}` may be left out."""
    if type(node) is not Scalar:
        ctx.expected("a condition", node, key)
        return None
    if not node.text.strip():
        ctx.error("FB203", f"'{key}' is empty", node, f"write a condition, or leave out '{key}'")
        return None
    try:
        tree = parse_condition(node.text, ScalarOrigin(ctx.source, node))
    except ExpressionSyntaxError as error:
        if not _was_cut(ctx, node):
            ctx.findings.extend(error.diagnostics)
        return None
    if type(tree) is Text or (type(tree) is Const and type(tree.value) is not bool):
        text = type(tree) is not Const or type(tree.value) is str
        ctx.error(
            TEXT_CONDITION if text else "FB214",
            f"'{key}' takes a condition, and this is "
            + ("a text, which would always be true" if text else "a constant that is neither true nor false"),
            node,
            _without_marks(ctx, node) or "compare it with something: `inputs.env == 'prod'`",
        )
        return None
    return tree


def _without_marks(ctx: Context, node: Scalar) -> str:
    """Return a hint where a condition would be one if its marks were left out: `${{ a }} == 'x'`."""
    bare = node.text.replace(MARK, " ").replace("}}", " ")
    bare = " ".join(bare.split())
    try:
        tree = parse_condition(bare, ScalarOrigin(ctx.source, node))
    except ExpressionSyntaxError:
        return ""
    return f"leave the marks out: {bare[:200]}" if MARK in node.text and type(tree) is not Const else ""


def _was_cut(ctx: Context, node: Scalar) -> bool:
    """Report an expression that a comment has cut off: ` #` in a plain scalar."""
    if node.style:
        return False
    span = ctx.span(node)
    line = ctx.source.line(span.end_line)
    rest = line[span.end_column - 1 :]
    if not (rest.startswith(" ") and rest.lstrip().startswith("#")):
        return False
    marked = MARK in node.text
    # without marks only a text literal that has no end tells that something was cut off
    if "}}" not in rest if marked else not (node.text.count("'") % 2 or node.text.count('"') % 2):
        return False
    one_line = span.line == span.end_line
    better = (quote_expressions if marked else quote_value)(line) if one_line else None
    begin = node.start + node.text.rindex(MARK) if marked and one_line else node.start
    ctx.findings.error(
        "FB104",
        "' #' begins a comment, which cuts this expression off",
        ctx.source.span(begin, node.end),
        f"write: {better}" if better else "put the whole value into quotes",
    )
    return True


def warn_of_other_marks(ctx: Context, node: Scalar) -> None:
    """Warn of `{{ inputs.x }}` and `$inputs.x`, which other tools would replace and we do not."""
    for pattern in (_BRACES, _DOLLAR):
        if found := pattern.search(node.text):
            inner = found[0].strip("${} -")
            ctx.findings.warn(
                "FB114",
                f"'{found[0][:60]}' stays as it is: an expression is written ${{{{ … }}}}",
                ScalarOrigin(ctx.source, node).span(found.start(), found.end()),
                f"did you mean ${{{{ {inner[:60]} }}}}?",
            )


def constant(ctx: Context, node: Node, key: str) -> Any:
    """Return a value in which no expression may stand (schemas, labels); None where one does."""
    tree = lower_value(ctx, node)
    if type(tree) is Const:
        return tree.value
    if not (type(tree) is Text and not tree.parts) and not _holds_broken(node):
        no_expression(ctx, node, key)
    return None


def no_expression(ctx: Context, node: Node, key: str) -> None:
    """Report an expression where only a constant may stand."""
    ctx.error("FB115", f"'{key}' takes no expression", node, "write the value itself")


def _holds_broken(node: Node) -> bool:
    if type(node) is Mapping:
        return any(_holds_broken(value) for _, value in node.pairs.values())
    if type(node) is Sequence:
        return any(map(_holds_broken, node.items))
    return type(node) is Broken
