"""What flows and tasks are bounded by, as data: how often, how many at once, with how much of a machine."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from flowbuilder.core import values

WhenFull = Literal["queue", "cancel_running", "cancel_new", "skip"]


class RatePolicy(msgspec.Struct, frozen=True):
    """`rate_limit`: at most `limit` starts in any time of `per` seconds, evenly spread."""

    limit: int
    per: float
    burst: int = 1
    """Starts that may come at once after a time of quiet; `limit` holds all the same."""


class BreakerPolicy(msgspec.Struct, frozen=True):
    """`circuit_breaker`: so many failures in a row open it; after `reset` seconds one attempt tries."""

    failures: int
    reset: float
    on: tuple[str, ...] = ()
    """Kinds (globs) that count; empty: all that say something of the other side."""


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """`resources`: what of the machine an attempt takes while it runs."""

    cpu: float = 0.0
    memory: int = 0
    """Bytes."""
    gpu: float = 0.0


class ConcurrencyPolicy(msgspec.Struct, frozen=True):
    """`concurrency` of a flow: so many runs at once, and what becomes of one more."""

    limit: int
    when_full: WhenFull = "queue"


class DebouncePolicy(msgspec.Struct, frozen=True):
    """`debounce` of a flow: a start waits until none has followed for `wait` seconds."""

    wait: float
    max: float | None = None
    """Seconds after the first start at which it begins all the same."""


def key_text(value: Any) -> str:
    """Return the text that a key's value stands for: texts as they are, all else as JSON.

    Example:
        >>> key_text("acme"), key_text(7), key_text(["eu", 1])
        ('acme', '7', '["eu",1]')
    """
    if type(value) is str:
        return value
    return msgspec.json.encode(values.to_json(value)).decode()
