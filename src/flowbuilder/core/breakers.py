"""Whether a circuit breaker lets an attempt through: a pure decision over a state that all engines share.

```text
closed ──`failures` in a row──▶ open ──`reset` later──▶ half open: one attempt tries
   ▲                              ▲                          │
   └────────── it succeeds ───────┼──────────────────────────┤
                                  └──────── it fails ────────┘
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from flowbuilder.core.globs import kind_matches

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbuilder.core.limits import BreakerPolicy

Verdict = Literal["pass", "probe", "open"]
Outcome = Literal["good", "bad", "neither"]

SAY_NOTHING: Final = (
    "cancelled",
    "expression.*",
    "input",
    "input.*",
    "circuit.open",
    "resource.impossible",
    "engine.*",
)
"""Kinds of error that say nothing of the other side."""


class Who(msgspec.Struct, array_like=True, frozen=True):
    """The attempt that tries whether the other side is well again."""

    engine: str
    run: str
    task: str


def is_same(one: Who, other: Who) -> bool:
    """Tell whether two are the same task of the same run, whichever engine drives it."""
    return (one.run, one.task) == (other.run, other.task)


class BreakerState(msgspec.Struct, array_like=True, frozen=True):
    """What is known of a breaker with one key.  Instants are seconds since 1970 UTC."""

    failures: int = 0
    """In a row."""
    opened_at: float | None = None
    """None while it is closed."""
    probe: Who | None = None
    limit: int = 0
    reset: float = 0.0
    """The policy of whoever used it last, for people."""


def verdict(
    state: BreakerState, policy: BreakerPolicy, now: float, who: Who, alive: Callable[[str], bool]
) -> tuple[Verdict, float]:
    """Say whether an attempt may begin, and until when the breaker is open if not.

    Args:
        state: the breaker's.
        policy: the task's.
        now: the present moment.
        who: the attempt.
        alive: whether an engine lives; an attempt that died with its engine tries nothing any more.
    """
    if state.opened_at is None:
        return "pass", 0.0
    until = min(state.opened_at, now) + policy.reset  # a clock that was set back prolongs nothing
    if now < until:
        return "open", until
    probe = state.probe
    if probe is None or is_same(probe, who) or not alive(probe.engine):
        return "probe", 0.0
    return "open", now


def outcome_of(kind: str, policy: BreakerPolicy) -> Outcome:
    """Say what an error of this kind tells of the other side."""
    if kind_matches(kind, SAY_NOTHING):
        return "neither"
    if policy.on and not kind_matches(kind, policy.on):
        return "good"  # it has answered
    return "bad"


def after(state: BreakerState, policy: BreakerPolicy, now: float, who: Who, outcome: Outcome) -> BreakerState:
    """Return the state after an attempt has ended.

    What began before the breaker opened, and ends while it is open, changes nothing.
    """
    failures, opened_at, probe = state.failures, state.opened_at, state.probe
    if probe is not None and is_same(probe, who):
        probe = None
        if outcome == "good":
            failures, opened_at = 0, None
        elif outcome == "bad":
            failures, opened_at = failures + 1, now
    elif opened_at is None and outcome == "good":
        failures = 0
    elif opened_at is None and outcome == "bad":
        failures += 1
        if failures >= policy.failures:
            opened_at = now
    return BreakerState(failures, opened_at, probe, policy.failures, policy.reset)
