"""Moments that the engine waits for: one heap, one call of the loop."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbuilder.core.clock import Clock

_log = logging.getLogger("flowbuilder.engine")


_NOTHING: Final = object()
_SET: Final = 0.1
"""Seconds by which the two clocks must part before we take it that somebody has set the one on the wall."""
_FEW: Final = 1000
"""Cancelled timers that may lie about: it does not pay to look for them."""


class Timer:
    """Something to be done at a moment, unless it is cancelled before."""

    __slots__ = ("_argument", "_timers", "action", "at", "awaited", "due")

    def __init__(self, at: float, action: Callable[..., None], argument: Any, timers: Timers) -> None:
        self.at = at
        """Its moment on the wall clock, as that is set by now."""
        self.due: float | None = None
        """Its moment on the clock that is not set, where it goes by that."""
        self.awaited = True
        """Whether something waits for it."""
        self.action: Callable[..., None] | None = action
        """None once it is cancelled."""
        self._argument = argument
        self._timers = timers

    def cancel(self) -> None:
        """Make it do nothing."""
        if self.action is not None:
            self.action = self._argument = None
            self._timers.count_cancelled()

    def act(self) -> None:
        """Do what is to be done."""
        action, self.action = self.action, None
        if action is None:
            return
        if self._argument is _NOTHING:
            action()
        else:
            action(self._argument)


class Timers:
    """Calls actions when their moments on the wall clock have come, earliest first.

    A machine's clock may be set while we wait: the wait is worked out again
    at least once a minute, so that a moment is missed by no more than that.
    What is to be done `after` a while goes by the time that passes, instead.
    A hundred thousand timers cost one entry of a heap each, and one task.
    Those that are cancelled are swept out when they are the most: a limit of
    an hour costs nothing when what it bounds ends at once.
    """

    _LONGEST_WAIT = 60.0

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._cancelled = 0
        """How many in the heap, at most; they lie there until they are swept out."""
        self._changed = asyncio.Event()
        self._offset = clock.now() - clock.monotonic()
        """Between the two clocks, when we looked last."""

    def __len__(self) -> int:
        return sum(timer.action is not None for _, _, timer in self._heap)

    def at(self, moment: float, action: Callable[..., None], argument: Any = _NOTHING) -> Timer:
        """Call `action`, with `argument` if there is one, at `moment`, in seconds since 1970 UTC."""
        timer = Timer(moment, action, argument, self)
        heap = self._heap
        if not heap or moment < heap[0][0]:
            self._changed.set()
        heapq.heappush(heap, (moment, next(self._order), timer))
        return timer

    def after(self, delay: float, action: Callable[..., None], argument: Any = _NOTHING) -> Timer:
        """Call `action` when `delay` seconds have passed, however the clock on the wall is set meanwhile."""
        timer = self.at(self._clock.now() + delay, action, argument)
        timer.due = self._clock.monotonic() + delay
        return timer

    def now_and_then(self, delay: float, action: Callable[..., None]) -> Timer:
        """Call `action` as `after` does; only to look whether all is well, so that a test skips no time for it."""
        timer = self.after(delay, action)
        timer.awaited = False
        return timer

    def look_at_clock(self) -> None:
        """Where the clock was set, put what goes by the time that passes to its moment on the clock as it is now."""
        offset = self._clock.now() - self._clock.monotonic()
        if abs(offset - self._offset) < _SET:
            return
        self._offset = offset
        for _, _, timer in self._heap:
            if timer.due is not None:
                timer.at = timer.due + offset
        self._heap = [(timer.at, order, timer) for _, order, timer in self._heap]
        heapq.heapify(self._heap)
        self._changed.set()

    def count_cancelled(self) -> None:
        """Take in that one was cancelled, and sweep them out when they are more than half of all."""
        self._cancelled += 1
        if self._cancelled > _FEW and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def next_moment(self) -> float | None:
        """Return the earliest moment that something waits for; None if nothing does."""
        self.look_at_clock()
        heap = self._heap
        while heap and heap[0][2].action is None:
            heapq.heappop(heap)
            self._cancelled -= 1
        if not heap or heap[0][2].awaited:
            return heap[0][0] if heap else None
        moments = (at for at, _, timer in heap if timer.awaited and timer.action is not None)
        return min(moments, default=None)

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            self._changed.clear()
            if not self._heap:
                await self._changed.wait()
                continue
            self.look_at_clock()
            delay = self._heap[0][0] - self._clock.now()
            if delay > 0:
                await self._wait(min(delay, self._LONGEST_WAIT))
                continue
            self.step()
            await asyncio.sleep(0)  # a thousand due timers do not keep others from the loop

    def step(self, most: int = 1000) -> int:
        """Do what is due, at most so many; return how many there were."""
        now = self._clock.now()
        done = 0
        while self._heap and self._heap[0][0] <= now and done < most:
            _, _, timer = heapq.heappop(self._heap)
            if timer.action is None:
                self._cancelled -= 1
            else:
                try:
                    timer.act()
                except Exception:  # one fault of ours must not stop the clock for all
                    _log.exception("what was due at %.3f could not be done", timer.at)
                done += 1
        return done

    async def _wait(self, delay: float) -> None:
        """Wait for the delay or for an earlier timer, whichever comes first."""
        sleeping = asyncio.ensure_future(self._clock.sleep(delay))
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait((sleeping, changed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            changed.cancel()
