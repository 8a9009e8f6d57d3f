"""Backpressure: starts come in while there is room, the most urgent first."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

from flowbuilder.core.urgency import Rank, Urgency, rank

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Admission:
    """Holds back starts while there are as many runs as there may be.

    Whoever finds no room waits in a queue; `let_in` wakes as many of it as
    there is room for.  Someone who gives up while waiting loses nobody's place.

    Args:
        loop: the engine's.
        room: returns how many more starts there is room for now; not above 0 where there is none.
        now: the time in seconds, on a clock that is not set.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, room: Callable[[], int], now: Callable[[], float]
    ) -> None:
        self._loop = loop
        self._room = room
        self._now = now
        self._order = itertools.count()
        self._queue: list[tuple[Rank, int, asyncio.Future[None]]] = []
        self._closed = False
        self._coming = 0
        """Those that were woken and have not gone on yet: their room is taken."""

    @property
    def is_free(self) -> bool:
        """Whether a start need not wait."""
        return self._closed or (not self._queue and self._room() > self._coming)

    async def enter(self, priority: int) -> None:
        """Return when there is room for a run of this priority."""
        if self.is_free:
            return
        turn: asyncio.Future[None] = self._loop.create_future()
        heapq.heappush(self._queue, (rank(Urgency(priority), self._now()), next(self._order), turn))
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self._coming -= 1  # it was let in, and does not come: the next one may
                self.let_in()
            raise
        self._coming -= 1

    def close(self) -> None:
        """Hold nobody back any more: what they come into is for them to see."""
        self._closed = True
        self._room = lambda: len(self._queue) + self._coming
        self.let_in()

    def let_in(self) -> None:
        """Wake those for whom there is room; to be called whenever there may be more of it."""
        queue = self._queue
        if not queue:
            return
        free = self._room() - self._coming
        while queue and free > 0:
            turn = heapq.heappop(queue)[2]
            if not turn.done():
                turn.set_result(None)
                self._coming += 1
                free -= 1
