"""Backpressure: starts come in while there is room, in the order in which they came."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

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
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, room: Callable[[], int]) -> None:
        self._loop = loop
        self._room = room
        self._queue: deque[asyncio.Future[None]] = deque()
        self._coming = 0
        """Those that were woken and have not gone on yet: their room is taken."""

    @property
    def is_free(self) -> bool:
        """Whether a start need not wait."""
        return not self._queue and self._room() > self._coming

    async def enter(self) -> None:
        """Return when there is room."""
        if self.is_free:
            return
        turn: asyncio.Future[None] = self._loop.create_future()
        self._queue.append(turn)
        try:
            await turn
        finally:
            if turn.done() and not turn.cancelled():
                self._coming -= 1
            self.let_in()

    def close(self) -> None:
        """Wake all: what they come into is for them to see."""
        self._room = lambda: len(self._queue) + self._coming
        self.let_in()

    def let_in(self) -> None:
        """Wake those for whom there is room; to be called whenever there may be more of it."""
        queue = self._queue
        if not queue:
            return
        free = self._room() - self._coming
        while queue and free > 0:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                self._coming += 1
                free -= 1
