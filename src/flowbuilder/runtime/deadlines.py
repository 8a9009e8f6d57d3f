"""The `deadline` of a flow: a moment by which a run has ended, whatever it did until then.

A duration counts from the moment when the run was asked for, and so the time
counts too for which it stood in a queue, slept or was paused.  (`timeout`
counts from when it started, and leaves out pauses.)

The moment is in the run's row.  A run in memory has a timer; one that is
queued, held or paused lies in the store, and whichever engine sees first that
its moment has come has it told there, once (`orders.deadline`): it comes into
memory to end, outside its lane.
"""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import ExpressionError, InputError, StoreError
from flowbuilder.core.plan import CONTEXT, HEADER
from flowbuilder.runtime import orders
from flowbuilder.runtime.context import Context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import RunState
    from flowbuilder.runtime.timers import Timer
    from flowbuilder.storage.api import RunRow

AGAIN: Final = 1.0
"""Seconds until it is looked again when the store could not be read, or there was no room in memory."""
BATCH: Final = 1000
"""Runs that are ended at once."""


class Deadlines:
    """Ends runs whose time is up, wherever they are."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._timers: dict[str, Timer] = {}
        """Of runs in memory."""
        self._left: dict[str, float] = {}
        """Runs of an engine that drives only what it is given, which are not in memory."""
        self._wake: Timer | None = None
        """For the next that is not in memory."""

    def moment_for(self, plan: FlowPlan, inputs: Mapping[str, Any], row: RunRow) -> float:
        """Return by when a new run has to end.

        Raises:
            InputError: what it is started with gives no moment.
        """
        assert plan.deadline is not None
        scope: list[Any] = [None] * HEADER
        scope[CONTEXT] = context = Context(plan, dict(inputs), row)
        if context.trigger is not None:
            context.trigger = self._machine.sealing.opened_trigger(context.trigger)
        context.stand(f"{row.id}/deadline", row.created_at)
        try:
            return _moment(plan.deadline(scope), row.created_at)
        except ExpressionError as error:
            raise InputError([("deadline", error.message)]) from None

    # -- in memory ---------------------------------------------------------------------

    def begin(self, run: RunState) -> None:
        """Bound the time of a run that comes into memory, unless it was told to stop for it."""
        self._left.pop(run.id, None)
        at = run.row.deadline_at
        if at is not None:
            self._timers[run.id] = self._machine.timers.at(at, functools.partial(self.missed, run))

    def forget(self, run: RunState) -> None:
        """Take in that a run has ended, or leaves memory."""
        timer = self._timers.pop(run.id, None)
        if timer is not None:
            timer.cancel()
        at = run.row.deadline_at
        if at is not None and not run.ended:
            self.at_rest(run.id, at)

    def missed(self, run: RunState) -> None:
        """Stop a run in memory whose time is up; one that is just about to leave is the store's to tell."""
        at = run.row.deadline_at
        if at is None or run.ended or run.lost:
            return
        if run.row.owner is None:
            self._look_at(self._machine.clock.now() + AGAIN)
            return
        self._machine.committer.change(run, deadline_at=None)
        self._machine.cancellation.cancel(run, orders.missed(at), "timeout")

    # -- at rest -----------------------------------------------------------------------

    def at_rest(self, run_id: str, moment: float) -> None:
        """See to it that a run which is not in memory ends in time."""
        if not self._machine.takes_over:
            self._left[run_id] = moment
        self._look_at(moment)

    def _look_at(self, moment: float) -> None:
        """Look at a moment; keeps the earliest that was asked for."""
        wake = self._wake
        if wake is not None and wake.action is not None and wake.at <= moment:
            return
        if wake is not None:
            wake.cancel()
        self._wake = self._machine.timers.at(moment, self._look_soon)

    def _look_soon(self) -> None:
        self._wake = None
        if not self._machine.stopping:
            self._machine.recovery.in_background(self.look())

    async def look(self) -> None:
        """End what is overdue in the store, and look again when the next one is."""
        machine = self._machine
        try:
            while found := await self._overdue():
                most = machine.runs.room()
                if most <= 0:
                    self._look_at(machine.clock.now() + AGAIN)
                    return
                if not await self._end(found[:most]):
                    self._look_at(machine.clock.now() + AGAIN)  # somebody begins them at this moment
                    return
            following = await self._following()
        except StoreError:
            self._look_at(machine.clock.now() + AGAIN)  # or nobody would look again
            raise
        if following is not None:
            self._look_at(following)

    async def _overdue(self) -> list[tuple[str, float]]:
        """Return runs at rest that this engine may end, each with its deadline."""
        machine, now = self._machine, self._machine.clock.now()
        if not machine.takes_over:
            return sorted((id, at) for id, at in self._left.items() if at <= now)[:BATCH]
        overdue = functools.partial(machine.store.steering().overdue, now, BATCH)
        return [(row.id, row.deadline_at) for row in await machine.in_thread(overdue)]

    async def _following(self) -> float | None:
        if not self._machine.takes_over:
            return min(self._left.values(), default=None)
        following: float | None = await self._machine.in_thread(self._machine.store.steering().next_deadline)
        return following

    async def _end(self, overdue: list[tuple[str, float]]) -> bool:
        """Have runs told, those of one moment at once, and carry on to their end what nobody drives.

        Tells whether there was anything to do.
        """
        machine, steering = self._machine, self._machine.store.steering()
        by_reason: dict[str, list[tuple[str, float]]] = {}
        done = 0
        for run_id, at in overdue:
            by_reason.setdefault(orders.missed(at), []).append((run_id, at))
        for some in by_reason.values():
            ids, now = [run_id for run_id, _ in some], machine.clock.now()
            order = orders.deadline(now, some[0][1])
            steered = await machine.in_thread(functools.partial(steering.steer, ids, order))
            for run_id in ids:
                self._left.pop(run_id, None)
            done += len(steered.told) + len(steered.written)
            rows = await machine.in_thread(functools.partial(steering.claim, steered.written))
            await machine.loading.carry_on(rows)
        return done > 0


def _moment(value: Any, since: float) -> float:
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.timestamp()
    if isinstance(value, dt.timedelta):
        return since + value.total_seconds()
    if type(value) in (int, float):
        return since + float(value)
    kind = "null" if value is None else type(value).__name__
    raise ExpressionError("expression.type", f"takes a duration or a datetime with an offset, not {kind}")
