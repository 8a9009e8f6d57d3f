"""`sleep`: for a time, or until one."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.tree import Call, Const, Expr, Text
from flowbuilder.compiler.lower.fields import Field, duration_of
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.lower.values import lower_value
from flowbuilder.compiler.nodes import Mapping, Node, Scalar

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.lower.draft import Mentions
    from flowbuilder.core.catalogue import TaskSpec


def read_for(ctx: Context, node: Node, key: str) -> Expr | None:
    """Return seconds, or an expression; a text with expressions in it is read as a duration when it is known."""
    value = lower_value(ctx, node)
    if type(value) is Text:
        return Call(value.at, "duration", (value,)) if value.parts else None
    if type(value) is not Const:
        return value
    if type(node) is not Scalar:
        ctx.expected("a duration", node, key)
        return None
    seconds = duration_of(ctx, node, key)
    return None if seconds is None else Const(value.at, seconds)


def _read_until(ctx: Context, node: Node, key: str) -> Expr | None:
    """Return a call that makes a datetime of a text, or the expression that gives one."""
    value = lower_value(ctx, node)
    if type(value) is Text:
        return Call(value.at, "datetime", (value,)) if value.parts else None
    if type(value) is not Const:
        return value
    if type(node) is not Scalar:
        ctx.expected("a moment", node, key)
        return None
    if not is_moment(node.text):
        ctx.error(
            "FB208",
            f"'{key}': '{node.text[:40]}' is no moment with an offset",
            node,
            "write for example '2026-01-05T10:00:00Z' or '2026-01-05T10:00:00+01:00'",
        )
        return None
    return Call(value.at, "datetime", (Const(value.at, node.text),))


def is_moment(text: str) -> bool:
    """Tell whether a text is a date and time with an offset."""
    try:
        return "T" in text and dt.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


_SLEEP: Final = Table(
    "a sleep",
    {"for": Key(Field(read_for, {}), "How long."), "until": Key(Field(_read_until, {}), "Until when.")},
    elsewhere={"duration": "it is called `for`", "seconds": "it is called `for`, with a unit: `10s`"},
)


def lower(
    ctx: Context,
    key: Scalar,
    spec: TaskSpec,
    values: dict[str, Any],
    mentions: Mentions,
) -> ir.Work:
    """Return the wait."""
    node = values.get("with")
    if node is None:
        ctx.error("FB202", f"task '{key.text}' lacks the key 'with'", key, "write `with: {for: 10s}`")
        return ir.Sleep(Const(ctx.at(key), 0.0), None)
    sleep = read_record(ctx, node, _SLEEP, "the `with` of a sleep")
    if type(node) is Mapping and ("for" in node.pairs) == ("until" in node.pairs):
        which = "both 'for' and 'until'" if "for" in node.pairs else "neither 'for' nor 'until'"
        ctx.error("FB211", f"a sleep has {which}", node, "write `for: 10s`, or `until:` with a moment")
    for tree in sleep.values():
        mentions.of(tree)
    return ir.Sleep(sleep.get("for"), sleep.get("until"))
