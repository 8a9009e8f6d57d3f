"""A trigger with `overlap`: what becomes of a moment that meets the run before, and of those that wait.

What is decided lies in the store (`turns`); here it is carried out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.triggers.armed import NOT_NOW
from flowbuilder.triggers.turns import Turns

if TYPE_CHECKING:
    from flowbuilder.triggers.service import Triggers
    from flowbuilder.triggers.timed import Timed
    from flowbuilder.triggers.turns import Seen

MOST_QUEUED: Final = 1000
"""Moments that wait for the run before, with `overlap: queue`."""
LOOK_AGAIN: Final = 30.0
"""Seconds until the queue is looked at again that the store could not give."""


class InTurn:
    """The runs of one trigger of moments, one after the other.

    Args:
        service: what it is a part of.
        timed: the trigger.
    """

    def __init__(self, service: Triggers, timed: Timed) -> None:
        self._service = service
        self._machine = service.machine
        self._timed = timed
        self._turns = Turns(service.machine, timed.name)
        self._draining = False

    async def occur(self, moment: float, by: str) -> None:
        """See to one moment, once in all engines together."""
        while not await self._decide(moment, by):
            pass  # another engine has decided something meanwhile

    async def _decide(self, moment: float, by: str) -> bool:
        """Decide about a moment by what the store says; False where that has changed meanwhile."""
        seen = await self._turns.read(self._timed.armed.about)
        turn = seen.turn
        self._timed.progress.queue = list(turn.queue)
        if turn.starting is not None:  # by us, by another engine, or by one that is dead: it has one run
            await self._start(turn.starting, by if turn.starting == moment else "catch_up")
            return turn.starting == moment
        if moment in turn.decided:
            return True
        if moment in turn.queue:
            self.drain_soon()
            return True
        if turn.run is None or not await self._service.live.is_live(turn.run):
            first = turn.queue[0] if turn.queue else moment  # those that wait have their turn before it
            if not await self._turns.change(seen, turn.take(first)):
                return False
            await self._start(first, by if first == moment else "catch_up")
            return first == moment
        return await self._meet(seen, moment, turn.run)

    async def _meet(self, seen: Seen, moment: float, run_id: str) -> bool:
        """Do what `overlap` says about a moment that meets the run before."""
        overlap, turn = self._timed.timing.overlap, seen.turn
        if overlap == "skip" or (overlap == "queue" and len(turn.queue) >= MOST_QUEUED):
            if not await self._turns.change(seen, turn.leave_out(moment)):
                return False
            self._timed.progress.skipped += 1
            why = "is still live" if overlap == "skip" else f"is live, and {MOST_QUEUED} moments wait already"
            self._service.telling.tell(
                "skipped", self._timed.armed, run=run_id, message=f"the run before, {run_id}, {why}"
            )
            return True
        waiting = turn.wait_alone(moment) if overlap == "cancel" else turn.wait(moment)
        if not await self._turns.change(seen, waiting):
            return False
        self._timed.progress.queue = list(waiting.queue)
        if overlap == "cancel":
            await self._machine.steering.cancel(
                run_id, f"trigger '{self._timed.armed.trigger.name}' has come again"
            )
        self.drain_soon()
        return True

    async def _start(self, moment: float, by: str) -> None:
        """Start the run of a moment whose turn it is, and write down which that is."""
        fired = await self._timed.fire(moment, by)
        await self._turns.started(
            self._timed.armed.about, moment, fired.row.id if fired.row is not None else None
        )

    def drain_soon(self) -> None:
        """See to the queue when the run before has ended."""
        if not self._draining and not self._timed.closed:
            self._draining = True
            self._service.background.waiting(self._drain())

    async def _drain(self) -> None:
        self._service.background.deciding += 1
        try:
            while not self._timed.closed:
                turn = (await self._turns.read(self._timed.armed.about)).turn
                self._timed.progress.queue = list(turn.queue)
                if not turn.waits:
                    self._timed.note()
                    return
                if turn.run is not None and turn.starting is None:
                    await self._service.live.ended(turn.run)
                firing = self._service.background.soon(self._fire_queued())
                if firing is None or self._timed.idle:
                    return
                await firing
        except NOT_NOW as error:
            self._service.telling.warn(self._timed.name, f"its queue is looked at again: {error}")
            self._machine.timers.after(LOOK_AGAIN, self.drain_soon)
        finally:
            self._service.background.deciding -= 1
            self._draining = False

    async def _fire_queued(self) -> None:
        async with self._timed.lock:
            seen = await self._turns.read(self._timed.armed.about)
            turn = seen.turn
            if self._timed.idle or not turn.waits:
                return
            if turn.starting is not None:
                await self._start(turn.starting, "schedule")
            elif turn.run is None or not await self._service.live.is_live(turn.run):
                moment = turn.queue[0]
                if await self._turns.change(seen, turn.take(moment)):
                    await self._start(moment, "schedule")
            self._timed.progress.queue = list((await self._turns.read(self._timed.armed.about)).turn.queue)
            self._timed.note()
