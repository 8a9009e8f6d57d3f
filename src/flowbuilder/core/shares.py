"""How engines share the places of a queue: a pure decision over a state that all of them see.

An engine holds places in blocks, so that an attempt costs no write while
nobody else wants any.  Who wants places says so; who holds more than its
share gives back what comes free.  An engine that has died holds nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

TURN: Final = 1.0
"""Seconds for which an engine keeps its share where there are more engines than places."""


class Holding(msgspec.Struct, array_like=True, frozen=True):
    """What one engine holds, and how many places more it would use at once."""

    held: int
    wanted: int = 0
    since: float = 0.0
    """Since when it has wanted more, or had something; who has waited longer comes first."""
    used: int = 0
    """How many were in use when it last said so."""


class Shared(msgspec.Struct, array_like=True, frozen=True):
    """Who holds what of the places with one name."""

    holdings: dict[str, Holding] = {}
    capacity: int = 0
    """As whoever asked last has it in its settings, for people."""


class Granted(msgspec.Struct, frozen=True):
    """What an engine may do now."""

    held: int
    """Places that it holds; not below those in use."""
    allowed: int
    """How many it may use from now on: fewer than it holds where others wait for their share."""
    alone: bool
    """Nobody else wants any."""


def settle(
    shared: Shared,
    engine: str,
    *,
    used: int,
    wanted: int,
    capacity: int,
    now: float,
    alive: Callable[[str], bool],
) -> tuple[Granted, Shared]:
    """Take in what an engine uses and wants, and say what it gets.

    The places held by living engines are never more than `capacity`, unless
    more than that were in use when the settings lowered it.

    Args:
        shared: the state before.
        engine: who asks.
        used: places that it uses.
        wanted: places more that it would use at once.
        capacity: how many there are.
        now: the present moment.
        alive: whether an engine lives.
    """
    others = {name: each for name, each in shared.holdings.items() if name != engine and alive(name)}
    mine = shared.holdings.get(engine)
    since = mine.since if mine is not None and (mine.wanted or mine.used) else now
    free = capacity - used - sum(each.held for each in others.values())
    hungry = {name: each for name, each in others.items() if each.wanted}
    share = max(1, capacity // (len(others) + 1))
    lacking = {
        name: min(each.wanted, share - each.held) for name, each in hungry.items() if each.held < share
    }
    if mine is not None and mine.held and not used and lacking:
        since = now  # its turn is over: it waits again from now on
    theirs = sum(
        n for name, n in lacking.items() if used >= share or (hungry[name].since, name) < (since, engine)
    )
    got = max(0, min(wanted, free - theirs))
    allowed = used + got
    if not hungry and (used or wanted):  # for what comes next, until somebody else wants them
        got = max(0, free)
        allowed = used + got
    elif lacking and used >= share:
        starving = any(not hungry[name].held for name in lacking)
        over = now - since >= TURN and starving and capacity <= len(others)
        allowed = 0 if over else share
    held = used + got
    holdings = dict(others)
    if held or wanted:
        holdings[engine] = Holding(held, max(0, wanted - got), since, used)
    return Granted(held, max(0, allowed), not hungry), Shared(holdings, capacity)
