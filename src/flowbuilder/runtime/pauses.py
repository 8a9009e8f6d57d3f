"""Pausing: nothing more of a run starts; what runs may end, and is journaled.

A run in memory that is paused has a list in `RunState.held`: whoever would
begin something puts there what is to be done in place of doing it.  When
nothing of it is in flight any more it leaves memory, and is `paused` in the
store until somebody resumes or cancels it.

Paused time does not count: the run's own timeout, the `timeout` of groups and
sub-flows and the `deadline` of tasks are as much longer.  The `timeout` of an
attempt that is in flight goes on, as the attempt does.  A sleep ends at its
moment, or when the run goes on, if that is later.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

from flowbuilder.core.records import Paused, Resumed
from flowbuilder.runtime.events import RunEvent
from flowbuilder.runtime.state import Frame
from flowbuilder.runtime.stops import DEADLINE, TIMEOUT
from flowbuilder.runtime.waiter import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.recovered import Recovered
    from flowbuilder.runtime.state import Execution, RunState


class Pauses:
    """Pauses runs in memory, and lets them go on."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        machine.commands.on("pause", lambda run, payload: self.pause(run, payload.get("reason", "")))

    def pause(self, run: RunState, reason: str = "") -> bool:
        """Have nothing more of a run start; False if it has ended, is paused, or is told to stop."""
        if run.ended or run.lost or run.held is not None or run.cancel is not None:
            return False
        now = self._machine.clock.now()
        self._hold(run, now)
        run.records.append(Paused(now, reason))
        self._machine.committer.change(run, status="paused", wake_at=None, owner=self._machine.id)
        self._tell(run, "paused")
        self.consider_leaving(run)
        return True

    def resume(self, run: RunState) -> bool:
        """Let a paused run in memory, of this engine, go on."""
        if run.ended or run.lost or run.held is None:
            return False
        now = self._machine.clock.now()
        run.records.append(Resumed(now))
        held = self.lift(run)
        self._shift_limits(run, now - run.paused_at)
        for action in held:
            action()
        self._tell(run, "running")
        self._machine.scheduler.pump(run)
        return True

    def lift(self, run: RunState) -> list[Callable[[], None]]:
        """End a pause without a record of its own, and return what was held back."""
        held, run.held = run.held or [], None
        run.pauses = [*(run.pauses or ()), (run.paused_at, self._machine.clock.now())]
        self._machine.committer.change(run, status="running", wake_at=None, owner=self._machine.id)
        return held

    def come_back(self, run: RunState, found: Recovered) -> None:
        """Take in the pauses that the journal of a run tells of, before anything of it begins."""
        run.pauses = [(pause.at, until) for pause, until in found.pauses if until is not None]
        timer = run.timer
        if timer is not None:
            timer.cancel()
            run.timer = self._machine.timers.at(timer.at + self.time_in(run), self._time_is_up(run))
        if (paused := found.paused) is not None:
            self._hold(run, paused.at)

    def _hold(self, run: RunState, since: float) -> None:
        run.held = []
        run.paused_at = since
        if run.timer is not None:
            run.timer.cancel()

    def time_in(self, run: RunState, since: float = 0.0) -> float:
        """Return how many seconds after a moment a run has been paused, in pauses that are over."""
        return sum(max(0.0, end - max(start, since)) for start, end in run.pauses or ())

    # -- time limits -----------------------------------------------------------------

    def _shift_limits(self, run: RunState, paused: float) -> None:
        """Put off what bounds the time of a run and of what it waits for, as time stood still for them."""
        timers, stop = self._machine.timers, self._machine.stops.stop
        if run.timer is not None:
            run.timer = timers.at(run.timer.at + paused, self._time_is_up(run))
        for execution in run.executions:
            if execution.deadline is not None:
                execution.deadline.cancel()
                at = execution.deadline.at + paused
                execution.deadline = timers.at(at, functools.partial(stop, execution, DEADLINE))
            if execution.timer is not None and isinstance(execution.handle, Frame | Waiter | str):
                execution.timer.cancel()
                at = execution.timer.at + paused
                execution.timer = timers.at(at, functools.partial(stop, execution, TIMEOUT))

    def _time_is_up(self, run: RunState) -> Callable[[], None]:
        return functools.partial(self._machine.cancellation.time_is_up, run)

    @staticmethod
    def stands_still(execution: Execution) -> bool:
        """Tell whether time does not count for an execution: its run is paused, and nothing of it in flight."""
        return execution.frame.run.held is not None and not isinstance(execution.handle, asyncio.Task)

    # -- leaving memory ----------------------------------------------------------------

    def consider_leaving(self, run: RunState) -> None:
        """Send a paused run to the store if nothing of it is in flight."""
        if run.ended or run.lost or run.busy or run.row.owner is None or self._machine.stopping:
            return
        if any(isinstance(execution.handle, asyncio.Task) for execution in run.executions):
            return
        loose = run.plan.durability == "none"
        if loose and run.blobs:
            return
        committer = self._machine.committer
        committer.change(run, status="paused", wake_at=None, owner=None)
        if loose:
            committer.flush_all()
        committer.when_durable(run, functools.partial(self._left, run))

    def _left(self, run: RunState, error: Exception | None) -> None:
        if error is not None or run.lost or run.ended:
            return
        if run.dirty:  # something came in between
            self._machine.runs.stay(run)
        else:
            self._machine.runs.drop(run)
            self._machine.runs.tell_left(run.id)

    def _tell(self, run: RunState, status: str) -> None:
        if self._machine.bus.active:
            self._machine.bus.emit(RunEvent(run.id, run.plan.name, status, self._machine.clock.now()))
