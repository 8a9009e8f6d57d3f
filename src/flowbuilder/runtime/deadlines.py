"""The `deadline` of a flow: a moment by which a run has ended, whatever it did until then.

A duration counts from the moment when the run was asked for, and so the time
counts too for which it stood in a queue, slept or was paused.  (`timeout`
counts from when it started, and leaves out pauses.)
"""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any

from flowbuilder.core.errors import ExpressionError, InputError
from flowbuilder.core.plan import CONTEXT, HEADER

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import RunState
    from flowbuilder.runtime.timers import Timer


class Deadlines:
    """Ends runs in memory whose time is up."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._timers: dict[str, Timer] = {}

    def begin(self, run: RunState) -> None:
        """Bound the time of a run that comes into memory.

        Raises:
            InputError: what the run was started with gives no moment.
        """
        try:
            at = self._moment(run)
        except ExpressionError as error:
            raise InputError([("deadline", error.message)]) from None
        self._timers[run.id] = self._machine.timers.at(at, functools.partial(self._time_is_up, run))

    def moment(self, run: RunState) -> float:
        """Return the moment by which a run in memory has ended."""
        return self._timers[run.id].at

    def forget(self, run: RunState) -> None:
        """Take in that a run has ended, or leaves memory."""
        timer = self._timers.pop(run.id, None)
        if timer is not None:
            timer.cancel()

    def _moment(self, run: RunState) -> float:
        deadline, row = run.plan.deadline, run.row
        assert deadline is not None
        scope: list[Any] = [None] * HEADER
        scope[CONTEXT] = run.context
        run.context.stand(f"{run.id}/deadline", row.created_at)
        value = deadline(scope)
        if isinstance(value, dt.datetime) and value.tzinfo is not None:
            return value.timestamp()
        if isinstance(value, dt.timedelta):
            return row.created_at + value.total_seconds()
        if type(value) in (int, float):
            return row.created_at + float(value)
        kind = "null" if value is None else type(value).__name__
        raise ExpressionError("expression.type", f"takes a duration or a datetime with an offset, not {kind}")

    def _time_is_up(self, run: RunState) -> None:
        at = dt.datetime.fromtimestamp(self.moment(run), dt.UTC).isoformat(timespec="seconds")
        self._machine.cancellation.cancel(run, f"no end before the deadline of the run, {at}", "timeout")
