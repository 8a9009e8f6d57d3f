"""Carries out one task, or one element of a task: its attempts, their time limits, its end.

An execution goes: parameters → (gate, if it is an effect) → attempt → its end.
How a task type is called is in `calls.py`, what becomes of an attempt that is
told to stop in `stops.py`, of one that fails in `failures.py`.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core import values
from flowbuilder.core.errors import ExpressionError, OutputError
from flowbuilder.core.plan import CONTEXT, UNSET
from flowbuilder.core.records import AttemptStarted, ClockStarted
from flowbuilder.core.rules import CANCELLED, SUCCEEDED
from flowbuilder.runtime.observations import COUNTED
from flowbuilder.runtime.stops import DEADLINE, TIMEOUT
from flowbuilder.runtime.waiter import Waiter

if TYPE_CHECKING:
    import asyncio

    from flowbuilder.core.failure import Error
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Execution, RunState

FOR_TASKS: Final = math.inf
"""What an execution waits for that has a graph inside it."""
FOR_OTHERS: Final = -math.inf
"""What one waits for that hears of it in memory only: its run stays there."""
_SCALARS = frozenset({str, bool, type(None), int, float})


class Attempts:
    """Begins attempts and takes in how they end."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._scheduler = machine.scheduler
        self._loop = machine.loop
        self._now = machine.clock.now
        self._timers = machine.timers
        self._most_bytes = machine.config.limits.output_bytes

    # -- beginning -----------------------------------------------------------------

    def begin(self, execution: Execution) -> None:
        """Begin the first attempt, or what comes after those that the journal knows of."""
        run = execution.frame.run
        run.executions.add(execution)
        execution.started_at = now = self._now()
        if run.recovered is not None:
            execution.started_at = run.recovered.began.pop(execution.path, now)
        task = execution.task
        if task.deadline is not None:
            at = self.clock_started(execution) + task.deadline
            execution.deadline = self._timers.at(
                at, functools.partial(self._machine.stops.stop, execution, DEADLINE)
            )
        if task.cache is not None and self._machine.caches.begin(execution):
            return
        if run.recovered is None and task.repeat is None:  # hot: benchmarks/calls.py
            self.attempt(execution)
        else:
            self.go(execution)

    def go(self, execution: Execution) -> None:
        """Begin what lies inside the cache: the rounds, or the attempts."""
        run = execution.frame.run
        if execution.task.repeat is not None:
            self._machine.loops.begin(execution)
        elif run.recovered is None or not (
            self.was_rescued(execution, run) or self.begin_again(execution, run)
        ):
            self.attempt(execution)

    def clock_started(self, execution: Execution) -> float:
        """Return when the time of an attempt (before the first: of all) began to run, also in the store."""
        run = execution.frame.run
        known = None
        if run.recovered is not None:
            known = run.recovered.clocks.get((execution.path, execution.attempt))
        if known is not None:
            return known + self._machine.pauses.time_in(run, known)
        now = self._now()
        run.records.append(ClockStarted(execution.path, execution.attempt, now))
        self._machine.committer.touch(run)
        return now

    def limit(self, execution: Execution) -> None:
        """Bound the time of an attempt that waits for others: of a group, of a sub-flow."""
        timeout = execution.task.timeout
        if timeout is not None:
            at = self.clock_started(execution) + timeout
            execution.timer = self._timers.at(
                at, functools.partial(self._machine.stops.stop, execution, TIMEOUT)
            )

    def was_rescued(self, execution: Execution, run: RunState) -> bool:
        """Go on with what the journal says is done instead of the task; False if nothing is."""
        assert run.recovered is not None
        rescue = run.recovered.rescues.pop(execution.path, None)
        if rescue is None:
            return False
        execution.attempt = rescue.attempt
        self._machine.failures.rescue(execution, rescue.error, known=True)
        return True

    def begin_again(self, execution: Execution, run: RunState) -> bool:
        """Go on from what the journal says of earlier attempts; False if it says nothing."""
        recovered = run.recovered
        assert recovered is not None
        started = recovered.starts.pop(execution.path, None)
        failed = recovered.attempts.pop(execution.path, None)
        if failed is not None:
            execution.attempt = failed.attempt
        if started is not None and started.attempt > execution.attempt:
            execution.attempt = started.attempt
            message = "the engine died during the attempt, and `on_crash: fail` forbids another"
            self._machine.failures.fail(execution, "engine.crashed", message)
            return True
        if failed is not None:
            self._machine.failures.wait_for_retry(execution, failed.retry_at)
            return True
        return False

    def attempt(self, execution: Execution) -> None:
        """Evaluate what the attempt is given, and begin it when it may begin."""
        execution.attempt += 1
        task = execution.task
        machine = self._machine
        if task.kind != "flow" and task.kind != "group" and (execution.params is UNSET or task.uses_secrets):
            try:
                if task.uses_now:
                    self.stand(execution)
                assert task.value is not None
                execution.params = task.value(execution.scope)
            except ExpressionError as error:
                self._machine.failures.fail(execution, error.kind, error.message)
                return
        if task.limits is not None and not machine.limits.admit(execution, task.limits):
            return
        self.admitted(execution)

    def admitted(self, execution: Execution) -> None:
        """Begin an attempt that has all it waited for but the disk."""
        task = execution.task
        machine = self._machine
        match task.kind:
            case "invoke":
                if task.effect != "write":
                    machine.calls.launch(execution)
                    return
                if task.on_crash == "fail":
                    record = AttemptStarted(execution.path, execution.attempt, self._now())
                    execution.frame.run.records.append(record)
                    machine.committer.touch(execution.frame.run)
                if task.undo is not None:
                    machine.undos.arm(execution)
                if machine.committer.gate(execution):
                    machine.calls.launch(execution)
            case "compute":
                self.complete(execution, execution.params)
            case "sleep":
                machine.waits.begin(execution)
            case "wait":
                machine.wait_tasks.begin(execution)
            case "approval":
                machine.approvals.begin(execution)
            case "flow":
                if task.undo is not None:
                    machine.undos.arm(execution)
                if machine.committer.gate(execution):
                    machine.calls.launch(execution)
            case "group":
                machine.groups.begin(execution)

    def stand(self, execution: Execution) -> None:
        """Give `now()` the task's moment, or the round's, and `uuid()` the element's place."""
        run = execution.frame.run
        context = execution.scope[CONTEXT]
        if execution.loop is not None:
            context.stand(f"{run.id}/{execution.path}", execution.loop.moment)
            return
        task_place = f"{run.id}/{execution.frame.prefix}{execution.task.id}"
        if not context.place.startswith(task_place):
            self._scheduler.stand(run, execution.task, execution.frame.prefix + execution.task.id)
        context.stand(f"{run.id}/{execution.path}", context.moment)

    # -- ending --------------------------------------------------------------------

    def returned(self, execution: Execution, handle: asyncio.Task[Any]) -> None:
        """Take in how an attempt's asyncio task ended."""
        run = execution.frame.run
        if execution.ended or execution.handle is not handle or run.lost:
            if not handle.cancelled():
                handle.exception()  # looked at, so that nobody reports it as forgotten
            return
        try:
            execution.handle = None
            if execution.timer is not None:
                execution.timer.cancel()
                execution.timer = None
            if handle.cancelled():
                self._machine.stops.stopped(execution)
            elif (error := handle.exception()) is None:
                execution.stopped = None  # it was told to stop a moment too late
                self.complete(execution, handle.result())
            elif execution.stopped is not None:
                self._machine.stops.stopped(execution)
            else:
                self._machine.failures.take_in(execution, error)
        except Exception as fault:
            self._machine.phases.broken(run, fault)
            return
        if run.ready or run.parked or run.held is not None:
            self._scheduler.pump(run)

    def complete(self, execution: Execution, value: Any) -> None:
        """Take in what an attempt yielded: made plain, masked and encoded before anyone reads it."""
        masker = execution.frame.run.masker
        try:
            if masker is not None:
                value = masker.value(values.plain(value))
            encoded = values.encode(value, max_bytes=self._most_bytes)
            if type(value) not in _SCALARS:
                value = values.decode(encoded)  # what a reader after a crash would see
        except OutputError as error:
            self._machine.failures.fail(execution, error.kind, str(error))
            return
        if execution.held is not None:
            execution.held.good = True
        if execution.task.layered:
            self.yielded(execution, value, encoded)
        elif execution.map is not None:  # hot: benchmarks/async_tasks.py
            self.release(execution)
            self._machine.maps.element_ended(execution, SUCCEEDED, value, encoded, None, None)
        else:
            self.end(execution, SUCCEEDED, value, encoded, None, None)

    def yielded(self, execution: Execution, value: Any, encoded: bytes) -> None:
        """Take in what an attempt yielded, plain and encoded, in the layers around it."""
        task = execution.task
        if task.schema is not None and (wrong := task.schema(value)):
            shown = "; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else "")
            from flowbuilder.tasks.python import place_of  # start-up time: for this message only

            place = place_of(execution.params, execution.frame.run.plan.folder)
            message = f"the output{place and f' of {place}'} does not fit its `schema`: {shown}"
            self._machine.failures.fail(execution, "output.schema", message, {"violations": wrong})
        elif execution.loop is not None:
            self._machine.loops.round_ended(execution, value, encoded)
        else:
            self.finished(execution, value, encoded)

    def finished(self, execution: Execution, value: Any, encoded: bytes) -> None:
        """End an execution with what its rounds came to, or its only one; later ones may have it from the cache."""
        if execution.task.cache is not None:
            self._machine.caches.keep(execution, value, encoded)
        self.end(execution, SUCCEEDED, value, encoded, None, None)

    def succeed(
        self, execution: Execution, value: Any, encoded: bytes | None, error: Error | None = None
    ) -> None:
        """End an execution with a value that is plain; `error` is what it was rescued from."""
        self.end(execution, SUCCEEDED, value, encoded, error, None)

    def end(
        self,
        execution: Execution,
        code: int,
        value: Any,
        encoded: bytes | None,
        error: Error | None,
        reason: str | None,
    ) -> None:
        """End an execution, however it did, and tell whoever waits for it."""
        if execution.loop is not None:
            self._machine.loops.close(execution)
        self.release(execution)
        task = execution.task
        if execution.map is not None:
            self._machine.maps.element_ended(execution, code, value, encoded, error, reason)
            return
        if task.kind in COUNTED and (code != CANCELLED or task.kind == "invoke"):
            size = 0 if encoded is None else len(encoded)
            duration = self._now() - execution.started_at
            self._machine.observations.add(execution.frame, task.id, duration, size, code)
        self._scheduler.end(
            execution.frame,
            task,
            execution.path,
            code,
            output=value,
            encoded=encoded,
            error=error,
            reason=reason,
            started=execution.started_at,
            attempts=execution.attempt,
        )

    def release(self, execution: Execution) -> None:
        """Give up all that an execution holds."""
        execution.ended = True
        handle = execution.handle
        if handle is not None:
            if type(handle) is Waiter:
                self._machine.waiting.close(handle)
            elif type(handle) is str:
                self._machine.sub_flows.let_go(execution)
            execution.handle = None
        if execution.task.cache is not None:
            self._machine.caches.left(execution)
        run = execution.frame.run
        run.executions.discard(execution)
        if execution.held is not None:
            self._machine.limits.let_go(execution)
        if execution.parked:
            self.unpark(execution)
        if execution.timer is not None:
            execution.timer.cancel()
            execution.timer = None
        if execution.deadline is not None:
            execution.deadline.cancel()
            execution.deadline = None

    # -- waiting for nothing but time ------------------------------------------------

    @staticmethod
    def park(execution: Execution, wake_at: float | None) -> None:
        """Say that an execution only waits: until a moment, or (None) for another run.

        `FOR_TASKS` stands for the tasks of its own graph, which wait or work themselves,
        `FOR_OTHERS` for what another run in memory is about.
        """
        execution.wake_at = wake_at
        if not execution.parked:
            execution.parked = True
            execution.frame.run.parked += 1

    @staticmethod
    def unpark(execution: Execution) -> None:
        """Say that an execution goes on."""
        if execution.parked:
            execution.parked = False
            execution.frame.run.parked -= 1

    def body_ended(self, execution: Execution, error: Error | None) -> bool:
        """Take in that the graph inside a task ended; False if it may go on to its outputs."""
        execution.handle = None
        self.unpark(execution)
        if execution.timer is not None:
            execution.timer.cancel()
            execution.timer = None
        if execution.stopped is not None:
            self._machine.stops.stopped(execution)
            return True
        if error is not None:
            if execution.held is not None:
                self._machine.limits.failed(execution, error["kind"])
            if execution.task.undo is not None:
                self._machine.undos.failed_cleanly(execution)
            if not self._machine.failures.retry(execution, error, None):
                self._machine.failures.rescue(execution, error)
            return True
        return False
