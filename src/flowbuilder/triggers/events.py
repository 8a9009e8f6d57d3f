"""A trigger of events: each of a name starts one run, also one that came while nothing was up."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Final

from flowbuilder.core.triggers import EventTrigger
from flowbuilder.storage.events import EventFilter
from flowbuilder.triggers.armed import NOT_NOW
from flowbuilder.triggers.untimed import Untimed

if TYPE_CHECKING:
    from flowbuilder.storage.events import Event
    from flowbuilder.triggers.armed import Armed
    from flowbuilder.triggers.service import Triggers
    from flowbuilder.triggers.state import Progress

PAGE: Final = 500
"""Events that are read at once."""
AGAIN: Final = 2.0
"""Seconds until it is tried again where the store could not do it."""


class Heard(Untimed):
    """One trigger of events, while its flow is up.

    `progress.number` is that of the last event that was seen to.  Events are
    always read from the store behind it, so none is lost and the order is kept.
    """

    def __init__(self, service: Triggers, armed: Armed, progress: Progress | None) -> None:
        super().__init__(service, armed, progress)
        self._reading = self._again = False
        self.begun = asyncio.Event()
        """It is known from which event on it hears."""
        self._known = progress is not None and progress.about == armed.about and progress.number is not None
        self.replace(armed)

    def replace(self, armed: Armed) -> None:
        """Take another version of the trigger; one of another event begins with those that come from now on."""
        if self.take(armed):
            self._known = False
        assert isinstance(armed.trigger.kind, EventTrigger)
        self.event = armed.trigger.kind.event
        self.look_soon()

    def pass_over(self) -> None:
        """Go on with what comes from now on: what came while it was paused is not made up for."""
        self._known = False
        self.look_soon()

    @property
    def begins(self) -> bool:
        """Whether it still finds out from which event on it hears."""
        return self._reading and not self.begun.is_set()

    def look_soon(self) -> None:
        """Read what has come; once more if more comes meanwhile."""
        if self.idle:
            return
        if self._reading:
            self._again = True
            return
        self._reading = True
        self._service.background.soon(self._look())

    async def _look(self) -> None:
        try:
            self._again = True
            while self._again and not self.idle:
                self._again = False
                await self._step()
        except NOT_NOW as error:
            self._service.telling.warn(self.armed.name, f"events are read again: {error}")
            self._machine.timers.after(AGAIN, self.look_soon)
        finally:
            self._reading = False

    async def _step(self) -> None:
        events = self._machine.store.events()
        if not self._known:
            self.progress.number = await self._machine.in_thread(events.last)
            self._known = True
            self.note()
        self.begun.set()
        while not self.idle:
            which = EventFilter(names=(self.event,), after=self.progress.number or 0, limit=PAGE)
            found: list[Event] = await self._machine.in_thread(functools.partial(events.find, which))
            for event in found:
                if self.idle:
                    return
                seen = self.armed.view("schedule", event=event.value())
                fired = await self._service.fire_behind(self.armed, seen, event.id, _run_of(event))
                if fired is not None:
                    self.count(fired)
                self.progress.number = event.number
                self.note()
            if len(found) < PAGE:
                return


def _run_of(event: Event) -> str | None:
    """Return the run whose task has emitted an event; None where it was somebody else."""
    run_id, slash, _ = event.source.partition("/")
    return run_id if slash else None
