"""How many runs of a flow there may be at once, and how starts wait for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.lower.fields import DURATION, EXPRESSION, Field, choice, integer
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.nodes import Mapping as MappingNode
from flowbuilder.core.limits import ConcurrencyPolicy, DebouncePolicy

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.nodes import Node

_LIMIT: Final = integer(1, 1_000_000)

CONCURRENCY: Final = Table(
    "`concurrency`",
    {
        "limit": Key(_LIMIT, "How many runs there may be at once; 1 unless given."),
        "key": Key(EXPRESSION, "Which runs count together; those of the flow unless given."),
        "when_full": Key(
            choice("queue", "cancel_running", "cancel_new", "skip"),
            "What becomes of one more; `queue` unless given.",
        ),
    },
    elsewhere={
        "max": "it is called `limit`",
        "group": "it is called `key`",
        "cancel-in-progress": "write `when_full: cancel_running`",
        "cancel_in_progress": "write `when_full: cancel_running`",
        "strategy": "it is called `when_full`",
        "policy": "it is called `when_full`",
        "on_full": "it is called `when_full`",
    },
)
DEBOUNCE: Final = Table(
    "`debounce`",
    {
        "wait": Key(DURATION, "How long no other start may follow."),
        "key": Key(EXPRESSION, "Which starts count together; those of the flow unless given."),
        "max": Key(DURATION, "How long the first of them waits at most; without end unless given."),
    },
    elsewhere={
        "period": "it is called `wait`",
        "delay": "it is called `wait`",
        "timeout": "it is called `max`",
        "max_wait": "it is called `max`",
    },
    required=("wait",),
)


def _read_concurrency(ctx: Context, node: Node, key: str) -> ir.Concurrency | None:
    if type(node) is not MappingNode:
        limit = _LIMIT.read(ctx, node, key)
        return None if limit is None else ir.Concurrency(ConcurrencyPolicy(limit))
    values = read_record(ctx, node, CONCURRENCY, f"'{key}'")
    policy = ConcurrencyPolicy(values.get("limit", 1), values.get("when_full", "queue"))
    return ir.Concurrency(policy, values.get("key"))


def _read_debounce(ctx: Context, node: Node, key: str) -> ir.Debounce | None:
    if type(node) is not MappingNode:
        wait = DURATION.read(ctx, node, key)
        return None if wait is None else ir.Debounce(DebouncePolicy(wait))
    values = read_record(ctx, node, DEBOUNCE, f"'{key}'")
    wait, most = values.get("wait"), values.get("max")
    if wait is None:
        return None
    if most is not None and most < wait:
        at = node.get("max") or node
        ctx.error(
            "FB268", "'max' is shorter than 'wait'", at, "no start would ever wait so long; raise `max`"
        )
    return ir.Debounce(DebouncePolicy(wait, most), values.get("key"))


CONCURRENCY_FIELD: Final = Field(_read_concurrency, {"$ref": "#/$defs/concurrency"})
DEBOUNCE_FIELD: Final = Field(_read_debounce, {"$ref": "#/$defs/debounce"})


def concurrency_schema(record: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of `concurrency`, from that of its mapping."""
    return {"anyOf": [_LIMIT.schema, record]}


def debounce_schema(record: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of `debounce`, from that of its mapping."""
    return {"anyOf": [DURATION.schema, record]}
