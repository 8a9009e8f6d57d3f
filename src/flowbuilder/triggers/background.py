"""What triggers do in the background: what is over soon, and what mostly waits."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import EngineStopped
from flowbuilder.triggers.armed import NOT_NOW

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from flowbuilder.runtime.machine import Machine

_log = logging.getLogger("flowbuilder.triggers")

PATIENCE: Final = 0.5
"""Seconds that a start has to come to its end when all is closed; it is made again by the next engine."""
_TURNS: Final = 20
"""Turns of the loop within which a timer acts whose moment has come."""


class Background:
    """Owns the tasks of all triggers."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting: set[asyncio.Task[Any]] = set()
        self.deciding = 0
        """How many find out whether something is to be done, and do not just wait."""
        self.closed = False

    def soon(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        """Do something that is over soon; `settled` waits for it.  None where all is being closed."""
        return self._begin(work, self._tasks)

    def waiting(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        """Do something that mostly waits."""
        return self._begin(work, self._waiting)

    def _begin(
        self, work: Coroutine[Any, Any, Any], among: set[asyncio.Task[Any]]
    ) -> asyncio.Task[Any] | None:
        if self.closed or self._machine.stopping:
            work.close()
            return None
        task = self._machine.loop.create_task(work)
        among.add(task)
        task.add_done_callback(functools.partial(self._finished, among))
        return task

    @staticmethod
    def _finished(among: set[asyncio.Task[Any]], task: asyncio.Task[Any]) -> None:
        among.discard(task)
        if task.cancelled() or (error := task.exception()) is None or isinstance(error, EngineStopped):
            return
        if isinstance(error, NOT_NOW):
            _log.warning("triggers: %s", error)
        else:
            _log.error("triggers: %s", error, exc_info=error)

    @property
    def busy(self) -> bool:
        """Whether something is being seen to."""
        return bool(self._tasks) or self.deciding > 0

    async def settled(self) -> None:
        """Return when all that is due by now has been seen to."""
        while True:
            for _ in range(_TURNS):  # until the timers have acted, if their moment has come
                await asyncio.sleep(0)
                if self.busy:
                    break
            else:
                return
            if self._tasks:
                await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """Begin nothing more, and end what goes on; what is being started has a moment to come to its end."""
        self.closed = True
        for task in self._waiting:
            task.cancel()
        if self._tasks:  # what is being started, unless it waits for room or for a disk that is gone
            await asyncio.wait(set(self._tasks), timeout=PATIENCE)
        tasks = [*self._waiting, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
