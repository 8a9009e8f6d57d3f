"""`retry`: attempts, or a mapping; what is not said is filled in from the flow's defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.lower.fields import CONDITION, DELAY, KINDS, Field, choice, integer, number
from flowbuilder.compiler.lower.record import Key, Table, read_record
from flowbuilder.compiler.nodes import Mapping as MappingNode
from flowbuilder.core.policies import RetryPolicy

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.nodes import Node

_ATTEMPTS: Final = integer(1, 1_000_000)

RETRY: Final = Table(
    "a retry",
    {
        "attempts": Key(_ATTEMPTS, "Tries in all; the first counts."),
        "delay": Key(DELAY, "How long to wait before the second attempt."),
        "backoff": Key(choice("constant", "linear", "exponential"), "How the delay grows."),
        "factor": Key(number(1, 1000), "By how much, where it grows exponentially."),
        "max_delay": Key(DELAY, "The longest delay, before jitter."),
        "jitter": Key(choice("none", "full", "equal"), "How much of the delay is left to chance."),
        "on": Key(KINDS, "Kinds of error that are retried; all unless given."),
        "not_on": Key(KINDS, "Kinds of error that are not."),
        "if": Key(CONDITION, "A condition over `error`."),
    },
    elsewhere={
        "max_attempts": "it is called `attempts`",
        "limit": "it is called `attempts`, and counts the first try",
        "max": "it is called `attempts`, and counts the first try",
        "interval": "it is called `delay`",
        "when": "it is called `if`",
    },
)


def read_retry(ctx: Context, node: Node, key: str) -> dict[str, Any] | None:
    """Return what is said of a retry; a number alone is the attempts."""
    if type(node) is MappingNode:
        return read_record(ctx, node, RETRY, f"'{key}'")
    attempts = _ATTEMPTS.read(ctx, node, key)
    return None if attempts is None else {"attempts": attempts}


def retry_of(values: dict[str, Any]) -> ir.Retry:
    """Return the policy, with the engine's defaults for what was not said."""
    policy = {key: value for key, value in values.items() if key != "if"}
    if "max_delay" not in policy:  # whoever asks for an hour is not given five minutes
        policy["max_delay"] = max(RetryPolicy().max_delay, policy.get("delay", 0.0))
    return ir.Retry(RetryPolicy(**policy), values.get("if"))


def retry_schema(record: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of `retry`, from that of its mapping."""
    return {"anyOf": [_ATTEMPTS.schema, record]}


FIELD: Final = Field(read_retry, {"$ref": "#/$defs/retry"})
