"""Waiting for time: the `sleep` task, and runs that leave memory while they wait."""

from __future__ import annotations

import datetime as dt
import functools
import math
from typing import TYPE_CHECKING, Any

from flowbuilder.core.durations import parse_duration
from flowbuilder.core.errors import ExpressionError
from flowbuilder.core.records import Slept
from flowbuilder.core.values import NULL_BYTES
from flowbuilder.runtime.stops import TIMEOUT

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Execution, RunState

FOREVER = 1e12
"""What an execution waits for that waits for no moment; finite, as it needs nothing of what is in memory."""
CHILD_CHECK = 300.0
"""Seconds after which a run that waits for another in the store looks for itself how that one is."""


class Waits:
    """Puts executions to sleep and wakes them; sends runs to the store that only wait."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._on_time = self._wake  # bound once: a hundred thousand runs may sleep

    def begin(self, execution: Execution) -> None:
        """Begin to sleep; a sleep that the journal knows goes on to the same moment."""
        machine = self._machine
        run = execution.frame.run
        now = machine.clock.now()
        known = run.recovered.sleeps.pop(execution.path, None) if run.recovered is not None else None
        if known is not None:
            since, until = known.since, known.until
            if execution.loop is None:
                execution.started_at = since
        else:
            try:
                until = wake_moment(execution.params, execution.task.until, now)
            except ExpressionError as error:
                machine.failures.fail(execution, error.kind, error.message)
                return
            since = now
            if until > now:
                run.records.append(Slept(execution.path, now, until))
                machine.committer.touch(run)
        wake = self._on_time
        timeout = execution.task.timeout
        if timeout is not None and since + timeout < until:
            until, wake = since + timeout, self._too_long
        elif until <= now:
            machine.attempts.yielded(execution, None, NULL_BYTES)
            return
        machine.attempts.park(execution, until)
        execution.timer = machine.timers.at(until, wake, execution)

    def _wake(self, execution: Execution) -> None:
        machine = self._machine
        execution.timer = None
        run = execution.frame.run
        if execution.ended or run.lost:
            return
        if run.held is not None:
            run.held.append(functools.partial(self._wake, execution))
            return
        machine.attempts.yielded(execution, None, NULL_BYTES)
        machine.scheduler.pump(run)

    def _too_long(self, execution: Execution) -> None:
        """End a sleep that is longer than its task's `timeout`."""
        execution.timer = None
        machine, held = self._machine, execution.frame.run.held
        if execution.ended:
            return
        if held is not None:
            held.append(functools.partial(self._too_long, execution))
            return
        machine.attempts.unpark(execution)
        machine.stops.stop(execution, TIMEOUT)

    def consider_leaving(self, run: RunState) -> None:
        """Send a run to the store if all that it does is to wait for long.

        Called when everything that the run carries out is parked.  What it
        knows is in its journal; `Runs.wake` brings it back.
        """
        self._machine.timers.look_at_clock()
        now = self._machine.clock.now()
        long = self._machine.config.engine.leave_after
        moments: list[float] = []
        for execution in run.executions:
            moment = execution.wake_at
            if moment is None:  # waits for another run, which wakes it when it ends
                if execution.started_at + long > now:
                    return
                moment = now + CHILD_CHECK
            moments.append(moment)
            held = execution.held  # a wait's own timer is the moment itself
            timers = (execution.timer, execution.deadline, held.timer if held is not None else None)
            moments.extend(timer.at for timer in timers if timer is not None)
        if run.timer is not None:
            moments.append(run.timer.at)
        if run.row.deadline_at is not None:
            moments.append(run.row.deadline_at)
        moment = min(moments)
        if long < moment - now < math.inf:
            self._machine.runs.leave(run, None if moment >= FOREVER else moment)


def wake_moment(value: Any, until: bool, now: float) -> float:
    """Return when a sleep ends, in seconds since 1970 UTC.

    Args:
        value: what `for` or `until` came to.
        until: which of the two.
        now: the present moment.

    Raises:
        ExpressionError: if the value is no duration, or no moment.
    """
    if until:
        return _moment(value)
    return now + seconds_of(value, "for")


def seconds_of(value: Any, what: str) -> float:
    """Return a duration in seconds.

    Raises:
        ExpressionError: if the value is none; `what` says what takes it.
    """
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if type(value) in (int, float):
        return float(value)
    if type(value) is str:
        try:
            return parse_duration(value)
        except ValueError as error:
            raise ExpressionError("expression.value", str(error)) from None
    raise ExpressionError("expression.type", f"`{what}` takes a duration such as 10s, not {_kind(value)}")


def _moment(value: Any) -> float:
    if type(value) is str:
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            raise ExpressionError("expression.value", "`until` takes a date and time in ISO 8601") from None
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.timestamp()
    raise ExpressionError("expression.type", f"`until` takes a datetime with an offset, not {_kind(value)}")


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__
