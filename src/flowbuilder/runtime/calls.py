"""Calls the type of a task for one attempt: in place where that cannot take long, else as an asyncio task."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from flowbuilder.core import values
from flowbuilder.core.errors import TaskFailed
from flowbuilder.core.failure import writable
from flowbuilder.core.masking import MASK
from flowbuilder.core.urgency import NORMAL, Urgency
from flowbuilder.runtime.events import TaskEvent
from flowbuilder.runtime.stops import TIMEOUT
from flowbuilder.storage.api import Log
from flowbuilder.tasks.api import Call, Work
from flowbuilder.tasks.registry import is_built_in, task_type

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder.core.plan import TaskPlan
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Execution, RunState
    from flowbuilder.tasks.api import Placed, TaskType

_SCALARS = frozenset({str, bool, type(None), int, float})


class Calls:
    """Finds task types, and gives them what an attempt is about."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._loop = machine.loop
        self._now = machine.clock.now
        self._timers = machine.timers
        self._placer = machine.placer
        self._bus = machine.bus
        self._services = machine.services
        self._types: dict[str, Any] = {}

    def teach(self, name: str, type: TaskType | Placed) -> None:
        """Call this for tasks of a type, in place of what is registered for it."""
        self._types[name] = (type, hasattr(type, "work"))

    def launch(self, execution: Execution) -> None:
        """Call the task type: at once where that cannot take long, else as an asyncio task."""
        run = execution.frame.run
        if execution.ended or run.lost or self._machine.stopping:
            return  # an engine that stops leaves it to the next one
        if execution.handle is not None:
            return  # its time was up at the gate, and something else is done instead
        if run.held is not None:
            run.held.append(functools.partial(self.launch, execution))
            return
        if execution.frame.frozen is not None:
            self._machine.stops.cancelled(execution, execution.frame.frozen)
            return
        task = execution.task
        if task.undo is not None:
            self._machine.undos.launched(execution)
        if task.kind == "flow":
            self._machine.sub_flows.begin(execution)
            return
        if self._bus.active:
            event = TaskEvent(run.id, execution.path, "running", self._now(), execution.attempt)
            self._bus.emit(event)
        try:
            type, placed = self._types.get(task.type) or self._load(task.type, run.plan.folder)
            call = self._call(execution, run, task)
            if placed:
                work = type.work(call)
                if work.__class__ is not Work:
                    raise _no_work(task.type, work)
                executor = task.executor
                coroutine = self._placer.known_async(work) if executor != "process" else None
                if coroutine is None and task.timeout is None and executor in ("auto", "inline"):
                    placer = self._placer
                    if executor == "auto":
                        done, value = placer.try_inline(work, known_quick=task.quick)
                    else:
                        done, value = placer.call_inline(work)
                    if done:
                        self._machine.attempts.complete(execution, value)
                        return
                if coroutine is None:
                    call.urgency = Urgency(run.row.priority, task.priority, task.remaining)
                    coroutine = self._placer.place(work, executor=executor, timeout=task.timeout, call=call)
            else:
                call.urgency = Urgency(run.row.priority, task.priority, task.remaining)
                coroutine = type.run(call)
        except Exception as error:
            self._machine.failures.take_in(execution, error)
            return
        handle = self._loop.create_task(coroutine)
        execution.handle = handle
        handle.add_done_callback(functools.partial(self._machine.attempts.returned, execution))
        if task.timeout is not None:
            stop = functools.partial(self._machine.stops.stop, execution, TIMEOUT)
            execution.timer = self._timers.after(task.timeout, stop)

    def _load(self, name: str, folder: Path) -> tuple[Any, bool]:
        """Return a task type, and whether the engine places its work; those of plug-ins may change meanwhile."""
        type = task_type(name, folder)
        found = (type, hasattr(type, "work"))
        if is_built_in(name):
            self._types[name] = found
        return found

    def _call(self, execution: Execution, run: RunState, task: TaskPlan) -> Call:
        """Make what the task type is given.

        Raises:
            ExpressionError: if `env` or `idempotency_key` cannot be evaluated.
        """
        params = execution.params
        if type(params) not in _SCALARS:
            params = values.copy(params)
        env = run.plan.env
        if task.env is not None:
            env = {**env, **task.env(execution.scope)}
        key = f"{run.id}/{execution.path}"
        if task.idempotency_key is not None:
            key = str(task.idempotency_key(execution.scope))
        return Call(
            params,
            run.id,
            execution.path,
            execution.attempt,
            key,
            run.plan.folder,
            env,
            tuple(run.context.secrets.values()) if run.masker is not None else (),
            functools.partial(self.log if not task.sensitive else self._log_hidden, run, execution.path),
            self._services,
            None if task.timeout is None else self._machine.clock.monotonic() + task.timeout,
            NORMAL,
            run.plan,
            run.context.profile,
            task.sensitive,
            self._machine.workspaces.of(execution) if run.plan.workspaces else None,
        )

    def log(self, run: RunState, path: str, level: str, message: str, data: Any = None) -> None:
        """Keep a line that a task wrote; called on the loop or on a thread."""
        if run.masker is not None:
            message = run.masker.text(message)
            data = run.masker.value(data)
        if run.veil is not None:
            message = run.veil.text(message)
            data = run.veil.value(data)
        encoded = None if data is None else values.encode(values.plain_or_text(data))
        self._machine.store.submit(Log(run.id, path, self._now(), level, writable(message), encoded))

    def _log_hidden(self, run: RunState, path: str, level: str, message: str, data: Any = None) -> None:
        """Keep that a sensitive task wrote a line, and not what."""
        self.log(run, path, level, MASK)


def _no_work(type: str, work: Any) -> TaskFailed:
    """Return what is wrong with a plug-in's task type whose `work` gives something else."""
    what = f"`work` of the task type '{type}' returned {work.__class__.__name__}, and is to return a `Work`"
    return TaskFailed("output.type", f"{what}: write `return Work.of(call, function, argument, …)`")
