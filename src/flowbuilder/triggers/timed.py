"""A trigger of moments: when it comes, which moments are due, and which of those that were missed count.

Every moment is seen to once.  Its run has a key that is made of the trigger
and the moment, so that neither a crash between the start and its being noted
down, nor a second engine, starts it twice.  A moment counts as seen to when
its run is on disk; so none is lost.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from flowbuilder.core.calendar import Calendar, between, jitter
from flowbuilder.core.errors import EngineStopped
from flowbuilder.triggers.at_work import AtWork
from flowbuilder.triggers.in_turn import InTurn
from flowbuilder.triggers.occasions import calendar_of, in_zone, occasion_of, timing_of

if TYPE_CHECKING:
    from flowbuilder.runtime.timers import Timer
    from flowbuilder.triggers.armed import Armed, Fired
    from flowbuilder.triggers.service import Triggers
    from flowbuilder.triggers.state import Progress

ON_TIME: Final = 90.0
"""Seconds by which a moment may be late and was not missed: an engine that was started anew meanwhile,
or a machine whose clock was set, and whose timers look again once a minute."""
SET_BACK: Final = 3 * 3600.0
"""Seconds by which a clock must have been set back for a schedule to begin anew from there."""
AGAIN: Final = 1.0
LONGEST_AGAIN: Final = 30.0
"""Seconds until a start is tried again that the store did not take."""


class Timed(AtWork):
    """One trigger of moments, while its flow is up.

    Args:
        service: what it is a part of.
        armed: the trigger.
        progress: how far it had come, if anything is known of it.
    """

    def __init__(self, service: Triggers, armed: Armed, progress: Progress | None) -> None:
        super().__init__(service, armed, progress)
        self.lock = asyncio.Lock()
        self._timer: Timer | None = None
        self._again = AGAIN
        self._known: tuple[float, float | None] | None = None
        """How far it had come when the next moment was worked out last, and which that is."""
        self._stepping = False
        self._fresh = progress is None
        self._in_turn: InTurn | None = None
        self.replace(armed)
        if progress is not None and self.timing.overlap in ("queue", "cancel"):
            self.in_turn.drain_soon()  # somebody may have died with moments that wait

    @property
    def in_turn(self) -> InTurn:
        """How its runs come one after the other: only with `overlap`."""
        if self._in_turn is None:
            self._in_turn = InTurn(self._service, self)
        return self._in_turn

    def replace(self, armed: Armed) -> None:
        """Take another version of the trigger; one with other moments begins anew."""
        self.armed = armed
        calendar = calendar_of(armed.trigger)
        assert calendar is not None
        self.calendar: Calendar = calendar
        self._known = None
        self.timing = timing_of(armed.trigger)
        progress = self.progress
        now = self._machine.clock.now()
        if progress.about != armed.about or progress.file != armed.file or self._fresh:
            if progress.about != armed.about:
                progress.last, progress.about, progress.queue = now, armed.about, []
            progress.file = armed.file
            self._fresh = False
            self.note()
        self.look_at_clock()

    def look_at_clock(self) -> None:
        """Begin anew where the clock has been set back by more than a few hours, and set the timer."""
        now = self._machine.clock.now()
        if self.progress.last > now + SET_BACK:
            self._service.telling.warn(
                self.name, "the clock was set back; the schedule goes on from the present moment"
            )
            self.progress.last = now
            self.note()
        self._set_timer()
        if self.progress.queue:
            self.in_turn.drain_soon()

    def pass_over(self) -> None:
        """Go on from the present moment: what came while it was paused is not made up for."""
        self.progress.last = max(self.progress.last, self._machine.clock.now())
        self.note()
        self.look_at_clock()

    def close(self) -> None:
        """Do nothing more."""
        super().close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- when ---------------------------------------------------------------------

    def next_moment(self) -> float | None:
        """Return the next moment; None where there is none, or it is paused."""
        if self.idle:
            return None
        last = self.progress.last
        if self._known is None or self._known[0] != last:
            self._known = (last, self.calendar.after(last))
        return self._known[1]

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        moment = self.next_moment()
        if moment is not None:
            at = moment + jitter(self.name, moment, self.timing.jitter)
            until = self._service.until
            if until is None or at <= until:
                self._timer = self._machine.timers.at(at, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if not self._stepping:
            self._stepping = True
            self._service.background.soon(self._step())

    async def _step(self) -> None:
        """See to all that is due."""
        try:
            async with self.lock:
                if self.idle:
                    return
                await self._catch_up()
            self._again = AGAIN
        except EngineStopped:
            raise
        except Exception as error:  # whatever it is: a schedule that is not set again is dead for good
            self._service.telling.warn(self.name, f"its run is started again in {self._again:g} s: {error}")
            self._timer = self._machine.timers.after(self._again, self._on_time)
            self._again = min(2 * self._again, LONGEST_AGAIN)
            return
        finally:
            self._stepping = False
        self._set_timer()

    async def _catch_up(self) -> None:
        now = self._machine.clock.now()
        moments, newest = self._due(now if self._service.until is None else min(now, self._service.until))
        if newest is None:
            return
        chosen = self._chosen(moments, self._machine.clock.now())
        self._tell_of_missed(chosen)
        for moment in chosen:
            late = self._machine.clock.now() - moment - self.timing.jitter > ON_TIME
            await self._occur(moment, "catch_up" if late else "schedule")
            self.progress.last = moment
            self.note()
            if self.idle:
                return
        self.progress.last = max(self.progress.last, newest)
        self.note()

    def _tell_of_missed(self, chosen: list[float]) -> None:
        """Tell of moments that no run is started for: nothing is left out without a word."""
        first = self.calendar.after(self.progress.last)
        if first is None or (chosen and chosen[0] == first):
            return
        self.progress.skipped += 1
        since = in_zone(first, self.armed.trigger.timezone).isoformat()
        rest = f"; {len(chosen)} made up for" if chosen else ""
        self._service.telling.tell(
            "skipped", self.armed, message=f"moments from {since} on were missed{rest}"
        )

    def _due(self, now: float) -> tuple[list[float], float | None]:
        """Return moments that are due and not seen to, the newest at the end, and the newest of all."""
        timing, name = self.timing, self.name
        most = timing.most if timing.catch_up == "all" else 1
        moments = between(self.calendar, self.progress.last, now, most + (1 if timing.jitter else 0))
        while moments and moments[-1] + jitter(name, moments[-1], timing.jitter) > now:
            moments.pop()  # put off into the future: it comes by itself
        return moments[-most:], moments[-1] if moments else None

    def _chosen(self, moments: list[float], now: float) -> list[float]:
        """Return those of the due moments that runs are started for."""
        timing, newest = self.timing, moments[-1]
        on_time = now - newest - jitter(self.name, newest, timing.jitter) <= ON_TIME
        oldest = now - timing.window if timing.window is not None else float("-inf")
        match timing.catch_up:
            case "all":
                return [moment for moment in moments if moment >= oldest or (moment == newest and on_time)]
            case "last":
                return [newest] if on_time or newest >= oldest else []
            case _:
                return [newest] if on_time else []

    # -- what -----------------------------------------------------------------------

    async def _occur(self, moment: float, by: str) -> None:
        """See to one moment."""
        if self.timing.overlap == "allow":
            await self.fire(moment, by)
        else:
            await self.in_turn.occur(moment, by)

    async def fire(self, moment: float, by: str) -> Fired:
        """Start the run of a moment, unless it has one."""
        trigger = self.armed.trigger
        seen = self.armed.view(by, scheduled_at=in_zone(moment, trigger.timezone))
        fired = await self._service.fire(self.armed, seen, occasion_of(moment))
        self.count(fired)
        return fired
