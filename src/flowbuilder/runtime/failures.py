"""What becomes of an attempt that failed: another one, a rescue, or the failure of its task.

A failed attempt is tried again by the task's policy, then handed to
`on_error`, then it is the task's failure.
"""

from __future__ import annotations

import functools
import random
from typing import TYPE_CHECKING, Any

from flowbuilder.core import values
from flowbuilder.core.errors import ExpressionError, FlowBuilderError, OutputError, TaskFailed
from flowbuilder.core.failure import failure
from flowbuilder.core.globs import NEVER_RETRIED, kind_matches
from flowbuilder.core.plan import ERROR
from flowbuilder.core.policies import next_delay
from flowbuilder.core.records import AttemptFailed, RescueBegan
from flowbuilder.core.rules import CONTINUED, FAILED
from flowbuilder.runtime.attempts import FOR_TASKS
from flowbuilder.runtime.events import TaskEvent
from flowbuilder.runtime.sealing import as_kept
from flowbuilder.runtime.state import inner_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbuilder.core.failure import Error
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Execution


def drawn(attempt: str) -> float:
    """Return a number that chance seems to have made; the same for the same attempt, after a crash too."""
    return random.Random(attempt).random()


class Failures:
    """Takes in what went wrong, and does what the task says of it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._scheduler = machine.scheduler
        self._attempts = machine.attempts
        self._loop = machine.loop
        self._now = machine.clock.now
        self._timers = machine.timers
        self.chance: Callable[[str], float] = drawn
        """What `jitter` draws for an attempt, in [0, 1]; with 1 all delays are as long as they may be."""

    def take_in(self, execution: Execution, error: BaseException) -> None:
        """Take in what an attempt raised."""
        match error:
            case TaskFailed():
                data = values.plain_or_text(error.data)
                self.fail(
                    execution,
                    error.kind,
                    error.message,
                    data,
                    retry_after=error.retry_after,
                    in_doubt=error.in_doubt,
                )
            case ExpressionError() | OutputError():
                self.fail(execution, error.kind, str(error))
            case TimeoutError():
                self.fail(execution, "timeout", str(error) or "the time was up")
            case FlowBuilderError():
                self.fail(execution, "engine.error", str(error))
            case _:
                self.fail(execution, f"python.{type(error).__name__}", str(error))

    def fail_early(self, execution: Execution, kind: str, message: str) -> None:
        """Fail a task before it has begun: its condition could not be evaluated."""
        if execution.task.over is not None or execution.task.repeat is not None:
            execution.scope = inner_scope(execution.scope)  # there its `on_error` is evaluated
        execution.attempt = 1
        execution.started_at = self._now()
        execution.frame.run.executions.add(execution)
        self.fail(execution, kind, message)

    def fail(
        self,
        execution: Execution,
        kind: str,
        message: str,
        data: Any = None,
        *,
        retry_after: float | None = None,
        retry: bool = True,
        in_doubt: bool = False,
    ) -> None:
        """Take in that an attempt failed: try again, rescue, or end the execution."""
        run = execution.frame.run
        if execution.held is not None:
            self._machine.limits.failed(execution, kind)
        error = failure(kind, message, execution.path, execution.attempt, data)
        error = as_kept(run, execution.task, error)
        if execution.task.undo is not None:
            self._machine.undos.failed(execution, kind, in_doubt=in_doubt)
        if retry and self.retry(execution, error, retry_after):
            return
        self.rescue(execution, error)

    def rescue(self, execution: Execution, error: Error, *, known: bool = False) -> None:
        """Do what `on_error` says, or end the execution as failed; `known` to the journal as being rescued."""
        if execution.loop is not None:
            self._machine.loops.close(execution)
        if execution.task.cache is not None:
            self._machine.caches.left(execution)
        for timer in (execution.timer, execution.deadline):
            if timer is not None:
                timer.cancel()  # they are of the attempts, and not of the rescue
        execution.timer = execution.deadline = None
        on_error = execution.task.on_error
        frozen = execution.frame.frozen is not None
        if on_error is None or frozen or (on_error.on and not kind_matches(error["kind"], on_error.on)):
            self._attempts.end(execution, FAILED, None, None, error, None)
        elif on_error.graph is not None:
            if not known:  # what is done instead rests on the failure
                run = execution.frame.run
                run.records.append(_rescue_began(execution, self._now(), error))
                self._machine.committer.touch(run)
            self._machine.groups.rescue(execution, on_error.graph, error)
        elif on_error.value is not None:
            try:
                value = self._with_error(execution, on_error.value, error)
                encoded = values.encode(value)
            except (ExpressionError, OutputError) as failure:
                worse = {**error, "kind": failure.kind, "message": str(failure)}
                kept = as_kept(execution.frame.run, execution.task, worse)
                self._attempts.end(execution, FAILED, None, None, kept, None)
            else:
                self._attempts.succeed(execution, value, encoded, error)
        else:
            self._attempts.end(execution, CONTINUED, None, None, error, None)

    def retry(self, execution: Execution, error: Error, retry_after: float | None) -> bool:
        """Arrange another attempt if the policy has one left for this error."""
        task = execution.task
        policy = task.retry
        if policy is None or execution.attempt >= policy.attempts or execution.frame.frozen is not None:
            return False
        kind = error["kind"]
        if kind_matches(kind, NEVER_RETRIED) or kind_matches(kind, policy.not_on):
            return False
        if policy.on and not kind_matches(kind, policy.on):
            return False
        if task.retry_if is not None:
            try:
                if not self._with_error(execution, task.retry_if, error):
                    return False
            except ExpressionError:
                return False
        draw = self.chance(f"{execution.frame.run.id}/{execution.path}/{execution.attempt}")
        delay = next_delay(policy, execution.attempt, draw)
        if retry_after is not None:
            delay = max(delay, retry_after)
        now = self._now()
        run = execution.frame.run
        started = execution.started_at
        run.records.append(AttemptFailed(execution.path, execution.attempt, now, now + delay, error, started))
        self._machine.committer.touch(run)
        if self._machine.bus.active:
            event = TaskEvent(run.id, execution.path, "waiting", now, execution.attempt, None, error)
            self._machine.bus.emit(event)
        self.wait_for_retry(execution, now + delay)
        return True

    def wait_for_retry(self, execution: Execution, at: float) -> None:
        """Make the next attempt at a moment; of a group, when what the last one did has been undone."""
        task = execution.task
        if task.body is not None and task.body.undoes:
            self._attempts.park(execution, FOR_TASKS)
            wait = functools.partial(self._wait, execution, at)
            self._machine.undos.before_retry(execution, wait)
        else:
            self._wait(execution, at)

    def _wait(self, execution: Execution, at: float) -> None:
        delay = at - self._now()
        if delay <= 0:
            self._loop.call_soon(self._again, execution)  # not from here: attempts would pile up on the stack
            return
        self._attempts.park(execution, at)
        execution.timer = self._timers.after(delay, self._again, execution)

    def _again(self, execution: Execution) -> None:
        if execution.ended or execution.frame.run.lost or execution.handle is not None:
            return  # its time was up meanwhile, and something else is done instead
        if (held := execution.frame.run.held) is not None:
            held.append(functools.partial(self._again, execution))
            return
        self._attempts.unpark(execution)
        execution.timer = None
        self._attempts.attempt(execution)
        self._scheduler.pump(execution.frame.run)

    @staticmethod
    def _with_error(execution: Execution, function: Callable[[Any], Any], error: Error) -> Any:
        """Evaluate an expression that sees `error`; the scope is as before afterwards."""
        scope = execution.scope
        before = scope[ERROR]
        scope[ERROR] = error
        try:
            return function(scope)
        finally:
            scope[ERROR] = before


def _rescue_began(execution: Execution, now: float, error: Error) -> RescueBegan:
    return RescueBegan(execution.path, execution.attempt, now, error, execution.started_at)
