"""Ctrl-C and SIGTERM, as a command that drives runs understands them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias

from flowbuilder.cli import exits
from flowbuilder.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_PATIENCE = 2.0
"""Seconds that a second interrupt waits for a slow disk; a third waits for nothing."""

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class Interrupts:
    """What signals have asked for, while a command drives runs.

    The first SIGINT cancels in order, the second leaves at once: a cancel that
    was asked for is in the journal, and the next engine completes it.  SIGTERM
    starts nothing more and gives what runs its grace.  Signals count from
    `listening` on; what came before `obey` is done then.
    """

    def __init__(self) -> None:
        self._cancel: Work | None = None
        self._stop: Work | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._obeyed = asyncio.Event()
        self._leaving = False
        self.cancelled = False
        self.stopped = False

    def obey(self, cancel: Work, stop: Work) -> None:
        """Say how runs are cancelled, and how the engine is stopped in order; each is called once at most."""
        self._cancel, self._stop = cancel, stop
        self._obeyed.set()
        if self.cancelled:
            self._begin(cancel)
        if self.stopped:
            self._begin(stop)

    @property
    def happened(self) -> bool:
        """Whether a signal has come."""
        return self.cancelled or self.stopped

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take signals while the block lasts."""
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGINT: self._interrupt, signal.SIGTERM: self._terminate}
        for number, handler in handlers.items():
            with contextlib.suppress(NotImplementedError):  # Windows has no such handlers
                loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                with contextlib.suppress(NotImplementedError):
                    loop.remove_signal_handler(number)

    def _interrupt(self) -> None:
        if self._leaving:
            os._exit(exits.INTERRUPTED)
        if self.cancelled:
            self._leaving = True
            self._begin(self._leave)
            return
        self.cancelled = True
        say("cancelling: what runs is ended, then `finally` runs; Ctrl-C again leaves at once")
        self._begin(self._cancel)

    async def _leave(self) -> None:
        """Leave as soon as the cancel is on disk: a few milliseconds after it was asked for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_MOST_PATIENCE):
                await self._obeyed.wait()
                await asyncio.gather(*self._tasks - {asyncio.current_task()}, return_exceptions=True)
        say(
            "left at once; `flowbuilder runs resume --all` completes the cancel, as any engine does that takes over"
        )
        os._exit(exits.INTERRUPTED)

    def _terminate(self) -> None:
        if not self.happened:
            self.stopped = True
            say("stopping: nothing more is started; what has not ended soon is left for recovery")
            self._begin(self._stop)

    def _begin(self, work: Work | None) -> None:
        if work is None:
            return  # there is nothing yet to cancel or stop: `obey` comes to it
        task = asyncio.ensure_future(work())
        self._tasks.add(task)  # the loop itself keeps no task alive
        task.add_done_callback(self._tasks.discard)
