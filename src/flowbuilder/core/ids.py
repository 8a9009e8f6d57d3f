"""Ids of runs and paths of tasks.

A run's id is 26 characters of Crockford's base 32 in lower case: 10 of the
millisecond it was made in, 4 that count within it, 12 that no other engine
draws.  So ids sort by time, and are the same length, so none is a prefix of
another.  Nothing here reads a clock or draws: both come from outside.

Source:
    The layout follows UUID version 7 (RFC 9562) and ULID; the counter makes
    ids of one engine strictly increasing.
"""

from __future__ import annotations

import re

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(a + b for a in _DIGITS for b in _DIGITS)
_PER_MILLISECOND = 1 << 20

RUN_ID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")


def base32(number: int, length: int) -> str:
    """Return `number` in base 32, `length` digits long."""
    return "".join(_DIGITS[(number >> shift) & 31] for shift in range(5 * (length - 1), -1, -5))


class RunIds:
    """Makes the ids of one engine's runs; each is greater than the one before.

    Args:
        unique: 60 bits that no other engine has drawn.
    """

    __slots__ = ("_count", "_millisecond", "_prefix", "_suffix")

    def __init__(self, unique: int) -> None:
        self._suffix = base32(unique & ((1 << 60) - 1), 12)
        self._millisecond = -1
        self._prefix = ""
        self._count = 0

    def make(self, now: float) -> str:
        """Return a new id for a run that is made at `now`, in seconds since 1970 UTC.

        A clock that goes back does not make ids go back: the last
        millisecond is kept until time has passed it again.
        """
        millisecond = int(now * 1000)
        count = self._count + 1
        if millisecond > self._millisecond or count == _PER_MILLISECOND:
            self._millisecond = max(millisecond, self._millisecond + 1)
            self._prefix = base32(self._millisecond, 10)
            count = 0
        self._count = count
        return self._prefix + _PAIRS[count >> 10] + _PAIRS[count & 1023] + self._suffix


def made_at(run_id: str) -> float:
    """Return the moment that an id carries, in seconds since 1970 UTC."""
    number = 0
    for digit in run_id[:10]:
        number = number << 5 | _DIGITS.index(digit)
    return number / 1000
