"""What an attempt waits for before it begins: `rate_limit`, `circuit_breaker`, `queue`, `resources`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.lower.fields import (
    DURATION,
    EXPRESSION,
    KINDS,
    TEXT,
    Field,
    integer,
    number,
    read_size,
)
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.nodes import Mapping as MappingNode
from flowbuilder.core.limits import Ask, BreakerPolicy, RatePolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.lower.draft import Mentions
    from flowbuilder.compiler.nodes import Node, Scalar

KEYS: Final = ("rate_limit", "circuit_breaker", "queue", "resources")
_NAME: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}"
_SIZE: Final = Field(read_size, {"type": "string", "examples": ["512MiB", "4GB"]})

RATE_LIMIT: Final = Table(
    "a rate limit",
    {
        "limit": Key(integer(1, 1_000_000), "How many attempts may begin."),
        "per": Key(DURATION, "In how long a time."),
        "key": Key(EXPRESSION, "Whose attempts count together, in all runs; the task's unless given."),
        "burst": Key(
            integer(1, 1_000_000), "How many may begin at once after a time of quiet; 1 unless given."
        ),
    },
    elsewhere={
        "rate": "it is called `limit`",
        "max": "it is called `limit`",
        "requests": "it is called `limit`",
        "count": "it is called `limit`",
        "period": "it is called `per`",
        "interval": "it is called `per`",
        "window": "it is called `per`",
        "every": "it is called `per`",
    },
    required=("limit", "per"),
)
CIRCUIT_BREAKER: Final = Table(
    "a circuit breaker",
    {
        "failures": Key(integer(1, 1_000_000), "How many failures in a row open it."),
        "reset": Key(DURATION, "How long it stays open before one attempt is let through."),
        "key": Key(EXPRESSION, "Whose attempts count together, in all runs; the task's unless given."),
        "on": Key(KINDS, "Kinds of error that count; all that say something of the other side unless given."),
    },
    elsewhere={
        "threshold": "it is called `failures`",
        "limit": "it is called `failures`",
        "timeout": "it is called `reset`",
        "cooldown": "it is called `reset`",
        "reset_timeout": "it is called `reset`",
    },
    required=("failures", "reset"),
)
QUEUE: Final = Table(
    "a queue",
    {
        "name": Key(TEXT, "A queue of the settings: `[queues.NAME]` in `flowbuilder.toml`."),
        "key": Key(EXPRESSION, "Keys take turns; the flow's name unless given."),
    },
    elsewhere={
        "concurrency": "it stands in `[queues.NAME]` of `flowbuilder.toml`",
        "limit": "it is called `concurrency`, and stands in `[queues.NAME]` of `flowbuilder.toml`",
        "per_key": "it stands in `[queues.NAME]` of `flowbuilder.toml`",
        "priority": "it is a key of the task",
    },
    required=("name",),
)
RESOURCES: Final = Table(
    "resources",
    {
        "cpu": Key(number(0.001, 10_000), "Cores, or parts of one."),
        "memory": Key(_SIZE, "Memory, such as `4GB`."),
        "gpu": Key(number(0.001, 1_000), "Graphics processors, or parts of one."),
    },
    elsewhere={
        "cpus": "it is called `cpu`",
        "cores": "it is called `cpu`",
        "mem": "it is called `memory`",
        "ram": "it is called `memory`",
        "gpus": "it is called `gpu`",
        "limits": "write `cpu`, `memory` and `gpu` without it",
        "requests": "write `cpu`, `memory` and `gpu` without it",
    },
)


def _read_rate(ctx: Context, node: Node, key: str) -> ir.RateLimit | None:
    values = read_record(ctx, node, RATE_LIMIT, f"'{key}'")
    if "limit" not in values or "per" not in values:
        return None
    limit, burst = values["limit"], values.get("burst", 1)
    if burst > limit:
        at = node.get("burst") if type(node) is MappingNode else None
        ctx.error(
            "FB266",
            f"'burst' is {burst}, and no more than the limit of {limit} may begin",
            at or node,
            f"write at most {limit}, or raise `limit`",
        )
        burst = limit
    return ir.RateLimit(RatePolicy(limit, values["per"], burst), values.get("key"))


def _read_breaker(ctx: Context, node: Node, key: str) -> ir.Breaker | None:
    values = read_record(ctx, node, CIRCUIT_BREAKER, f"'{key}'")
    if "failures" not in values or "reset" not in values:
        return None
    policy = BreakerPolicy(values["failures"], values["reset"], values.get("on", ()))
    return ir.Breaker(policy, values.get("key"))


def _read_queue(ctx: Context, node: Node, key: str) -> ir.Queue | None:
    if type(node) is MappingNode:
        values = read_record(ctx, node, QUEUE, f"'{key}'")
        name_node, name = node.get("name"), values.get("name")
    else:
        values = {}
        name_node, name = node, TEXT.read(ctx, node, key)
    if name is None or name_node is None:
        return None
    if not re.fullmatch(_NAME, name):
        what = f"'{name[:60]}' is no name of a queue: up to 64 letters, digits, '_', '-' and '.'"
        ctx.error("FB204", what, name_node)
        return None
    return ir.Queue(name, ctx.span(name_node), values.get("key"))


def _read_resources(ctx: Context, node: Node, key: str) -> Ask | None:
    values = read_record(ctx, node, RESOURCES, f"'{key}'")
    if type(node) is MappingNode and not node.pairs:
        ctx.error(
            "FB202", f"'{key}' asks for nothing", node, "write `cpu`, `memory` or `gpu`, or leave it out"
        )
    return Ask(**values) if values else None


RATE_FIELD: Final = Field(_read_rate, {"$ref": "#/$defs/rate_limit"})
BREAKER_FIELD: Final = Field(_read_breaker, {"$ref": "#/$defs/circuit_breaker"})
QUEUE_FIELD: Final = Field(_read_queue, {"$ref": "#/$defs/queue"})
RESOURCES_FIELD: Final = Field(_read_resources, {"$ref": "#/$defs/resources"})


def limits_of(
    ctx: Context,
    values: Mapping[str, Any],
    work: ir.Work,
    type_name: str,
    own: Mapping[str, tuple[Scalar, Node]],
) -> ir.TaskLimits | None:
    """Return the limits of a task; what makes no sense for its work is reported and left out."""
    found = {key: values[key] for key in KEYS if key in values}
    if not found:
        return None
    if type(work) is ir.Compute or (type(work) is not ir.Invoke and type_name not in ("flow", "group")):
        for key in found:
            if key in own and type_name in ctx.catalogue:
                what = f"'{key}' does nothing for a task of type '{type_name}'"
                ctx.warn("FB260", what, own[key][0], "leave it out")
        return None
    if type(work) is not ir.Invoke:
        for key in ("queue", "resources"):
            if found.pop(key, None) is not None and key in own:
                ctx.error(
                    "FB265",
                    f"a task of type '{type_name}' only waits for other tasks, and takes no '{key}'",
                    own[key][0],
                    f"give '{key}' to the tasks that do the work",
                    "or bound whole runs by `concurrency` of the flow",
                )
    if not found:
        return None
    return ir.TaskLimits(*(found.get(key) for key in KEYS))


def mention(limits: ir.TaskLimits, mentions: Mentions) -> None:
    """Note what the keys refer to."""
    for part in (limits.rate, limits.breaker, limits.queue):
        if part is not None:
            mentions.of(part.key)


def queue_schema(record: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of `queue`, from that of its mapping."""
    return {"anyOf": [{"type": "string"}, record]}
