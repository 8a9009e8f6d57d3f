"""What a flow asks of the engine when things go wrong or take long: data and pure decisions."""

from __future__ import annotations

from typing import Literal

import msgspec

RunWhen = Literal["default", "all_success", "none_failed", "any_success", "any_failed", "all_done", "always"]
Effect = Literal["pure", "read", "write"]
Backoff = Literal["constant", "linear", "exponential"]
Jitter = Literal["none", "full", "equal"]
Placement = Literal["auto", "inline", "thread", "process", "worker"]
Durability = Literal["group", "none"]
OnCrash = Literal["rerun", "fail"]


class RetryPolicy(msgspec.Struct, frozen=True):
    """How often and when a task is tried again.  The `if` of a retry lies beside it, compiled."""

    attempts: int = 3
    """Tries in all; the first counts."""
    delay: float = 1.0
    """Seconds before the second attempt."""
    backoff: Backoff = "exponential"
    factor: float = 2.0
    max_delay: float = 300.0
    """Seconds; the longest wait before jitter."""
    jitter: Jitter = "full"
    on: tuple[str, ...] = ()
    """Kinds (globs) that are retried; empty means all."""
    not_on: tuple[str, ...] = ()
