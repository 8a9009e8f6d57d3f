"""A bounded number of places, given to the most urgent of those who wait."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from typing import TYPE_CHECKING

from flowbuilder.core.urgency import Rank, rank

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from flowbuilder.core.urgency import Urgency


class Places:
    """Used on one loop.  Of those who are equally urgent, the first to come is the first to go.

    Args:
        count: how many there are.
        now: the time in seconds, on a clock that is not set.
    """

    def __init__(self, count: int, now: Callable[[], float]) -> None:
        self._free = count
        self._now = now
        self._order = itertools.count()
        self._queue: list[tuple[Rank, int, asyncio.Future[None]]] = []

    @contextlib.asynccontextmanager
    async def hold(self, urgency: Urgency) -> AsyncIterator[None]:
        """Hold a place while inside; wait for one first.  Who is cancelled leaves it to the next."""
        await self._take(urgency)
        try:
            yield
        finally:
            self._give_back()

    async def _take(self, urgency: Urgency) -> None:
        if self._free > 0:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (rank(urgency, self._now()), next(self._order), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back()  # the place was ours already
            raise

    def _give_back(self) -> None:
        while self._queue:
            turn = heapq.heappop(self._queue)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
