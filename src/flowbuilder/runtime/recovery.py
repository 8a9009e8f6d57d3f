"""When runs come back from the store: after a crash, after a wait, after a failed commit, for a command."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Any

from flowbuilder.core.errors import EngineStopped, FlowError, StoreError
from flowbuilder.storage.api import LIVE, KeyTaken

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import TypeVar

    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.own_runs import OwnRuns
    from flowbuilder.runtime.state import RunState
    from flowbuilder.runtime.timers import Timer

    T = TypeVar("T")

_log = logging.getLogger("flowbuilder.engine")

RELOAD_DELAY = 1.0
"""Seconds until runs are read again after the store failed; doubled while it goes on failing."""
LONGEST_DELAY = 30.0
ROOM_DELAY = 0.1
"""Seconds until it is looked again for runs that had no room in memory."""
BATCH = 1000
"""Runs that are claimed at once."""


class Recovery:
    """Claims runs, reads them, and has them carried on."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._wake: Timer | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._delay = RELOAD_DELAY
        self._lost_at = 0.0
        self._room: Timer | None = None
        """Of an engine that is full: when it looks again for runs to take over."""
        self.own: OwnRuns | None = None
        """Of an engine that drives only what it is given: its runs that have left memory."""

    @property
    def busy(self) -> bool:
        """Whether runs are being read, or something else is done in the background."""
        return bool(self._tasks)

    # -- ways to come back -----------------------------------------------------------

    async def take_over(self) -> list[str]:
        """Carry on all runs whose engine is dead, and those that are due; return their ids."""
        self._machine.lanes.adopts = True
        taken: list[str] = []
        while True:
            most = min(BATCH, self._machine.runs.room())
            if most <= 0:
                self._take_over_later()
                break
            rows = await self._machine.in_thread(functools.partial(self._machine.store.take_over, most))
            await self._machine.loading.carry_on(rows)
            taken += [row.id for row in rows]
            if len(rows) < most:
                break
        self.in_background(self._machine.commands.receive())
        await self.wake_due()
        taken += await self._machine.lanes.look()
        await self._machine.deadlines.look()
        return taken

    def _take_over_later(self) -> None:
        """Take over the rest when there is room again; one look is under way, however often it is asked for."""
        if self._room is None:
            self._room = self._machine.timers.after(ROOM_DELAY, self._on_room)

    def _on_room(self) -> None:
        self._room = None
        self.in_background(self.take_over())

    async def adopt_if_free(self, run_id: str) -> bool:
        """Carry on one run if no living engine owns it."""
        loading, live = self._machine.loading, self._machine.runs.live
        if run_id in live or await loading.being_read(run_id):
            return True
        return await self.to_the_end(self._adopt(run_id))

    async def _adopt(self, run_id: str) -> bool:
        await self._machine.committer.kept()  # it may have ended, and the store not know of it
        row = await self._machine.in_thread(functools.partial(self._machine.store.claim, run_id))
        if row is None:
            return False
        await self._machine.loading.carry_on([row])
        return True

    async def wake_due(self, *, heard: bool = False) -> None:
        """Carry on waiting runs whose moment has come, and see to it that the next are woken.

        Args:
            heard: an event may have brought the moment of some forward.
        """
        store = self._machine.store
        try:
            if self.own is not None:
                await self._wake_own(self.own, heard=heard)
                return
            while True:
                now = self._machine.clock.now()
                most = min(BATCH, self._machine.runs.room())
                if most <= 0:
                    self.wake_at(now + ROOM_DELAY)
                    return
                rows = await self._machine.in_thread(functools.partial(store.due, now, most))
                await self._machine.loading.carry_on(rows)
                if len(rows) < most:
                    break
            following = await self._machine.in_thread(store.next_wake)
        except StoreError:
            self.wake_at(self._machine.clock.now() + RELOAD_DELAY)  # or nobody would look again
            raise
        if following is not None:
            self.wake_at(following)

    async def _wake_own(self, own: OwnRuns, *, heard: bool) -> None:
        """Carry on those of this engine's own runs that are due."""
        now = self._machine.clock.now()
        due = own.take(None if heard else now)
        while due:
            run_id = due[-1]
            try:
                row = await self._machine.in_thread(functools.partial(self._machine.store.run, run_id))
                if row is not None and row.status in LIVE:
                    moment = row.wake_at if row.owner is None else None
                    if moment is None or moment > now:
                        own.add(run_id, moment)
                    else:
                        await self.adopt_if_free(run_id)
            except StoreError:
                for again in due:
                    own.add(again, now)
                raise
            due.pop()
        following = own.following()
        if following is not None:
            self.wake_at(following)

    def wake_at(self, moment: float) -> None:
        """Look for waiting runs at a moment; keeps the earliest that was asked for."""
        wake = self._wake
        if wake is not None and wake.action is not None and wake.at <= moment:
            return
        if wake is not None:
            wake.cancel()
        self._wake = self._machine.timers.at(moment, self._on_wake)

    def _on_wake(self) -> None:
        self._wake = None
        if not self._machine.stopping:
            self.in_background(self.wake_due())

    def wake_soon(self, run_id: str) -> None:
        """Bring one run back from the store, because what it waited for has come."""
        if run_id not in self._machine.runs.live and not self._machine.stopping:
            self.in_background(self.adopt_if_free(run_id))

    def cancel_soon(self, run_id: str, reason: str, *, undo: bool = True) -> None:
        """Have a run cancelled, wherever it is."""
        self.in_background(self._machine.steering.cancel(run_id, reason, undo=undo))

    # -- after a failed commit -----------------------------------------------------------

    def lost(self, runs: list[RunState], error: StoreError) -> None:
        """Drop runs whose flush failed, tell their callers, and read them again when that is possible."""
        again: list[str] = []
        for run in runs:
            if run.lost:
                continue
            waiters, run.waiters = run.waiters, None
            self._machine.runs.drop(run)
            if run.ended:  # handles of the run share its row, which must not tell what was taken back
                run.row.status, run.row.result, run.row.ended_at = "running", None, None
            if run.durable:
                again.append(run.id)
            for _, done in waiters or ():
                done(error)
            self._machine.runs.give_up(run.id, error)
        if runs and not isinstance(error, KeyTaken):  # whose run there is already: nothing is lost
            _log.error(
                "%d runs were dropped from memory, since they could not be written: %s", len(runs), error
            )
        if again and not self._machine.stopping:
            self._machine.loading.suspect(again)
            self.reload_later(again)

    def reload_later(self, run_ids: list[str]) -> None:
        """Read runs again in a while, which grows as long as the store goes on failing."""
        now = self._machine.clock.now()
        calm = now - self._lost_at > 2 * LONGEST_DELAY
        self._delay = RELOAD_DELAY if calm else min(2 * self._delay, LONGEST_DELAY)
        self._lost_at = now
        self._machine.timers.after(self._delay, lambda: self.in_background(self._reload(run_ids)))

    async def _reload(self, run_ids: list[str]) -> None:
        for place, run_id in enumerate(run_ids):
            try:
                await self.adopt_if_free(run_id)
            except StoreError:
                self.reload_later(run_ids[place:])
                return

    # -- helpers -------------------------------------------------------------------------

    def in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run something that nobody waits for; what it raises is logged."""
        if self._machine.stopping:
            work.close()
            return
        task = self._machine.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    async def to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what something comes to, which is done also where whoever asked for it gives up half-way.

        What claims runs is done like this: one that is claimed and not carried on would be so for good.

        Raises:
            EngineStopped: the engine was closed meanwhile.
        """
        if self._machine.stopping:
            return await work
        task = self._machine.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise EngineStopped from None
            raise

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, EngineStopped):
                return  # what was about to be done is left to the next engine
            level = logging.WARNING if isinstance(error, FlowError | StoreError) else logging.ERROR
            _log.log(level, "%s", error, exc_info=error if level == logging.ERROR else None)

    async def close(self) -> None:
        """Cancel what runs in the background, and wait for its end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
