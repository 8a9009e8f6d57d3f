"""A clock that stands still until it is told to go on."""

from __future__ import annotations

import asyncio
import heapq
import itertools

RESOLUTION = 1e-6
"""Seconds by which a sleeper may wake early: the time of day, as a float, is no finer."""


class FakeClock:
    """Time for tests; passes `core.clock.Clock`.

    Nothing passes by itself: `advance` moves the time and wakes who slept
    until then, `jump` moves it to the next moment that somebody waits for.

    Args:
        start: the first moment, in seconds since 1970 UTC.
    """

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        self._now = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self.slept: list[float] = []
        """What each jump skipped, in seconds."""

    def now(self) -> float:
        """Return the time as seconds since 1970-01-01 UTC."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds that passed; a change by `set` does not count."""
        return self._elapsed

    def sleep(self, delay: float) -> asyncio.Future[None]:
        """Return what is done when the time has been moved by `delay` seconds from now.

        From now, and not from when it is first awaited: the time may jump in between.
        """
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if delay <= 0:
            sleeper.set_result(None)
        else:
            heapq.heappush(self._sleepers, (self._elapsed + delay, next(self._order), sleeper))
        return sleeper

    def advance(self, seconds: float) -> None:
        """Let time pass, and wake all who slept until some moment of it."""
        self._elapsed += seconds
        self._now += seconds
        while self._sleepers and self._sleepers[0][0] <= self._elapsed + RESOLUTION:
            _, _, sleeper = heapq.heappop(self._sleepers)
            if not sleeper.done():
                sleeper.set_result(None)

    def set(self, now: float) -> None:
        """Set the clock, as an administrator does: nobody has slept meanwhile."""
        self._now = now

    def next_moment(self) -> float | None:
        """Return in how many seconds the next sleeper is to be woken; None if nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] - self._elapsed if self._sleepers else None

    def jump(self, to: float | None = None) -> bool:
        """Move the time on to a moment, or to the next that somebody waits for; False if there is none."""
        delay = self.next_moment() if to is None else to - self._now
        if delay is None or delay <= 0:
            return False
        self.slept.append(delay)
        self.advance(delay)
        return True
