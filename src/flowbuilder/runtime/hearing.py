"""What an engine hears: events and signals, told to those in memory who wait for them.

The store rings for every event.  Runs that wait in the store were made due by
it; for those in memory, and for whoever else listens, the engine reads what
has come since it looked last.  A waiter is found by the values that an event
has, as the store finds its subscriptions.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import StoreError
from flowbuilder.core.matching import MISSING
from flowbuilder.runtime.scheduler import SLICE
from flowbuilder.storage.events import ANY, EventFilter, digest_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.waiter import Waiter
    from flowbuilder.storage.events import Event

_log = logging.getLogger("flowbuilder.engine")

PAGE: Final = 200
"""Events that are read at once."""
RECENT: Final = 1000
RECENT_BYTES: Final = 8 * 1024 * 1024
"""What is remembered of events that were told, at most."""
AGAIN: Final = 1.0
"""Seconds after which it is looked again when the store could not be read."""

_Found = dict[str, dict[str, dict["Waiter", None]]]
"""By member and digest those who wait."""


class Hearing:
    """Reads events as they come, and tells whom they concern."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._waiters: dict[tuple[str | None, str], _Found] = {}
        """By run (of signals; None for events) and name."""
        self._listeners: list[Callable[[list[Event]], object]] = []
        self.cursor: int | None = None
        """The number of the last event that was told to all of them; None while there is nobody to tell."""
        self._recent: deque[Event] = deque()
        """What was told lately, in case that somebody comes a moment late."""
        self._recent_bytes = 0
        self._forgotten = 0
        """The number of the last event that is no longer among those."""
        self._asked = False
        self._reading: asyncio.Future[None] | None = None

    def listen(self, listener: Callable[[list[Event]], object]) -> None:
        """Have all events that come from now on told to `listener`, on the loop, in order, signals among them."""
        self._listeners.append(listener)
        self.wake()

    # -- who waits -------------------------------------------------------------------

    def add(self, waiter: Waiter) -> bool:
        """Tell a waiter what comes behind `waiter.after`; False if some of that was told and forgotten already."""
        if self.cursor is None:
            self._begin_at(waiter.after)
        elif self._forgotten > waiter.after:
            return False
        found = self._waiters.setdefault(waiter.address, {})
        found.setdefault(waiter.member, {}).setdefault(waiter.digest, {})[waiter] = None
        for event in [event for event in self._recent if event.number > waiter.after]:
            if any(one is waiter for one in self._concerned(event)):
                waiter.tell(event)
        return True

    def _tell(self, waiter: Waiter, event: Event) -> None:
        try:
            waiter.tell(event)
        except Exception as fault:  # of this run alone
            self._machine.phases.broken(waiter.run, fault)

    def remove(self, waiter: Waiter) -> None:
        """Tell a waiter nothing more."""
        found = self._waiters.get(waiter.address)
        values = found.get(waiter.member) if found is not None else None
        some = values.get(waiter.digest) if values is not None else None
        if found is None or values is None or some is None or some.pop(waiter, MISSING) is MISSING:
            return
        if not some:
            del values[waiter.digest]
        if not values:
            del found[waiter.member]
        if not found:
            del self._waiters[waiter.address]

    def _begin_at(self, number: int) -> None:
        self.cursor = self._forgotten = number
        self._recent.clear()
        self._recent_bytes = 0
        self.wake()  # what rang while nobody listened

    # -- what comes --------------------------------------------------------------------

    def wake(self) -> None:
        """Look for what is new; called on the loop."""
        if not self._asked:
            self._asked = True
            self._machine.recovery.in_background(self._serve())

    async def _serve(self) -> None:
        self._asked = False
        try:
            await self._machine.recovery.wake_due(heard=True)
            await self.catch_up()
        except StoreError:
            self._machine.timers.after(AGAIN, self.wake)
            raise

    async def catch_up(self) -> None:
        """Return when all that was on disk has been told."""
        while self._reading is not None:
            await asyncio.wait((self._reading,))
        self._reading = reading = self._machine.loop.create_future()
        try:
            await self._read()
        finally:
            self._reading = None
            reading.set_result(None)

    async def _read(self) -> None:
        events = self._machine.store.events()
        if self.cursor is None and self._listeners:
            self.cursor = self._forgotten = await self._machine.in_thread(events.last)
        while self._waiters or self._listeners:
            after = self.cursor
            which = EventFilter(after=after or 0, limit=PAGE, everything=True)
            found = await self._machine.in_thread(functools.partial(events.find, which))
            await self._tell_all(found)
            if len(found) < PAGE:
                return
        self.cursor = None

    async def _tell_all(self, found: list[Event]) -> None:
        until = time.perf_counter() + SLICE
        for event in found:
            self._remember(event)
            for waiter in list(self._concerned(event)):
                self._tell(waiter, event)
                if time.perf_counter() > until:
                    await asyncio.sleep(0)
                    until = time.perf_counter() + SLICE
            self.cursor = event.number  # not before: a run that leaves meanwhile goes by it
        if found:
            for listener in self._listeners:
                listener(found)

    def _remember(self, event: Event) -> None:
        recent = self._recent
        recent.append(event)
        self._recent_bytes += len(event.payload)
        while len(recent) > RECENT or self._recent_bytes > RECENT_BYTES:
            oldest = recent.popleft()
            self._recent_bytes -= len(oldest.payload)
            self._forgotten = oldest.number

    def _concerned(self, event: Event) -> Iterator[Waiter]:
        """Yield those in memory who wait for the values that an event has."""
        found = self._waiters.get((event.run_id, event.name))
        if found is None:
            return
        value: Any = None
        for asked, values in list(found.items()):
            wanted = ""
            if asked:
                value = event.value() if value is None else value
                wanted = digest_at(value, asked)
                if not wanted:
                    continue
                if wanted == ANY:
                    for some in list(values.values()):
                        yield from list(some)
                    continue
            yield from list(values.get(wanted, ()))
