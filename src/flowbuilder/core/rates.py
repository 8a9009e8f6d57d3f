"""When attempts of a rate limit may begin: a pure decision over a state that all engines share.

Starts are spread evenly (the generic cell rate algorithm): each takes a slice
of `per / limit` seconds.  After a time of quiet `burst` of them may come at
once; then the moments of the last starts are kept as well, so that no more
than `limit` ever begin in any time of `per`, wherever that is laid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from flowbuilder.core.limits import RatePolicy

FINE: Final = 64
"""Moments that are kept one by one; of greater limits those that lie closer than a 64th of `per` are kept as one,
as if all had come as late as the last of them."""
SET_BACK: Final = 1.0
"""Seconds by which the time must have gone back before we take it that somebody has set the clock."""


class RateState(msgspec.Struct, array_like=True):
    """What is known of a rate limit with one key.  Instants are seconds since 1970 UTC."""

    free_at: float = 0.0
    """Until when slices are taken."""
    asked_at: float = 0.0
    """When somebody last asked."""
    recent: list[tuple[float, float, int]] = []
    """Where there are bursts: the last starts, as (first, last, how many), oldest first."""
    limit: int = 0
    per: float = 0.0
    """The policy of whoever asked last, for people."""


def reserve(state: RateState, policy: RatePolicy, now: float, count: int) -> tuple[list[float], RateState]:
    """Return the moments at which the next `count` attempts may begin, and the state after that.

    In any time of `per` seconds lie no more than `limit` of all moments that
    were ever reserved, also where policies differ from call to call in all
    but `limit` and `per`.

    Example:
        >>> from flowbuilder.core.limits import RatePolicy
        >>> reserve(RateState(), RatePolicy(2, 1.0), 10.0, 3)[0]
        [10.0, 10.5, 11.0]
    """
    state = _after_set_back(state, now)
    slice = policy.per / policy.limit
    tolerance = (policy.burst - 1) * slice
    free_at, recent = state.free_at, list(state.recent)
    keeps = policy.burst > 1 or bool(recent)
    moments: list[float] = []
    for _ in range(count):
        moment = max(now, free_at - tolerance)
        if keeps:
            moment = max(moment, _window_opens(recent, policy))
        free_at = max(free_at, moment) + slice
        moments.append(moment)
        if keeps:
            _note(recent, moment, policy)
    if policy.burst == 1 and recent and recent[-1][1] + policy.per < now:
        recent = []  # there were bursts once, and their time is over
    return moments, RateState(free_at, now, recent, policy.limit, policy.per)


def _after_set_back(state: RateState, now: float) -> RateState:
    """Return the state as it was meant where the clock has been set back: nobody waits for the difference."""
    back = state.asked_at - now
    if back <= SET_BACK:
        return state
    recent = [(first - back, last - back, count) for first, last, count in state.recent]
    return RateState(state.free_at - back, now, recent, state.limit, state.per)


def _window_opens(recent: list[tuple[float, float, int]], policy: RatePolicy) -> float:
    """Return from when on one more start makes no window too full."""
    seen = 0
    for _, last, count in reversed(recent):
        seen += count
        if seen >= policy.limit:
            return last + policy.per
    return 0.0


def _note(recent: list[tuple[float, float, int]], moment: float, policy: RatePolicy) -> None:
    """Keep the moment of a start, and forget what is too old to count."""
    close = 0.0 if policy.limit <= FINE else policy.per / FINE
    if recent and moment - recent[-1][0] <= close:
        first, _, count = recent[-1]
        recent[-1] = (first, moment, count + 1)
    else:
        recent.append((moment, moment, 1))
    while len(recent) > 1 and sum(count for _, _, count in recent[1:]) >= policy.limit:
        del recent[0]
