"""A bounded pool of threads that never holds up the end of the process.

The standard library's pool joins its threads when the interpreter exits; a
function that hangs would then keep the engine from ending.  These are daemons.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

from flowbuilder.runtime.executors.places import rank

if TYPE_CHECKING:
    from collections.abc import Callable


class Job:
    """A function on its way through the pool."""

    __slots__ = ("_permit", "function", "future")

    def __init__(self, function: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.function = function
        self.future = future
        """Done when the function has ended; await it behind a shield."""
        self._permit = [None]

    def begin(self) -> bool:
        """Take the one right to begin or to take back; tell whether it was there.

        Called by the thread and by whoever gives up: a list's `pop` gives it to one of them.
        """
        try:
            self._permit.pop()
        except IndexError:
            return False
        return True

    take_back = begin


class Threads:
    """Runs blocking functions, some at once, the rest the most urgent first (`places.rank`).

    Args:
        count: threads at most; they are started when they are needed.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._jobs: list[tuple[float, int, Job]] = []
        self._order = itertools.count()
        self._there: queue.SimpleQueue[bool] = queue.SimpleQueue()
        """True for each of the jobs; False tells a thread to end."""
        self._started = 0
        self._idle = 0
        self._lock = threading.Lock()
        self._closed = False

    def start(self, function: Callable[[], Any], urgency: float = 0.0) -> Job:
        """Have a function run as soon as a thread is free."""
        if self._closed:
            raise RuntimeError("the engine's threads are closed")
        job = Job(function, asyncio.get_running_loop().create_future())
        with self._lock:
            heapq.heappush(self._jobs, (rank(urgency, time.monotonic()), next(self._order), job))
            if self._idle:
                self._idle -= 1
            elif self._started < self._count:
                self._started += 1
                name = f"flowbuilder-{self._started}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
        self._there.put(True)
        return job

    async def run(self, function: Callable[[], Any]) -> Any:
        """Return what a function returns.

        When cancelled it raises at once.  A function that has not begun is
        taken back; one that has goes on alone, and keeps its thread until it ends.
        """
        job = self.start(function)
        try:
            return await asyncio.shield(job.future)
        except asyncio.CancelledError:
            if not job.take_back():
                job.future.add_done_callback(_look)
            raise

    def close(self) -> None:
        """Take no more functions, and let the threads end with what they are doing."""
        if self._closed:
            return
        self._closed = True
        for _ in range(self._started):
            self._there.put(False)

    def _work(self) -> None:
        while self._there.get():
            with self._lock:
                _, _, job = heapq.heappop(self._jobs)
            result, error = None, None
            begun = job.begin()
            if begun:
                try:
                    result = job.function()
                except BaseException as raised:  # a thread must not die of what a function raises
                    error = raised
            with self._lock:
                self._idle += 1
            if begun:
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    job.future.get_loop().call_soon_threadsafe(_settle, job.future, result, error)
            del job, result, error


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, Exception) and not isinstance(error, StopIteration):
        future.set_exception(error)
    else:  # none of these means on the loop what it meant on the thread
        future.set_exception(RuntimeError(f"a function on a thread raised {type(error).__name__}"))


def _look(future: asyncio.Future[Any]) -> None:
    """Take note of how an abandoned function ended, so that nobody reports it as forgotten."""
    if not future.cancelled():
        future.exception()
