"""When a trigger is due: moments, how many were missed, how each is shifted.

Pure: given a moment it says which are the next.  Everybody who asks gets the
same answer, so that two engines agree without talking to each other.
"""

from __future__ import annotations

import hashlib
import math
from typing import Protocol


class Calendar(Protocol):
    """Moments in order, without end or with one."""

    def after(self, moment: float) -> float | None:
        """Return the first moment behind one, in seconds since 1970 UTC; None if there is none."""
        ...


class Every:
    """Moments at equal distances from an anchor, before it too."""

    __slots__ = ("anchor", "seconds")

    def __init__(self, seconds: float, anchor: float = 0.0) -> None:
        self.seconds = seconds
        self.anchor = anchor

    def after(self, moment: float) -> float:
        """Return the first moment behind one."""
        steps = math.floor((moment - self.anchor) / self.seconds) + 1
        found = self.anchor + steps * self.seconds
        # rounding must not yield the same moment twice
        return found if found > moment else self.anchor + (steps + 1) * self.seconds


def between(calendar: Calendar, after: float, until: float, most: int) -> list[float]:
    """Return the moments behind `after` up to `until`, the newest of them where there are more than `most`.

    Cost:
        O(most), however long ago `after` is: it goes back from `until` in steps that double.
    """
    if most <= 0:
        return []
    span = 60.0
    while True:
        start = max(after, until - span)
        found: list[float] = []
        moment = calendar.after(start)
        while moment is not None and moment <= until:
            found.append(moment)
            moment = calendar.after(moment)
        if start == after or len(found) >= most:
            return found[-most:]
        span *= 2.0


def jitter(name: str, moment: float, most: float) -> float:
    """Return by how much a moment is put off, in [0, most): the same for everybody, and after a restart."""
    if not most:
        return 0.0
    digest = hashlib.sha256(f"{name}\0{moment!r}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56 * most
