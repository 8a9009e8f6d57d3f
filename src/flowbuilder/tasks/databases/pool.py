"""Connections that are used again: one pool for drivers that block, one for those that do not."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Generic, TypeVar

C = TypeVar("C")
T = TypeVar("T")

SIZE = 8
"""Connections at once, unless the connection says otherwise."""
STALE = 5.0
"""Seconds of rest after which a connection is asked whether it is still there."""


class Resting(Generic[C]):
    """Connections that wait to be used, the last used first; and how many may be used at once."""

    def __init__(self, size: int) -> None:
        self.places = asyncio.Semaphore(size)
        self._resting: list[tuple[C, float]] = []

    def take(self) -> tuple[C, bool] | None:
        """Return a connection and whether it may have gone stale; None where a new one is needed."""
        if not self._resting:
            return None
        connection, since = self._resting.pop()
        return connection, time.monotonic() - since > STALE

    def give_back(self, connection: C) -> None:
        """Let a connection rest that is as good as new."""
        self._resting.append((connection, time.monotonic()))

    def all(self) -> list[C]:
        """Return all that rest, which are then no longer kept."""
        resting, self._resting = self._resting, []
        return [connection for connection, _ in resting]


class BlockingPool(Generic[C]):
    """Connections of a driver that blocks, each used on a thread of the pool's own.

    Args:
        connect: makes one.
        check: raises if one is no longer any good.
        interrupt: called on another thread, ends what a connection is doing.
        disconnect: closes one.
        size: how many there are at once.
    """

    def __init__(
        self,
        connect: Callable[[], C],
        *,
        check: Callable[[C], Any],
        interrupt: Callable[[C], Any],
        disconnect: Callable[[C], Any],
        size: int = SIZE,
    ) -> None:
        self._connect = connect
        self._check = check
        self._interrupt = interrupt
        self._disconnect = disconnect
        self._resting: Resting[C] = Resting(size)
        # one more than there are connections: whoever interrupts must not wait for whom he interrupts
        self._threads = concurrent.futures.ThreadPoolExecutor(size + 1, "flowbuilder-sql")

    async def use(self, work: Callable[[C], T]) -> T:
        """Do some work with a connection, on a thread.

        A connection whose work fails is closed, so that nothing half done is
        left on it.  When this is cancelled it returns once the work has ended.
        """
        async with self._resting.places:
            job = _Job(self, work, self._resting.take())
            future: asyncio.Future[Any] = asyncio.get_running_loop().run_in_executor(self._threads, job.run)
            try:
                result: T = await asyncio.shield(future)
            except asyncio.CancelledError:
                await self._end(job, future)
                raise
            self._resting.give_back(job.connection)  # type: ignore[arg-type]
            return result

    async def _end(self, job: _Job[C], future: asyncio.Future[Any]) -> None:
        """Interrupt a job again and again until it has ended: it may be between two statements."""
        loop = asyncio.get_running_loop()
        while not future.done():
            await asyncio.shield(loop.run_in_executor(None, job.interrupt))
            await asyncio.wait((future,), timeout=0.05)
        if future.exception() is None and job.connection is not None:
            self._resting.give_back(job.connection)

    async def close(self) -> None:
        """Close what rests; who is still at work closes his own."""
        connections = self._resting.all()

        def close() -> None:
            for connection in connections:
                with contextlib.suppress(Exception):
                    self._disconnect(connection)

        await asyncio.get_running_loop().run_in_executor(None, close)
        self._threads.shutdown(wait=False)


class _Job(Generic[C]):
    """Some work on a thread."""

    def __init__(self, pool: BlockingPool[C], work: Callable[[C], Any], found: tuple[C, bool] | None) -> None:
        self._pool = pool
        self._work = work
        self._found = found
        self._lock = threading.Lock()
        self._at_work = False
        self._stopped = False
        self.connection: C | None = None

    def run(self) -> Any:
        pool = self._pool
        connection = self._fresh()
        self.connection = connection
        with self._lock:
            self._at_work = not self._stopped
        try:
            if self._stopped:
                return None
            return self._work(connection)
        except BaseException:
            with contextlib.suppress(Exception):
                pool._disconnect(connection)
            raise
        finally:
            with self._lock:
                self._at_work = False

    def _fresh(self) -> C:
        if self._found is not None:
            connection, stale = self._found
            if not stale:
                return connection
            try:
                self._pool._check(connection)
                return connection
            except Exception:  # whatever a driver says of a connection that is gone
                with contextlib.suppress(Exception):
                    self._pool._disconnect(connection)
        return self._pool._connect()

    def interrupt(self) -> None:
        with self._lock:
            self._stopped = True
            if self._at_work and self.connection is not None:
                with contextlib.suppress(Exception):
                    self._pool._interrupt(self.connection)


class AsyncPool(Generic[C]):
    """Connections of a driver that does not block; see `BlockingPool`."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[C]],
        *,
        check: Callable[[C], Awaitable[Any]],
        disconnect: Callable[[C], Awaitable[Any]],
        size: int = SIZE,
    ) -> None:
        self._connect = connect
        self._check = check
        self._disconnect = disconnect
        self._resting: Resting[C] = Resting(size)

    @contextlib.asynccontextmanager
    async def using(self) -> AsyncIterator[C]:
        """Lend a connection; one that is given back with an error is closed."""
        async with self._resting.places:
            connection = await self._fresh()
            try:
                yield connection
            except BaseException:
                with contextlib.suppress(Exception):
                    await self._disconnect(connection)
                raise
            self._resting.give_back(connection)

    async def _fresh(self) -> C:
        found = self._resting.take()
        if found is not None:
            connection, stale = found
            if not stale:
                return connection
            try:
                await self._check(connection)
                return connection
            except Exception:  # whatever a driver says of a connection that is gone
                with contextlib.suppress(Exception):
                    await self._disconnect(connection)
        return await self._connect()

    async def close(self) -> None:
        """Close what rests."""
        for connection in self._resting.all():
            with contextlib.suppress(Exception):
                await self._disconnect(connection)


def pool_size(value: Any) -> int:
    """Return how many connections there may be at once, as a connection's `pool` says."""
    try:
        size = int(value)
    except (TypeError, ValueError):
        return SIZE
    return max(1, min(size, 1000))
