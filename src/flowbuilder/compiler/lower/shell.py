"""Scripts: each value becomes a variable, quoted for the place where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler.expressions.tree import Const, Dict, Expr, Text
from flowbuilder.compiler.read.origin import ScalarOrigin
from flowbuilder.core.shellquote import Placeholder, ScriptError, bind_script

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.nodes import Node


def lower_script(ctx: Context, value: Expr, node: Node) -> Expr:
    """Return `{script, variables}` as `core.shellquote` describes it."""
    parts = value.parts if type(value) is Text else (value,)
    if not parts:  # it was broken, and that is reported
        return value
    holes = [part for part in parts if not _is_text(part)]
    try:
        bound = bind_script([str(part.value) if _is_text(part) else Placeholder() for part in parts])  # type: ignore[union-attr]
    except ScriptError as error:
        for problem in error.problems:
            at = holes[problem.index].at
            ctx.findings.error("FB217", problem.what, at.span, problem.hint)
        return ctx.unknown(node)
    at = value.at
    variables = tuple(
        (Const(hole.at, name), hole if type(hole) is Text else Text(hole.at, (hole,)))
        for name, hole in zip(bound.names, holes, strict=True)
        if name is not None
    )
    if not variables:
        return Const(at, bound.script)
    return Dict(
        at, ((Const(at, "script"), Const(at, bound.script)), (Const(at, "variables"), Dict(at, variables)))
    )


def _is_text(part: Expr) -> bool:
    """Tell a piece of the author's own text from an expression that is a constant text, `${{ 'x' }}`."""
    if type(part) is not Const or type(part.value) is not str:
        return False
    origin = part.at.origin
    if type(origin) is not ScalarOrigin:
        return True
    written = origin.scalar.text[part.at.start : part.at.end]
    return written == part.value or written[:1] not in ("'", '"') or "$${{" in written
