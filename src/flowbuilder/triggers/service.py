"""All triggers of an engine: armed and disarmed with their flows, paused, fired by hand.

Moments lie in the engine's own heap of timers; nothing is polled.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.triggers.armed import Armed, Fired
from flowbuilder.triggers.asking import Asking
from flowbuilder.triggers.background import Background
from flowbuilder.triggers.chains import KIND, MOST, place_behind, why
from flowbuilder.triggers.events import Heard
from flowbuilder.triggers.files import Arrivals
from flowbuilder.triggers.flows import LOOK_EVERY, Ends
from flowbuilder.triggers.keeper import Keeper
from flowbuilder.triggers.live import LiveRuns
from flowbuilder.triggers.source import Source, make_source, source_class
from flowbuilder.triggers.state import ARRIVAL, SCHEDULE, TURN, Progress, all_of
from flowbuilder.triggers.telling import Telling
from flowbuilder.triggers.timed import SET_BACK

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.storage.api import RunRow
    from flowbuilder.storage.events import Event
    from flowbuilder.triggers.happenings import Happening

_log = logging.getLogger("flowbuilder.triggers")

CLOCK_CHECK: Final = 60.0
"""Seconds between two looks whether somebody has set the clock, or has said something that we did not hear."""
BEGIN: Final = 5.0
"""Seconds for which it is waited until triggers know where they begin."""


class Triggers:
    """The triggers of the flows that are up.

    Args:
        machine: the engine.
        listen: is told what happens.
        watches: folders of files are watched; else `look_for_files` looks.
    """

    def __init__(
        self, machine: Machine, listen: Callable[[Happening], None], *, watches: bool = True
    ) -> None:
        self.machine = machine
        self.watches = watches
        self.keeper = Keeper(machine)
        self.background = Background(machine)
        self.telling = Telling(machine.clock, listen)
        self.live = LiveRuns(machine, self.background)
        self.sources: dict[str, Source] = {}
        """Those at work, by full name."""
        self.armed: dict[str, Armed] = {}
        """All that are in force, by full name."""
        self._without_source: set[str] = set()
        self.firing = 0
        """How many runs are being started."""
        self._progress: dict[str, Progress] = {}
        self._of_flow: dict[str, frozenset[str]] = {}
        self._by_flow: dict[str, dict[str, Ends]] = {}
        self._by_event: dict[str, dict[str, Heard]] = {}
        self._looks_for_ends = self._hears = False
        self.until: float | None = None
        """What is due later than this is left to the next engine."""
        self._offset = 0.0
        self.asking = Asking(self)

    async def open(self) -> None:
        """Read what is known, and begin to listen."""
        store = self.machine.store
        self._progress = await self.machine.in_thread(functools.partial(all_of, store, SCHEDULE, Progress))
        forget = functools.partial(store.facts().forget, ARRIVAL, expired_at=self.machine.clock.now())
        await self.machine.in_thread(forget)
        await self.asking.open()
        self._offset = self._clock_offset()
        self.background.waiting(self._watch_clock())

    async def close(self) -> None:
        """Fire nothing more, and write down how far all have come."""
        self.background.closed = True
        self.asking.close()
        for source in self.sources.values():
            source.close()
        await self.background.close()
        self.keeper.close()

    # -- arming -------------------------------------------------------------------

    def arm(self, plan: FlowPlan, file: str) -> None:
        """Put the triggers of a version of a flow in force, in place of those of the version before."""
        wanted = {one.name: one for one in (Armed(plan, trigger, file) for trigger in plan.triggers)}
        for name in self._of_flow.get(plan.name, frozenset()) - wanted.keys():
            self._drop(name)
        self._of_flow[plan.name] = frozenset(wanted)
        for name, armed in wanted.items():
            self.armed[name] = armed
            self._arm(name, armed)

    def _arm(self, name: str, armed: Armed) -> None:
        source, kind = self.sources.get(name), source_class(armed)
        if source is not None and type(source) is kind:
            self._unlist(name, source)
            source.replace(armed)
        else:
            if source is not None:
                self._unlist(name, source)
                source.close()
                del self.sources[name]
            source = make_source(self, armed, self._progress.pop(name, None))
        if source is None:
            if name not in self._without_source:  # once, and not each time its flow is read again
                self._without_source.add(name)
                what = "webhooks come with the server, in a later release; nothing starts it here"
                self.telling.warn(name, what)
            return
        self.sources[name] = source
        if type(source) is Ends:
            for flow in source.flows:
                self._by_flow.setdefault(flow, {})[name] = source
            if not self._looks_for_ends:
                self._looks_for_ends = True
                self.background.waiting(self._look_for_ends())
        elif type(source) is Heard:
            self._by_event.setdefault(source.event, {})[name] = source
            if not self._hears:
                self._hears = True
                self.machine.hearing.listen(self._hear)

    def _unlist(self, name: str, source: Source) -> None:
        if type(source) is Ends:
            for flow in source.flows:
                self._by_flow.get(flow, {}).pop(name, None)
        elif type(source) is Heard:
            self._by_event.get(source.event, {}).pop(name, None)

    def disarm(self, flow: str) -> None:
        """Take the triggers of a flow out of force; what is known of them is forgotten."""
        for name in self._of_flow.pop(flow, frozenset()):
            self._drop(name)

    def _drop(self, name: str) -> None:
        del self.armed[name]
        self._without_source.discard(name)
        source = self.sources.pop(name, None)
        if source is not None:
            self._unlist(name, source)
            source.close()
        self.keeper.forget(SCHEDULE, name)
        self.keeper.forget(TURN, name)

    # -- what happens ---------------------------------------------------------------

    def _hear(self, events: list[Event]) -> None:
        """Tell triggers of events what has come."""
        if self.background.closed:
            return
        for name in {event.name for event in events if event.run_id is None}:
            for heard in list(self._by_event.get(name, {}).values()):
                heard.look_soon()

    def run_ended(self, row: RunRow) -> None:
        """Tell triggers of flows that a run of this engine has ended."""
        for ends in list(self._by_flow.get(row.flow, {}).values()):
            ends.hear(row)

    async def _look_for_ends(self) -> None:
        """Look now and then for runs that end in other engines."""
        while True:
            await self.machine.clock.sleep(LOOK_EVERY)
            for source in {
                id(one): one for found in self._by_flow.values() for one in found.values()
            }.values():
                source.look_soon()

    async def begun(self) -> None:
        """Return when triggers of events know from which event on they hear; not for a store that is gone."""
        begins = [one for one in self.sources.values() if type(one) is Heard and one.begins]
        if begins:
            waiting = [self.machine.loop.create_task(one.begun.wait()) for one in begins]
            _, late = await asyncio.wait(waiting, timeout=BEGIN)
            for task in late:
                task.cancel()

    def leave_the_rest(self) -> None:
        """Start what is due by now, and leave all later moments to the next engine."""
        self.until = self.machine.clock.now()
        for source in self.sources.values():
            source.look_at_clock()

    def look_for_files(self) -> None:
        """Have triggers of files look, whatever the system tells of folders."""
        for source in self.sources.values():
            if type(source) is Arrivals:
                source.look_soon()

    # -- firing ------------------------------------------------------------------------

    async def fire(
        self,
        armed: Armed,
        seen: dict[str, Any],
        occasion: str,
        *,
        conditional: bool = True,
        profile: str | None = None,
    ) -> Fired:
        """Start the run of an occasion, at most once, and tell of it; see `Armed.fire`."""
        firing = armed.fire(self.machine, seen, occasion, conditional=conditional, profile=profile)
        return await self._told(armed, firing)

    async def fire_behind(
        self, armed: Armed, seen: dict[str, Any], occasion: str, run_id: str | None, row: RunRow | None = None
    ) -> Fired | None:
        """Start the run of an occasion that another run has given; None where a chain of such has ended before."""
        place = await place_behind(self.machine, armed, run_id, row)
        if place > MOST + 1:
            return None
        seen = {**seen, "chain": place}
        if place > MOST:
            refusing = armed.refuse(self.machine, seen, occasion, KIND, why(place, armed))
            return await self._told(armed, refusing)
        return await self._told(armed, armed.fire(self.machine, seen, occasion))

    async def _told(self, armed: Armed, firing: Coroutine[Any, Any, Fired]) -> Fired:
        self.firing += 1
        try:
            fired = await firing
            self.telling.tell_fired(armed, fired)
            return fired
        finally:
            self.firing -= 1

    # -- time -----------------------------------------------------------------------------

    def _clock_offset(self) -> float:
        return self.machine.clock.now() - self.machine.clock.monotonic()

    async def _watch_clock(self) -> None:
        """Notice that the clock was set back, and what nobody woke us for."""
        while True:
            await self.machine.clock.sleep(CLOCK_CHECK)
            offset = self._clock_offset()
            if offset < self._offset - SET_BACK:
                for source in list(self.sources.values()):
                    source.look_at_clock()
            self._offset = offset
            self.asking.look_soon()

    @property
    def queued(self) -> bool:
        """Whether moments wait until the run before has ended, or files until they have not changed for a while."""
        return any(
            source.waits if type(source) is Arrivals else bool(source.progress.queue)
            for source in self.sources.values()
        )
