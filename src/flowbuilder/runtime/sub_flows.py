"""The `flow` task: another run, linked both ways, that its parent waits for or not.

The child's key is made of the parent's run, path and attempt.  So a parent
that comes back after a crash finds the child that it had started, and a
retry starts a new one.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core.errors import (
    EngineStopped,
    ExpressionError,
    FlowBuilderError,
    FlowError,
    InputError,
    NotFound,
    ProfileError,
    StoreError,
    TaskFailed,
)
from flowbuilder.core.plan import Hidden
from flowbuilder.core.records import ChildStarted
from flowbuilder.runtime.plans import HIDDEN, SEALED
from flowbuilder.runtime.start import ASIDE, Start
from flowbuilder.runtime.waits import CHILD_CHECK
from flowbuilder.storage.api import LIVE

if TYPE_CHECKING:
    import asyncio

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Execution, RunState
    from flowbuilder.runtime.timers import Timer
    from flowbuilder.storage.api import RunRow

FAILED_INSIDE: Final = "the sub-flow's run failed: "


class SubFlows:
    """Starts child runs and takes in how they end."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._waiting: dict[str, dict[Execution, None]] = {}
        """Executions in memory by the id of the run that they wait for; several may by one key."""
        self._away: dict[str, set[str]] = {}
        """Runs that left memory while they waited, by the id of the run that they wait for."""
        self._check: Timer | None = None

    def begin(self, execution: Execution) -> None:
        """Begin to start the child run; `execution.handle` is its id as soon as there is one."""
        handle = self._machine.loop.create_task(self._start(execution))
        execution.handle = handle
        handle.add_done_callback(functools.partial(self._started, execution))

    async def _start(self, execution: Execution) -> tuple[str, bool, Any]:
        """Start or find the child; return its id, whether it has ended, and how."""
        machine = self._machine
        run = execution.frame.run
        sub_flow = execution.task.sub_flow
        assert sub_flow is not None
        await self._refuse_too_deep(run)
        scope = execution.scope
        inputs = sub_flow.inputs(scope)
        if sub_flow.key is not None:
            key = str(sub_flow.key(scope))
            if type(sub_flow.key) is Hidden:
                key = machine.sealing.key_of(sub_flow.key, scope)
        else:
            key = f"{run.id}/{execution.path}/{execution.attempt}"
        plan = await self._plan(execution)
        profile = run.context.profile
        about: dict[str, Any] = {} if profile is None else {"profile": profile}
        if execution.task.sensitive:
            about[SEALED] = True
        if not sub_flow.wait:
            about[ASIDE] = True
        if sub_flow.hidden:
            about[HIDDEN] = list(sub_flow.hidden)
        child = await machine.starts.start(plan, inputs, Start(key=key, parent=run.id, about=about or None))
        if run.recovered is None or run.recovered.children.get(execution.path) != child.id:
            run.records.append(ChildStarted(execution.path, child.id, machine.clock.now()))
            machine.committer.touch(run)
        return child.id, child.status not in LIVE, child

    async def _refuse_too_deep(self, run: RunState) -> None:
        """Stop a flow that starts itself without end, by a name that is only known while it runs.

        Counts the runs above, those that wait in the store among them.

        Raises:
            TaskFailed: there are too many.
        """
        machine = self._machine
        most = machine.config.limits.deep_runs
        parent = run.row.parent
        for _ in range(most - 1):
            if parent is None:
                return
            above = machine.runs.live.get(parent)
            row = above.row if above is not None else None
            if row is None:
                row = await machine.in_thread(functools.partial(machine.store.run, parent))
            parent = None if row is None else row.parent
        if parent is not None:
            message = f"more than {most} runs would be inside each other (limits.deep_runs)"
            raise TaskFailed("flow.too_deep", message)

    async def _plan(self, execution: Execution) -> FlowPlan:
        sub_flow = execution.task.sub_flow
        assert sub_flow is not None
        run = execution.frame.run
        if sub_flow.flow is not None:
            return self._machine.plans.of_flow(sub_flow.flow, run.plan, fixed=sub_flow.fixed)
        name = sub_flow.name(execution.scope) if sub_flow.name is not None else run.plan.name
        if name == run.plan.name:
            return run.plan
        find = functools.partial(self._machine.plans.named, str(name), run.plan.folder)
        plan: FlowPlan = await self._machine.in_thread(find)
        return plan

    def _started(self, execution: Execution, handle: asyncio.Task[tuple[str, bool, Any]]) -> None:
        run = execution.frame.run
        if execution.ended or run.lost:
            if not handle.cancelled():
                handle.exception()
            return
        execution.handle = None
        error = None if handle.cancelled() else handle.exception()
        if handle.cancelled():
            self._machine.stops.stopped(execution)
        elif isinstance(error, EngineStopped):
            return  # the next engine starts the child
        elif isinstance(error, StoreError):
            self._machine.recovery.lost([run], error)  # the child's fate is unknown, and with it the parent's
            return
        elif error is not None and execution.stopped is not None:
            self._machine.stops.stopped(execution)
        elif error is not None:
            kind, message = _what_failed(error)
            self._machine.failures.fail(execution, kind, message)
        else:
            self._wait(execution, handle.result())
            if execution.stopped is not None and isinstance(execution.handle, str):
                self.stop(execution)
        self._machine.scheduler.pump(run)

    def _wait(self, execution: Execution, child: tuple[str, bool, Any]) -> None:
        """Wait for the child's end, or take it in at once."""
        id, ended, row = child
        sub_flow = execution.task.sub_flow
        assert sub_flow is not None
        if not sub_flow.wait:
            self._machine.attempts.complete(execution, {"run_id": id})
            return
        if ended:
            self._take_in(execution, id, row.status, row.result)
            return
        execution.handle = id
        self._waiting.setdefault(id, {})[execution] = None
        machine = self._machine
        run = execution.frame.run
        if id in self._away:
            self._away[id].discard(run.id)
        self._check_later()
        if id not in machine.runs.live:  # it may have ended between our look at it and this
            machine.recovery.in_background(self._look([id]))
        machine.attempts.park(execution, None)
        machine.attempts.limit(execution)
        later = machine.clock.now() + machine.config.engine.leave_after + 0.1
        machine.timers.at(later, machine.scheduler.pump, run)

    def child_ended(self, run_id: str, parent: str | None, status: str, result: bytes | None) -> None:
        """Take in that a run has ended, on disk; wakes the parent that waits for it."""
        waiting = self._waiting.pop(run_id, {})
        away = self._away.pop(run_id, set())
        for execution in waiting:
            self._hear(execution, run_id, status, result)
        if parent is not None and all(execution.frame.run.id != parent for execution in waiting):
            away.add(parent)
        for id in sorted(away):
            self._machine.recovery.wake_soon(id)

    def let_go(self, execution: Execution) -> None:
        """Take in that an execution waits no more; one whose run leaves memory is known by the run's id."""
        child, run = execution.handle, execution.frame.run
        assert isinstance(child, str)
        waiting = self._waiting.get(child)
        if waiting is None:
            return  # the child has ended just now
        del waiting[execution]
        if not waiting:
            del self._waiting[child]
        if run.lost:
            self._away.setdefault(child, set()).add(run.id)

    def _check_later(self) -> None:
        """Look now and then at what is waited for: another engine may drive it, and tells nobody of its end."""
        if self._check is None:
            self._check = self._machine.timers.now_and_then(CHILD_CHECK, self._check_all)

    def _check_all(self) -> None:
        self._check = None
        live = self._machine.runs.live
        if elsewhere := [id for id in self._waiting if id not in live]:
            self._machine.recovery.in_background(self._look(elsewhere))
        if self._waiting:
            self._check_later()

    async def _look(self, run_ids: list[str]) -> None:
        """Take in the ends of runs that are not in memory, if they have ended."""

        def ended() -> list[RunRow]:
            rows = map(self._machine.store.run, run_ids)
            return [row for row in rows if row is not None and row.status not in LIVE]

        for row in await self._machine.in_thread(ended):
            self.child_ended(row.id, None, row.status, row.result)

    def _hear(self, execution: Execution, child: str, status: str, result: bytes | None) -> None:
        """Tell one that waits how its child has ended."""
        run = execution.frame.run
        if execution.ended or run.lost:
            self._machine.recovery.wake_soon(run.id)
            return
        execution.handle = None
        self._machine.attempts.unpark(execution)
        if execution.stopped is not None:
            if status != "succeeded" and execution.task.undo is not None:
                self._machine.undos.failed_cleanly(execution)  # the child has undone what it did
            self._machine.stops.stopped(execution)
        else:
            self._take_in(execution, child, status, result)
        self._machine.scheduler.pump(run)

    def _take_in(self, execution: Execution, child: str, status: str, result: bytes | None) -> None:
        try:
            value = self._machine.sealing.outcome(child, result)
        except FlowBuilderError as error:  # the key that it was encrypted by is gone
            self._machine.failures.fail(execution, "engine.error", str(error))
            return
        attempts = self._machine.attempts
        if status == "succeeded":
            attempts.complete(execution, value)
            return
        if execution.task.undo is not None:
            self._machine.undos.failed_cleanly(execution)  # the child has undone what it did
        if status == "cancelled":
            self._machine.failures.fail(execution, "flow.cancelled", "the sub-flow's run was cancelled")
        else:
            kind = value.get("kind", "flow.failed") if isinstance(value, dict) else "flow.failed"
            message = str(value.get("message", "")) if isinstance(value, dict) else ""
            data = value
            if message.startswith(FAILED_INSIDE) and isinstance(value, dict):
                data = value.get("data")  # said once, and carried as it is, however deep it happened
            else:
                message = FAILED_INSIDE + message
            self._machine.failures.fail(execution, kind, message, data)

    def stop(self, execution: Execution) -> None:
        """Cancel the child run; the parent's task ends when the child has."""
        child = execution.handle
        assert isinstance(child, str)
        why = f"its parent was told to stop ({execution.stopped})"
        self._machine.recovery.cancel_soon(child, why, undo=not execution.frame.run.without_undo)


def _what_failed(error: BaseException) -> tuple[str, str]:
    match error:
        case TaskFailed():
            return error.kind, error.message
        case ExpressionError():
            return error.kind, error.message
        case InputError() | ProfileError():
            return "input", str(error)
        case FlowError():
            return "flow.invalid", str(error)
        case NotFound():
            return "flow.not_found", str(error)
        case FlowBuilderError():
            return "engine.error", str(error)
        case _:
            return f"python.{type(error).__name__}", str(error)
