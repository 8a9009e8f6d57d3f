"""Tells executions to stop, by a time limit or from around them, and takes in that they have."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from flowbuilder.core.rules import CANCELLED
from flowbuilder.runtime.waiter import Waiter

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Execution

TIMEOUT: Final = "its timeout"
DEADLINE: Final = "its deadline"
"""Why an execution is stopped by its own time limits; all else comes from around it and cancels it."""


class Stops:
    """Stops what an execution is about, whatever that is at the moment."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._scheduler = machine.scheduler

    def stop(self, execution: Execution, why: str) -> None:
        """Tell an execution to stop: by `TIMEOUT` of an attempt, `DEADLINE` of all, or a kind of cancel."""
        if execution.ended or (why in (TIMEOUT, DEADLINE) and self._machine.pauses.stands_still(execution)):
            return
        execution.stopped = execution.stopped if execution.stopped not in (None, TIMEOUT) else why
        match execution.handle:
            case asyncio.Task() as handle:
                if execution.task.kind != "flow":  # a child that may have started is stopped when it has
                    handle.cancel()
            case str():
                self._machine.sub_flows.stop(execution)
            case Waiter() as waiter:
                self._machine.waiting.close(waiter)
                execution.handle = None
                self._machine.attempts.unpark(execution)
                self.stopped(execution)
                self._scheduler.pump(execution.frame.run)
            case None:
                self.stopped(execution)
                self._scheduler.pump(execution.frame.run)
            case frame:
                self._machine.cancellation.freeze(frame, "timeout" if why in (TIMEOUT, DEADLINE) else why)

    def stopped(self, execution: Execution) -> None:
        """Take in that an attempt that was told to stop has ended."""
        why, execution.stopped = execution.stopped, None
        task = execution.task
        if why is None:
            # cancelled by itself or by a library below: an attempt that failed like any other
            self._machine.failures.fail(execution, "cancelled", "the task cancelled itself")
        elif why == TIMEOUT:
            self._machine.failures.fail(execution, "timeout", f"no end within {task.timeout:g} s")
        elif why == DEADLINE:
            message = f"no end within the deadline of {task.deadline:g} s"
            self._machine.failures.fail(execution, "timeout", message, retry=False)
        else:
            self.cancelled(execution, why)

    def cancelled(self, execution: Execution, why: str) -> None:
        """End an execution that its run no longer wants."""
        if execution.task.undo is not None:
            self._machine.undos.cancelled(execution)
        self._machine.attempts.end(execution, CANCELLED, None, None, None, why)
