"""Graphs inside tasks: the body of a `group`, and what `on_error` runs instead of a task."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from flowbuilder.core import values
from flowbuilder.core.errors import ExpressionError
from flowbuilder.core.plan import ERROR, HEADER
from flowbuilder.core.rules import FAILED
from flowbuilder.runtime.attempts import FOR_TASKS
from flowbuilder.runtime.state import Frame

if TYPE_CHECKING:
    from flowbuilder.core.failure import Error
    from flowbuilder.core.plan import GraphPlan
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Execution


class Groups:
    """Opens frames inside tasks and takes in how they end."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._scheduler = machine.scheduler

    def begin(self, execution: Execution) -> None:
        """Begin a group's body; a later attempt has paths of its own, so that it starts anew."""
        task = execution.task
        assert task.body is not None
        suffix = "." if execution.attempt == 1 else f"#{execution.attempt}."
        frame = Frame(
            execution.frame.run,
            task.body,
            execution.scope,
            execution.path + suffix,
            execution,
            functools.partial(self._body_ended, execution),
        )
        execution.handle = frame
        if task.undo is not None:
            self._machine.undos.arm(execution)
            self._machine.undos.launched(execution)
        self._machine.attempts.park(execution, FOR_TASKS)
        self._machine.attempts.limit(execution)
        self._scheduler.open_frame(frame)

    def _body_ended(self, execution: Execution, frame: Frame) -> None:
        attempts = self._machine.attempts
        if execution.task.workspace:
            self._machine.workspaces.ended(execution)
        if execution.ended or attempts.body_ended(execution, frame.error):
            return
        if frame.frozen is not None:
            self._machine.stops.cancelled(execution, frame.frozen)
            return
        outputs = execution.task.body_outputs
        try:
            value = _outputs(frame) if outputs is None else outputs(frame.scope)
        except ExpressionError as error:
            self._machine.failures.fail(execution, error.kind, error.message)
            return
        attempts.complete(execution, value)

    def rescue(self, execution: Execution, graph: GraphPlan, error: Error) -> None:
        """Run what `on_error` says instead of the task; it sees `error`."""
        frame = Frame(
            execution.frame.run,
            graph,
            execution.scope,
            execution.path + "!",
            execution,
            functools.partial(self._rescue_ended, execution, error),
        )
        frame.scope[ERROR] = error
        execution.handle = frame
        self._machine.attempts.park(execution, FOR_TASKS)
        self._scheduler.open_frame(frame)
        self._scheduler.pump(frame.run)

    def _rescue_ended(self, execution: Execution, error: Error, frame: Frame) -> None:
        attempts = self._machine.attempts
        if execution.ended:
            return
        execution.handle = None
        if frame.frozen is not None:
            self._machine.stops.cancelled(execution, frame.frozen)
        elif frame.error is not None:
            attempts.end(execution, FAILED, None, None, frame.error, None)
        else:
            value = frame.scope[HEADER] if frame.plan.size == 1 else _outputs(frame)
            attempts.succeed(execution, value, values.encode(value), error)


def _outputs(frame: Frame) -> dict[str, Any]:
    """Return the outputs of a graph's tasks by id."""
    return {task.id: frame.scope[HEADER + task.slot] for task in frame.plan.listed}
