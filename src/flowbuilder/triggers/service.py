"""All triggers of an engine: armed and disarmed with their flows, paused, fired by hand.

Moments lie in the engine's own heap of timers; nothing is polled.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import EngineStopped, StoreError
from flowbuilder.triggers.armed import Armed, Fired
from flowbuilder.triggers.events import Heard
from flowbuilder.triggers.files import Arrivals
from flowbuilder.triggers.flows import LOOK_EVERY, Ends
from flowbuilder.triggers.happenings import Happening, What
from flowbuilder.triggers.keeper import Keeper
from flowbuilder.triggers.source import Source, make_source, source_class
from flowbuilder.triggers.state import ARRIVAL, ASK, PAUSE, SCHEDULE, TURN, Ask, Pause, Progress, all_of, fact
from flowbuilder.triggers.timed import SET_BACK, calendar_of, has_ended, in_zone

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.storage.api import RunRow
    from flowbuilder.storage.events import Event

_log = logging.getLogger("flowbuilder.triggers")

CLOCK_CHECK: Final = 60.0
"""Seconds between two looks whether somebody has set the clock, or has said something that we did not hear."""
BEGIN: Final = 5.0
"""Seconds for which it is waited until triggers know where they begin."""
LOOK_AGAIN: Final = 0.5
LOOK_SELDOM: Final = 15.0
"""Seconds between two looks at a run that another engine drives."""


PATIENCE: Final = 0.5
"""Seconds that a start has to come to its end when all is closed; it is made again by the next engine."""
_TURNS: Final = 20
"""Turns of the loop within which a timer acts whose moment has come."""


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
        self.pauses: dict[str, Pause] = {}
        self.sources: dict[str, Source] = {}
        """Those at work, by full name."""
        self.armed: dict[str, Armed] = {}
        """All that are in force, by full name."""
        self.firing = 0
        """How many runs are being started."""
        self.deciding = 0
        """How many find out whether something is to be done, and do not just wait."""
        self._listen = listen
        self._progress: dict[str, Progress] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting: set[asyncio.Task[Any]] = set()
        self._of_flow: dict[str, frozenset[str]] = {}
        self._by_flow: dict[str, dict[str, Ends]] = {}
        self._by_event: dict[str, dict[str, Heard]] = {}
        self._looks_for_ends = self._hears = False
        self._looking = False
        self._offset = 0.0
        self._closed = False

    async def open(self) -> None:
        """Read what is known, and begin to listen."""
        store = self.machine.store
        self._progress = await self.machine.in_thread(functools.partial(all_of, store, SCHEDULE, Progress))
        self.pauses = await self.machine.in_thread(functools.partial(all_of, store, PAUSE, Pause))
        forget = functools.partial(store.facts().forget, ARRIVAL, expired_at=self.machine.clock.now())
        await self.machine.in_thread(forget)
        commands = self.machine.commands
        commands.listeners = (*commands.listeners, self._on_wake)
        self._offset = self._clock_offset()
        self.waiting(self._watch_clock())

    async def close(self) -> None:
        """Fire nothing more, and write down how far all have come."""
        self._closed = True
        commands = self.machine.commands
        commands.listeners = tuple(one for one in commands.listeners if one != self._on_wake)
        for source in self.sources.values():
            source.close()
        for task in self._waiting:
            task.cancel()
        if self._tasks:  # what is being started, unless it waits for room or for a disk that is gone
            await asyncio.wait(set(self._tasks), timeout=PATIENCE)
        tasks = [*self._waiting, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
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
            self.warn(name, "webhooks come with the server, in a later release; nothing starts it here")
            return
        self.sources[name] = source
        if type(source) is Ends:
            for flow in source.flows:
                self._by_flow.setdefault(flow, {})[name] = source
            if not self._looks_for_ends:
                self._looks_for_ends = True
                self.waiting(self._look_for_ends())
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
        source = self.sources.pop(name, None)
        if source is not None:
            self._unlist(name, source)
            source.close()
        self.keeper.forget(SCHEDULE, name)
        self.keeper.forget(TURN, name)

    # -- what happens ---------------------------------------------------------------

    def _hear(self, events: list[Event]) -> None:
        """Tell triggers of events what has come."""
        if self._closed:
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

    def look_for_files(self) -> None:
        """Have triggers of files look, whatever the system tells of folders."""
        for source in self.sources.values():
            if type(source) is Arrivals:
                source.look_soon()

    # -- what people ask for -----------------------------------------------------------

    def _on_wake(self) -> None:
        if not self._looking and not self._closed:
            self._looking = True
            self.in_background(self.look())

    async def look(self) -> None:
        """Look for what people have asked for: pauses, and runs now."""
        self._looking = False
        store = self.machine.store
        pauses = await self.machine.in_thread(functools.partial(all_of, store, PAUSE, Pause))
        before, self.pauses = self.pauses, pauses
        for name in before.keys() - pauses.keys():
            if name in self.sources:
                self.sources[name].pass_over()
            if name in self.armed:
                self.tell("resumed", self.armed[name])
        for name in pauses.keys() - before.keys():
            if name in self.sources:
                self.sources[name].look_at_clock()
            if name in self.armed:
                self.tell("paused", self.armed[name], message=f"by {pauses[name].by}")
        for key, ask in (await self.machine.in_thread(functools.partial(all_of, store, ASK, Ask))).items():
            armed = self.armed.get(ask.trigger)
            if armed is not None:
                await self.fire_now(armed, key, ask.by, profile=ask.profile)
                await self.machine.in_thread(functools.partial(store.facts().forget, ASK, prefix=key))

    async def fire_now(self, armed: Armed, key: str, by: str, *, profile: str | None = None) -> Fired:
        """Start a run of a trigger because somebody asks for it; once for each `key`."""
        seen = armed.view(f"hand:{by}")
        if calendar_of(armed.trigger) is not None:
            seen["scheduled_at"] = in_zone(self.machine.clock.now(), armed.trigger.timezone)
        fired = await self.fire(armed, seen, f"hand-{key}", conditional=False, profile=profile)
        source = self.sources.get(armed.name)
        if source is not None:
            run = fired.row.id if fired.row is not None else None
            source.progress.count(fired.outcome, run, self.machine.clock.now())
            self.keeper.keep(fact(SCHEDULE, armed.name, source.progress))
        return fired

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
        self.firing += 1
        try:
            fired = await armed.fire(self.machine, seen, occasion, conditional=conditional, profile=profile)
            self.tell_fired(armed, fired)
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
            self._on_wake()

    # -- runs -------------------------------------------------------------------------------

    async def is_live(self, run_id: str) -> bool:
        """Tell whether a run has not ended."""
        live = self.machine.runs.live.get(run_id)
        if live is not None and not live.ended:
            return True
        return not has_ended(await self._row(run_id))

    async def ended(self, run_id: str) -> None:
        """Return when a run has ended, in whichever engine; for who counts as `deciding`."""
        delay = LOOK_AGAIN
        while True:
            watch = self.machine.runs.watch(run_id)
            try:
                if has_ended(await self._row(run_id)):
                    return
                self.deciding -= 1
                try:
                    await asyncio.wait((watch,), timeout=delay)
                finally:
                    self.deciding += 1
                if watch.done() and not watch.cancelled() and watch.exception() is None:
                    return
            finally:
                self.machine.runs.unwatch(run_id, watch)
            delay = min(2 * delay, LOOK_SELDOM)

    async def _row(self, run_id: str) -> RunRow | None:
        row: RunRow | None = await self.machine.in_thread(functools.partial(self.machine.store.run, run_id))
        return row

    # -- telling ------------------------------------------------------------------------------

    def tell(self, what: What, of: Armed, *, run: str | None = None, message: str = "") -> None:
        """Tell whoever watches what happens."""
        flow = of.name.partition("/")[0]
        now = self.machine.clock.now()
        self._listen(Happening(what, now, flow=flow, trigger=of.name, run=run, message=message))

    def tell_fired(self, armed: Armed, fired: Fired) -> None:
        """Tell what came of a firing."""
        run = fired.row.id if fired.row is not None else None
        match fired.outcome:
            case "started":
                self.tell("fired", armed, run=run)
            case "refused":
                self.tell("refused", armed, run=run, message=fired.message)
            case "condition":
                self.tell("skipped", armed, message="its condition does not hold")
            case _:
                pass  # somebody else has told

    def warn(self, trigger: str, message: str) -> None:
        """Tell of something that ought not to be."""
        _log.warning("trigger %s: %s", trigger, message)
        self._listen(Happening("warning", self.machine.clock.now(), trigger=trigger, message=message))

    # -- tasks --------------------------------------------------------------------------------

    def in_background(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        """Do something that is over soon; `settled` waits for it.  None where all is being closed."""
        return self._begin(work, self._tasks)

    def waiting(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        """Do something that mostly waits."""
        return self._begin(work, self._waiting)

    def _begin(
        self, work: Coroutine[Any, Any, Any], among: set[asyncio.Task[Any]]
    ) -> asyncio.Task[Any] | None:
        if self._closed or self.machine.stopping:
            work.close()
            return None
        task = self.machine.loop.create_task(work)
        among.add(task)
        task.add_done_callback(functools.partial(self._finished, among))
        return task

    def _finished(self, among: set[asyncio.Task[Any]], task: asyncio.Task[Any]) -> None:
        among.discard(task)
        if task.cancelled() or (error := task.exception()) is None or isinstance(error, EngineStopped):
            return
        if isinstance(error, StoreError):
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

    @property
    def queued(self) -> bool:
        """Whether moments wait until the run before has ended, or files until they have not changed for a while."""
        return any(
            source.waits if type(source) is Arrivals else bool(source.progress.queue)
            for source in self.sources.values()
        )
