"""Places that work waits for: the most urgent gets the next one, and waiting makes more urgent.

A second of waiting is worth a point of a run's priority, so nothing starves:
what has waited for a hundred seconds goes before whatever comes now.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


def rank(urgency: float, now: float) -> float:
    """Return what sorts work that waits since now: the least comes first, whoever came later.

    Example:
        >>> rank(90.0, now=1000.0) < rank(50.0, now=1000.0) < rank(90.0, now=1050.0)
        True
    """
    return now - urgency


class Places:
    """So many that may work at once; the rest waits in order of urgency.

    Args:
        count: how many.
        now: the time, in seconds; for tests.
    """

    def __init__(self, count: int, now: Callable[[], float] = time.monotonic) -> None:
        self._free = count
        self._now = now
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []

    @contextlib.asynccontextmanager
    async def hold(self, urgency: float = 0.0) -> AsyncIterator[None]:
        """Hold a place while inside; wait for one first."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(urgency)
        try:
            yield
        finally:
            self._give_back()

    async def _wait(self, urgency: float) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank(urgency, self._now()), next(self._order), place))
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._give_back()  # it was given at the moment at which we stopped waiting
            raise

    def _give_back(self) -> None:
        """Give a place to the most urgent that waits, if any does."""
        while self._waiting:
            _, _, place = heapq.heappop(self._waiting)
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
