"""What people ask of triggers while they are up: pauses, and runs now."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from flowbuilder.triggers.occasions import calendar_of, in_zone
from flowbuilder.triggers.state import ASK, PAUSE, SCHEDULE, Ask, Pause, all_of, fact

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.triggers.armed import Armed, Fired
    from flowbuilder.triggers.service import Triggers


class Asking:
    """Looks for what people have written into the store, when they ring and now and then."""

    def __init__(self, service: Triggers) -> None:
        self._service = service
        self._machine: Machine = service.machine
        self.pauses: dict[str, Pause] = {}
        self._looking = False

    async def open(self) -> None:
        """Read what is paused, and begin to listen."""
        self.pauses = await self._read_pauses()
        commands = self._machine.commands
        commands.listeners = (*commands.listeners, self.look_soon)

    def close(self) -> None:
        """Listen no more."""
        commands = self._machine.commands
        commands.listeners = tuple(one for one in commands.listeners if one != self.look_soon)

    def look_soon(self) -> None:
        """Look in the background; once, however many ring."""
        if not self._looking and not self._service.background.closed:
            self._looking = True
            self._service.background.soon(self.look())

    async def look(self) -> None:
        """Look for what people have asked for."""
        self._looking = False
        store, armed = self._machine.store, self._service.armed
        before, self.pauses = self.pauses, await self._read_pauses()
        for name in before.keys() - self.pauses.keys():
            if name in self._service.sources:
                self._service.sources[name].pass_over()
            if name in armed:
                self._service.telling.tell("resumed", armed[name])
        for name in self.pauses.keys() - before.keys():
            if name in self._service.sources:
                self._service.sources[name].look_at_clock()
            if name in armed:
                self._service.telling.tell("paused", armed[name], message=f"by {self.pauses[name].by}")
        for key, ask in (await self._machine.in_thread(functools.partial(all_of, store, ASK, Ask))).items():
            if (asked := armed.get(ask.trigger)) is not None:
                await self.fire_now(asked, key, ask.by, profile=ask.profile)
                await self._machine.in_thread(functools.partial(store.facts().forget, ASK, prefix=key))

    async def fire_now(self, armed: Armed, key: str, by: str, *, profile: str | None = None) -> Fired:
        """Start a run of a trigger because somebody asks for it; once for each `key`."""
        now = self._machine.clock.now
        seen = armed.view(f"hand:{by}")
        if calendar_of(armed.trigger) is not None:
            seen["scheduled_at"] = in_zone(now(), armed.trigger.timezone)
        fired = await self._service.fire(armed, seen, f"hand-{key}", conditional=False, profile=profile)
        source = self._service.sources.get(armed.name)
        if source is not None:
            run = fired.row.id if fired.row is not None else None
            source.progress.count(fired.outcome, run, now())
            self._service.keeper.keep(fact(SCHEDULE, armed.name, source.progress))
        return fired

    async def _read_pauses(self) -> dict[str, Pause]:
        read = functools.partial(all_of, self._machine.store, PAUSE, Pause)
        pauses: dict[str, Pause] = await self._machine.in_thread(read)
        return pauses
