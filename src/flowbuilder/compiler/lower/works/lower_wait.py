"""`wait`: for a signal to the run, or for an event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.tree import Const, Dict, Expr
from flowbuilder.compiler.lower.fields import CONDITION, Field, integer
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.lower.values import MARK, lower_value
from flowbuilder.compiler.lower.works.lower_sleep import read_for
from flowbuilder.compiler.matches import mentions_event
from flowbuilder.compiler.nodes import Mapping, Node, Scalar
from flowbuilder.core.matching import is_event_name

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.lower.draft import Mentions
    from flowbuilder.core.catalogue import TaskSpec

MOST: Final = 10_000
"""Events that one task may wait for."""


def read_event_name(ctx: Context, node: Node, key: str) -> Expr | None:
    """Return a name of dotted words, or an expression that gives one."""
    value = lower_value(ctx, node)
    if type(value) is not Const or is_event_name(value.value):
        return value
    if type(node) is not Scalar:
        ctx.expected("a name", node, key)
        return None
    ctx.error(
        "FB270",
        f"'{node.text[:60]}' is no name of an event or a signal",
        node,
        "names are words with dots between them, such as `order.paid`",
    )
    return None


def integer_or_expression(least: int, most: int) -> Field:
    """Return the kind of an integer within bounds, or an expression that gives one."""
    plain = integer(least, most)

    def read(ctx: Context, node: Node, key: str) -> Expr | None:
        if type(node) is Scalar and MARK not in node.text:
            value = plain.read(ctx, node, key)
            return None if value is None else Const(ctx.at(node), value)
        value = lower_value(ctx, node)
        if type(value) is Const:
            ctx.expected("an integer", node, key)
            return None
        return value

    return Field(read, plain.schema)


_NAME: Final = Field(read_event_name, {})
FOR: Final = Field(read_for, {})
_WAIT: Final = Table(
    "a wait",
    {
        "signal": Key(_NAME, "The name of a signal to this run."),
        "event": Key(_NAME, "The name of an event."),
        "filter": Key(CONDITION, "Which of them are meant: a condition over `event`."),
        "count": Key(integer_or_expression(1, MOST), "How many; 1 unless given."),
        "timeout": Key(FOR, "How long."),
        "window": Key(FOR, "How old an event may be that came before."),
    },
    elsewhere={
        "name": "write `event:` or `signal:` with the name",
        "for": "to wait for time is a task of type `sleep`",
        "until": "to wait for time is a task of type `sleep`",
        "if": "it is called `filter`",
        "when": "it is called `filter`",
        "match": "it is called `filter`",
        "condition": "it is called `filter`",
    },
)


def lower(ctx: Context, key: Scalar, spec: TaskSpec, values: dict[str, Any], mentions: Mentions) -> ir.Work:
    """Return the wait."""
    node = values.get("with")
    if node is None:
        ctx.error(
            "FB202", f"task '{key.text}' lacks the key 'with'", key, "write `with: {event: order.paid}`"
        )
        return ir.Wait(False, Const(ctx.at(key), {}))
    wait = read_record(ctx, node, _WAIT, "the `with` of a wait")
    pairs = node.pairs if type(node) is Mapping else {}
    if pairs and ("signal" in pairs) == ("event" in pairs):
        which = "both 'signal' and 'event'" if "signal" in pairs else "neither 'signal' nor 'event'"
        ctx.error("FB211", f"a wait has {which}", node, "write `event: order.paid`, or `signal: go`")
    if "signal" in pairs and "window" in pairs:
        ctx.error(
            "FB211",
            "a signal has no 'window'",
            pairs["window"][0],
            "a signal is kept for its run until a wait takes it",
        )
    condition = wait.get("filter")
    if condition is not None and not mentions_event(condition):
        ctx.warn(
            "FB271",
            "the filter asks nothing of the event",
            pairs["filter"][1],
            "look at `event.payload`, such as `event.payload.id == inputs.id`",
        )
    params = record_of(ctx, key, {"name": wait.get("signal", wait.get("event")), **wait}, _PARAMS)
    mentions.of(params)
    mentions.of(condition)
    return ir.Wait("signal" in pairs, params, condition)


_PARAMS: Final = ("name", "count", "timeout", "window")


def record_of(ctx: Context, key: Scalar, values: dict[str, Any], names: tuple[str, ...]) -> Expr:
    """Return a mapping of those of `values` that are named."""
    at = ctx.at(key)
    items = tuple((Const(at, name), values[name]) for name in names if values.get(name) is not None)
    if all(type(value) is Const for _, value in items):
        return Const(at, {name.value: value.value for name, value in items})
    return Dict(at, items)
