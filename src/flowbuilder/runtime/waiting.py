"""Waiting for events and signals: what the tasks `wait` (`wait_tasks.py`) and `approval` have in common.

A wait first asks the store for what has come before it, then hears of what
comes (`hearing`).  Its subscription is in the store from its first flush on:
it finds the run when it has left memory, and what has come after a crash.
Whatever is taken is in the journal before anything rests on it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core import values
from flowbuilder.core.errors import StoreError
from flowbuilder.core.records import NULL, EventTaken, WaitBegan
from flowbuilder.core.sealed import Sealed
from flowbuilder.runtime.backlog import Asked, look
from flowbuilder.runtime.taken import Taken
from flowbuilder.runtime.waiter import Waiter
from flowbuilder.runtime.waits import FOREVER
from flowbuilder.storage.events import Event, Subscribe, Take, Unsubscribe

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.recovered import Recovered
    from flowbuilder.runtime.state import Execution, RunState
    from flowbuilder.runtime.waiter import Behaviour

AGAIN: Final = 1.0
"""Seconds after which it is looked again when the store could not be read."""
SOON: Final = 0.02
"""Seconds until it is known whether a run that is leaving memory has left."""


class Waiting:
    """Begins waits, asks for what came before, and ends them."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._now = machine.clock.now
        self._looking: list[Waiter] = []
        self._ticking: list[Waiter] = []

    # -- for all who wait -------------------------------------------------------------

    def make(
        self, execution: Execution, behaviour: Behaviour, name: str, *, signal: bool, timeout: float | None
    ) -> Waiter:
        """Return a waiter, with what the journal knows of it."""
        run = execution.frame.run
        now = self._now()
        recovered = run.recovered
        if run.taken is None:
            run.taken = Taken(recovered.taken if recovered is not None else ())
        known = recovered.waits.pop(execution.path, None) if recovered is not None else None
        if known is not None and known.attempt != execution.attempt:
            known = None
        waiter = Waiter(execution, behaviour, name, signal=signal, since=known.at if known else now)
        waiter.moment = run.context.moment
        if known is not None:
            execution.started_at = min(execution.started_at, known.at)
            waiter.until = known.until
            waiter.after = known.after
            waiter.fresh = False
            waiter.subscribed = waiter.known = True
        elif timeout is not None:
            waiter.until = now + timeout
        if recovered is not None:
            for record in recovered.got.pop((execution.path, execution.attempt), ()):
                waiter.numbers.add(record.number)
                waiter.got.append(self._payload_of(run, record))
            waiter.carried = carried_to(waiter, recovered)
        return waiter

    def _payload_of(self, run: RunState, record: EventTaken) -> Any:
        payload = values.decode(record.payload)
        if type(payload) is Sealed:
            return self._machine.sealing.open(run.id, _place_of(record.path, record.id), payload)
        return payload

    def open(self, waiter: Waiter, what: str) -> None:
        """Ask the store for what came before, and hear of what comes from then on; `what` is for people."""
        waiter.what = what if waiter.run.veil is None else waiter.run.veil.text(what)
        waiter.execution.handle = waiter
        self._machine.attempts.limit(waiter.execution)
        self._look(waiter)

    def _look(self, waiter: Waiter) -> None:
        if not self._looking:
            self._machine.recovery.in_background(self._look_for_all())
        self._looking.append(waiter)

    async def _look_for_all(self) -> None:
        """Ask the store, once for all who have begun in this turn of the loop."""
        waiters, self._looking = self._looking, []
        asked = [
            Asked(
                waiter.subscription(),
                waiter.oldest if waiter.fresh and not waiter.signal else None,
                waiter.known,
            )
            for waiter in waiters
        ]
        try:
            answers = await self._machine.in_thread(functools.partial(look, self._machine.store, asked))
        except StoreError:
            self._machine.timers.after(AGAIN, functools.partial(self._look_again, waiters))
            raise
        for waiter, (events, last) in zip(waiters, answers, strict=True):
            if not waiter.closed and not waiter.run.lost and not self._machine.stopping:
                self._answered(waiter, events, last)

    def _look_again(self, waiters: list[Waiter]) -> None:
        for waiter in waiters:
            if not waiter.closed and not waiter.run.lost:
                self._look(waiter)

    def _answered(self, waiter: Waiter, events: list[Event], last: int) -> None:
        """Offer what came before, and wait for more if that is not enough."""
        try:
            self._take_in(waiter, events, last)
        except Exception as fault:
            self._machine.phases.broken(waiter.run, fault)
            return
        self._machine.scheduler.pump(waiter.run)

    def _take_in(self, waiter: Waiter, events: list[Event], last: int) -> None:
        run = waiter.run
        taken = run.taken
        assert taken is not None
        carried, waiter.carried = waiter.carried, []
        for event in carried:
            waiter.behaviour.offered(waiter, event)
            if waiter.closed:
                return
        for event in events:
            known = event.number in waiter.numbers or event.number <= waiter.after
            if known or (waiter.fresh and event.number in taken):
                continue
            waiter.tell(event)
            if waiter.closed:
                return
        waiter.after = max(waiter.after, last)
        waiter.known = False
        if waiter.fresh:
            self._record(waiter)
        waiter.subscribed = True
        if not waiter.registered:
            if not self._machine.hearing.add(waiter):
                self._look(waiter)
                return
            waiter.registered = True
        if waiter.closed:  # what it was told as it came ended it, before anybody knew that it hears
            self._machine.hearing.remove(waiter)
        else:
            self.park(waiter)

    def _record(self, waiter: Waiter) -> None:
        """Put the wait into the journal, and its subscription into the store."""
        waiter.fresh = False
        run, execution = waiter.run, waiter.execution
        run.records.append(
            WaitBegan(
                execution.path, execution.attempt, waiter.since, waiter.until, waiter.after, waiter.what
            )
        )
        run.add_write(execution.path, Subscribe(waiter.subscription()))
        self._machine.committer.touch(run)

    def park(self, waiter: Waiter) -> None:
        """Wait until the next moment that means something, or for ever."""
        machine, execution = self._machine, waiter.execution
        moment = waiter.behaviour.next_moment(waiter)
        machine.attempts.park(execution, FOREVER if moment is None else moment)
        if waiter.timer is not None:
            waiter.timer.cancel()
            waiter.timer = None
        if moment is not None:
            waiter.timer = machine.timers.at(moment, self._tick, waiter)

    def _tick(self, waiter: Waiter) -> None:
        """Do what is due, when all has been heard that came before."""
        waiter.timer = None
        if not self._ticking:
            self._machine.recovery.in_background(self._tick_all())
        self._ticking.append(waiter)

    async def _tick_all(self) -> None:
        waiters, self._ticking = self._ticking, []
        try:
            await self._machine.hearing.catch_up()
        except StoreError:
            for waiter in waiters:
                self._machine.timers.after(AGAIN, self._tick, waiter)
            raise
        for waiter in waiters:
            if waiter.closed or waiter.run.lost or self._machine.stopping:
                continue
            if waiter.away:  # what came meanwhile is the store's to tell; it is asked first
                waiter.timer = self._machine.timers.after(SOON, self._tick, waiter)
                continue
            waiter.behaviour.ticked(waiter)
            if not waiter.closed:
                self.park(waiter)
            self._machine.scheduler.pump(waiter.run)

    def take(self, waiter: Waiter, event: Event, *, keep: bool) -> None:
        """Put into the journal that an event was taken; `keep` its payload, too."""
        run, execution = waiter.run, waiter.execution
        payload = msgspec.Raw(event.payload) if keep else NULL
        if keep and (run.masker is not None or execution.task.sensitive):
            encoded = values.encode(waiter.got[-1])
            if execution.task.sensitive:
                encoded = self._machine.sealing.seal(run.id, _place_of(execution.path, event.id), encoded)
            payload = msgspec.Raw(encoded)
        record = EventTaken(
            execution.path, execution.attempt, event.number, event.at, waiter.signal, payload, event.id
        )
        run.records.append(record)
        waiter.numbers.add(event.number)
        assert run.taken is not None
        run.taken.add(event.number, event.at, waiter.signal, self._oldest(run))
        if waiter.signal:
            run.add_write(f"{execution.path} {event.number}", Take(run.id, (event.number,)))
        self._machine.committer.touch(run)

    def _oldest(self, run: RunState) -> float | None:
        """Return the earliest moment that any wait of a run may look at from now on; None for no such."""
        settings, window = self._machine.config.events, run.plan.window
        if window is None:
            return self._now() - settings.keep if settings.keep else None
        return self._now() - max(window, settings.window)

    # -- ends --------------------------------------------------------------------------

    def finish(self, waiter: Waiter, value: Any) -> None:
        """End a wait with what it waited for."""
        self._let_go(waiter)
        self._machine.attempts.complete(waiter.execution, value)
        self._machine.scheduler.pump(waiter.run)

    def fail(self, waiter: Waiter, kind: str, message: str, data: Any = None) -> None:
        """End an attempt without it."""
        self._let_go(waiter)
        self._machine.failures.fail(waiter.execution, kind, message, data)
        self._machine.scheduler.pump(waiter.run)

    def _let_go(self, waiter: Waiter) -> None:
        self.close(waiter)
        execution = waiter.execution
        execution.handle = None
        if execution.timer is not None:
            execution.timer.cancel()
            execution.timer = None
        self._machine.attempts.unpark(execution)

    def close(self, waiter: Waiter) -> None:
        """Hear no more; in the store the wait is over too, unless its run only leaves memory."""
        if waiter.closed:
            return
        waiter.closed = True
        if waiter.timer is not None:
            waiter.timer.cancel()
            waiter.timer = None
        if waiter.registered:
            self._machine.hearing.remove(waiter)
        run, path = waiter.run, waiter.execution.path
        if run.lost:
            return
        if waiter.subscribed:
            run.add_write(path, Unsubscribe(run.id, path))
            self._machine.committer.touch(run)
        waiter.behaviour.gave_up(waiter)

    def forget(self, run: RunState) -> None:
        """Take what a run waited for from the store that it did not come to again before it ended."""
        assert run.recovered is not None
        for path in run.recovered.waits:
            run.add_write(path, Unsubscribe(run.id, path))
            self._machine.approvals.forget(run, path)

    # -- leaving memory ------------------------------------------------------------------

    def leaving(self, run: RunState) -> None:
        """Leave what comes for a run to the store, in the flush that gives the run up."""
        cursor = self._machine.hearing.cursor
        for execution in run.executions:
            waiter = execution.handle
            if type(waiter) is Waiter:
                if waiter.registered and cursor is not None:
                    waiter.after = max(waiter.after, cursor)
                waiter.away = True
                run.add_write(execution.path, Subscribe(waiter.subscription()))

    def stays(self, run: RunState) -> None:
        """Hear again what comes for a run that was to leave, and what came meanwhile."""
        for execution in list(run.executions):
            waiter = execution.handle
            if type(waiter) is Waiter and waiter.away:
                waiter.away = False
                if waiter.registered:
                    waiter.registered = False
                    self._machine.hearing.remove(waiter)
                self._look(waiter)


def _place_of(path: str, event_id: str) -> str:
    """Return the place that the payload of an event is sealed for which a task has taken; in any store."""
    return f"{path} {event_id}"


def carried_to(waiter: Waiter, recovered: Recovered) -> list[Event]:
    """Return what came for a wait before its run was brought here, but what it has taken."""
    execution = waiter.execution
    found = recovered.carried.pop((execution.path, execution.attempt), ())
    return [
        Event(record.id, record.name, bytes(record.payload), record.at, record.source, None, record.number)
        for record in found
        if record.number not in waiter.numbers
    ]
