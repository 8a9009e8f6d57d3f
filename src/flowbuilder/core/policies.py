"""What a flow asks of the engine when things go wrong or take long: data and pure decisions."""

from __future__ import annotations

from typing import Literal

import msgspec

RunWhen = Literal["default", "all_success", "none_failed", "any_success", "any_failed", "all_done", "always"]
Effect = Literal["pure", "read", "write"]
Backoff = Literal["constant", "linear", "exponential"]
Jitter = Literal["none", "full", "equal"]
Placement = str
"""`auto`, `inline`, `thread`, `process`, `worker`, or the name of an executor that a plug-in adds."""
Durability = Literal["group", "none"]
OnCrash = Literal["rerun", "fail"]
CacheScope = Literal["run", "flow", "global"]


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


def next_delay(policy: RetryPolicy, attempt: int, draw: float) -> float:
    """Return how long to wait before the attempt after `attempt`, in seconds.

    Args:
        policy: the task's.
        attempt: attempts made so far, 1 or more.
        draw: a number in [0, 1) that stands for chance; drawn from the run and
            the task, so that a run carried on after a crash waits as long.

    Example:
        >>> next_delay(RetryPolicy(delay=1.0, jitter="none"), 3, 0.5)
        4.0
    """
    match policy.backoff:
        case "constant":
            delay = policy.delay
        case "linear":
            delay = policy.delay * attempt
        case "exponential":
            # the exponent is bounded, so that attempt 5,000 is no overflow
            delay = policy.delay * policy.factor ** min(attempt - 1, 64)
    delay = min(delay, policy.max_delay)
    match policy.jitter:
        case "none":
            return delay
        case "full":
            return delay * draw
        case "equal":
            return delay / 2 + delay / 2 * draw
