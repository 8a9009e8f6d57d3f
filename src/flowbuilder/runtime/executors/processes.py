"""A pool of worker processes, started on first use: for work that must be stoppable, or isolated."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.modules import times_imported_again

if TYPE_CHECKING:
    from pebble import ProcessPool

    from flowbuilder.tasks.api import Work


class Processes:
    """Runs functions in processes, one attempt a process at a time.

    Args:
        count: processes at most.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ProcessPool | None = None
        self._starting = asyncio.Lock()

    async def run(self, work: Work) -> Any:
        """Return what a function returns, made plain.

        When cancelled, the worker that runs it is ended, and no other.

        Raises:
            TaskFailed: what the function raised; `executor.crashed` if its process died.
        """
        # start-up time: most flows need no process
        from pebble import ProcessExpired

        from flowbuilder.runtime.executors import worker

        pool = await self._ready()
        imported, hushed = times_imported_again(), work.call.sensitive
        arguments = (work.call.folder, work.name, work.args, work.kwargs, imported, hushed)
        try:
            outcome = await asyncio.wrap_future(pool.schedule(worker.execute, args=arguments))
        except ProcessExpired as error:
            how = f"exit code {error.exitcode}" if error.exitcode is not None else "no exit code"
            raise TaskFailed("executor.crashed", f"the process that ran '{work.name}' died ({how})") from None
        if outcome[0] == "value":
            return outcome[1]
        _, kind, message, data, more, traceback = outcome
        if traceback is not None:
            work.call.log("error", traceback, None)
        raise TaskFailed(kind, message, data, **more)

    async def close(self) -> None:
        """End all workers."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()  # type: ignore[no-untyped-call]
            await asyncio.to_thread(pool.join)

    async def _ready(self) -> ProcessPool:
        async with self._starting:
            if self._pool is None:
                self._pool = await asyncio.to_thread(self._start)
            return self._pool

    def _start(self) -> ProcessPool:
        """Start the pool.  Workers come from a clean process: forking this one would copy its locks."""
        # start-up time, as above
        from pebble import ProcessPool

        from flowbuilder.runtime.executors import worker
        from flowbuilder.runtime.executors.clean_context import clean_context

        context = clean_context()
        if sys.platform != "win32":
            context.set_forkserver_preload([worker.__name__])
        pool = ProcessPool(self._count, initializer=worker.initialize, context=context)
        pool.active  # noqa: B018 - starts the workers, here, where that may block
        return pool
