"""`cache`: same key, same output, no execution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.lower.fields import DURATION, EXPRESSION, Field, choice
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.nodes import Mapping as MappingNode

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.nodes import Node

CACHE: Final = Table(
    "a cache",
    {
        "key": Key(EXPRESSION, "What the output depends on; any value."),
        "ttl": Key(DURATION, "How long an output counts; until it is cleared unless given."),
        "scope": Key(
            choice("run", "flow", "global"),
            "Who shares it: this task in one run, in all runs of the flow (default), or every task with the key.",
        ),
    },
    elsewhere={
        "expires": "it is called `ttl`",
        "expiry": "it is called `ttl`",
        "max_age": "it is called `ttl`",
        "expiration": "it is called `ttl`",
        "duration": "it is called `ttl`",
        "keys": "it is called `key`, and may be a list",
    },
    required=("key",),
)


def read_cache(ctx: Context, node: Node, key: str) -> ir.Cache | None:
    """Return under what key, for how long and for whom an output is kept."""
    if type(node) is not MappingNode:
        ctx.expected("a mapping", node, key, "write for example `{key: '${{ inputs.day }}', ttl: 1h}`")
        return None
    values = read_record(ctx, node, CACHE, f"'{key}'")
    if "key" not in values:
        return None
    return ir.Cache(values["key"], values.get("ttl"), values.get("scope", "flow"))


FIELD: Final = Field(read_cache, {"$ref": "#/$defs/cache"})
