"""When a task runs: the statuses of what it needs, and the rule it follows, decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbuilder.core.policies import RunWhen

# How a task stands in its run.  Small integers: they are compared for every edge of every run.
PENDING: Final = 0
READY: Final = 1
RUNNING: Final = 2
WAITING: Final = 3
SUCCEEDED: Final = 4
SKIPPED: Final = 5
CONTINUED: Final = 6
"""Failed with `on_error: continue`: a success to most rules."""
FAILED: Final = 7
UPSTREAM_FAILED: Final = 8
"""Skipped because of a failure before it: a failure to every rule."""
CANCELLED: Final = 9

STATUS: Final[tuple[str, ...]] = (
    "pending",
    "ready",
    "running",
    "waiting",
    "succeeded",
    "skipped",
    "failed",
    "failed",
    "skipped",
    "cancelled",
)
"""What users read, by code."""

CACHED: Final = "cached"
"""The reason of a success that took its output from the cache: nothing was done for it."""

_BAD = frozenset({FAILED, UPSTREAM_FAILED, CANCELLED})
_GOOD = frozenset({SUCCEEDED, CONTINUED})


def decide(rule: RunWhen, needs: Iterable[int]) -> int:
    """Return READY if the task is to run, else the code it is skipped with.

    Args:
        rule: the task's `run_when`.
        needs: the final codes of the tasks that count for the rule.
    """
    codes = set(needs)
    bad = not codes.isdisjoint(_BAD)
    good = not codes.isdisjoint(_GOOD)
    match rule:
        case "default":
            run = not bad and (good or not codes)
        case "all_success":
            run = codes <= {SUCCEEDED}
        case "none_failed":
            run = not bad
        case "any_success":
            run = good
        case "any_failed":
            return READY if bad or CONTINUED in codes else SKIPPED
        case _:
            run = True
    if run:
        return READY
    return UPSTREAM_FAILED if bad else SKIPPED
