"""A trigger of events: each of a name starts one run, also one that came while nothing was up."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Final

from flowbuilder.core.errors import StoreError
from flowbuilder.core.triggers import EventTrigger
from flowbuilder.runtime.encryption import EncryptionKeyMissing, EncryptionKeyUnusable
from flowbuilder.storage.events import EventFilter
from flowbuilder.triggers.state import SCHEDULE, Progress, fact

if TYPE_CHECKING:
    from flowbuilder.storage.events import Event
    from flowbuilder.triggers.armed import Armed
    from flowbuilder.triggers.service import Triggers

PAGE: Final = 500
"""Events that are read at once."""
AGAIN: Final = 2.0
"""Seconds until it is tried again where the store could not do it."""


class Heard:
    """One trigger of events, while its flow is up.

    `progress.number` is that of the last event that was seen to.  Events are
    always read from the store behind it, so none is lost and the order is kept.
    """

    def __init__(self, service: Triggers, armed: Armed, progress: Progress | None) -> None:
        self._service = service
        self._machine = service.machine
        self._reading = self._again = False
        self.closed = False
        self.begun = asyncio.Event()
        """It is known from which event on it hears."""
        self.progress = progress or Progress(last=self._machine.clock.now())
        self._known = progress is not None and progress.about == armed.about and progress.number is not None
        self.replace(armed)

    def replace(self, armed: Armed) -> None:
        """Take another version of the trigger; one of another event begins with those that come from now on."""
        if self.progress.about not in ("", armed.about):
            self._known = False
        self.armed = armed
        kind = armed.trigger.kind
        assert isinstance(kind, EventTrigger)
        self.event = kind.event
        self.progress.about, self.progress.file = armed.about, armed.file
        self.look_soon()

    def pass_over(self) -> None:
        """Go on with what comes from now on: what came while it was paused is not made up for."""
        self._known = False
        self.look_soon()

    def look_at_clock(self) -> None:
        """Nothing of it goes by the clock."""

    def close(self) -> None:
        """Start nothing more."""
        self.closed = True

    def next_moment(self) -> float | None:
        """Return nothing: nobody knows when an event comes."""
        return None

    @property
    def begins(self) -> bool:
        """Whether it still finds out from which event on it hears."""
        return self._reading and not self.begun.is_set()

    @property
    def _idle(self) -> bool:
        return self.closed or not self.armed.trigger.enabled or self.armed.name in self._service.asking.pauses

    def look_soon(self) -> None:
        """Read what has come; once more if more comes meanwhile."""
        if self._idle:
            return
        if self._reading:
            self._again = True
            return
        self._reading = True
        self._service.background.soon(self._look())

    async def _look(self) -> None:
        try:
            self._again = True
            while self._again and not self._idle:
                self._again = False
                await self._step()
        except (StoreError, EncryptionKeyMissing, EncryptionKeyUnusable) as error:
            self._service.telling.warn(self.armed.name, f"events are read again: {error}")
            self._machine.timers.at(self._machine.clock.now() + AGAIN, self.look_soon)
        finally:
            self._reading = False

    async def _step(self) -> None:
        events = self._machine.store.events()
        if not self._known:
            self.progress.number = await self._machine.in_thread(events.last)
            self._known = True
            self._note()
        self.begun.set()
        while not self._idle:
            which = EventFilter(names=(self.event,), after=self.progress.number or 0, limit=PAGE)
            found: list[Event] = await self._machine.in_thread(functools.partial(events.find, which))
            for event in found:
                if self._idle:
                    return
                seen = self.armed.view("schedule", event=event.value())
                fired = await self._service.fire(self.armed, seen, event.id)
                row = fired.row
                self.progress.count(fired.outcome, row.id if row else None, self._machine.clock.now())
                self.progress.number = event.number
                self._note()
            if len(found) < PAGE:
                return

    def _note(self) -> None:
        self._service.keeper.keep(fact(SCHEDULE, self.armed.name, self.progress))
