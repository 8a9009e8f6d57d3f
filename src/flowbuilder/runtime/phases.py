"""The course of a run: main graph, `on_failure`, `finally`, outputs, end."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Any

from flowbuilder.core import values
from flowbuilder.core.errors import ExpressionError, OutputError
from flowbuilder.core.failure import failure
from flowbuilder.core.plan import CODES, ERROR
from flowbuilder.core.records import PhaseEntered
from flowbuilder.core.rules import SKIPPED
from flowbuilder.runtime.scheduler import status_by_id
from flowbuilder.runtime.sealing import OUTPUTS, as_kept
from flowbuilder.runtime.state import Frame

if TYPE_CHECKING:
    from flowbuilder.core.failure import Error
    from flowbuilder.core.plan import GraphPlan, Scope
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import RunState
    from flowbuilder.storage.api import RunStatus

_log = logging.getLogger("flowbuilder.engine")


class Phases:
    """Opens the graphs of a flow one after the other, and ends the run."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._now = machine.clock.now
        self._on_main_end = self._main_ended  # bound once: each run in memory holds it

    def begin(self, run: RunState) -> None:
        """Begin the main graph, or, with a journal, come again to where it ends."""
        frame = Frame(run, run.plan.main, None, "", None, self._on_main_end)
        run.frame = run.phase = frame
        if run.cancel is not None:
            frame.frozen = run.cancel[0]
        self._machine.scheduler.open_frame(frame)

    def _main_ended(self, frame: Frame) -> None:
        run = frame.run
        if frame.error is not None:
            self._note(run, frame.error)
        elif run.cancel is not None and run.cancel[0] != "cancelled":
            kind, reason = run.cancel
            self._note(run, failure(kind, reason))
        stopped = run.error is not None or run.cancel is not None
        if stopped and self._machine.undos.wanted(run):
            self._machine.undos.begin(run, functools.partial(self._main_undone, frame))
        else:
            self._main_undone(frame)

    def _main_undone(self, frame: Frame) -> None:
        """Go on to the handlers: what was to be undone has been."""
        run = frame.run
        if run.plan.on_failure is None and run.plan.finally_ is None:
            self._end(run)
            return
        failed = run.error is not None and (run.cancel is None or run.cancel[0] != "cancelled")
        self._handler(run, "on_failure", run.plan.on_failure, frame.scope, failed)

    def _handler(
        self, run: RunState, phase: str, graph: GraphPlan | None, parent: Scope, wanted: bool
    ) -> None:
        """Run a handler's graph; where it is not wanted its tasks are skipped, so that all can be seen."""
        if graph is None:
            self._next(run, phase, parent)
            return
        frame = Frame(run, graph, parent, phase + ":", None, self._handler_ended)
        frame.scope[ERROR] = run.error
        if not wanted:
            frame.scope[CODES][:] = bytes([SKIPPED]) * graph.size
            self._next(run, phase, frame.scope)
            return
        self._tell_handlers(run)
        run.phase = frame
        if run.recovered is None or phase not in run.recovered.phases:
            run.records.append(PhaseEntered(phase, self._now(), run.error))
            self._machine.committer.touch(run)
        if phase == "on_failure" and run.cancel is not None and run.cancel[0] == "cancelled":
            frame.frozen = "cancelled"
        self._machine.scheduler.open_frame(frame)

    def _handler_ended(self, frame: Frame) -> None:
        run = frame.run
        if frame.error is not None:
            self._note(run, frame.error)
            if run.cancel is not None and frame.prefix == "finally:":
                run.cancel = None  # it did not stop in order: it has failed
        self._next(run, frame.prefix[:-1], frame.scope)

    def _next(self, run: RunState, phase: str, scope: Scope) -> None:
        if phase == "on_failure":
            self._handler(run, "finally", run.plan.finally_, scope, True)
        else:
            self._end(run)

    def _tell_handlers(self, run: RunState) -> None:
        """Let handlers see how the run stands: `run.status`, `run.errors`, `run.tasks`."""
        facts = run.context.run
        facts["status"] = self._status(run)
        facts["errors"] = list(run.errors)
        facts["tasks"] = status_by_id(run.frame)

    @staticmethod
    def _note(run: RunState, error: Error) -> None:
        run.errors.append(error)
        if run.error is None:
            run.error = error

    @staticmethod
    def _status(run: RunState) -> RunStatus:
        if run.cancel is not None and run.cancel[0] == "cancelled":
            return "cancelled"
        return "succeeded" if run.error is None else "failed"

    # -- the end -----------------------------------------------------------------

    def _end(self, run: RunState) -> None:
        status = self._status(run)
        result: Any = None
        if status == "succeeded":
            try:
                result = self._outputs(run)
                encoded = values.encode(result)
                if run.plan.sealed:
                    encoded = self._machine.sealing.seal(run.id, OUTPUTS, encoded)
            except (ExpressionError, OutputError) as error:
                self._note(run, as_kept(run, None, failure(error.kind, f"outputs: {error}")))
                status = "failed"
        if status != "succeeded" and self._machine.undos.wanted(run):
            self._machine.undos.begin(run, functools.partial(self._end, run))
            return
        if status == "cancelled":
            result = run.error or failure("cancelled", run.cancel[1] if run.cancel is not None else "")
        elif status == "failed":
            result = run.error
        if status != "succeeded":
            result = self._machine.undos.told(run, result)
            encoded = values.encode(result)
        self.finish(run, status, result, encoded)

    @staticmethod
    def _outputs(run: RunState) -> Any:
        if run.plan.outputs is None:
            return {}
        assert run.frame is not None
        run.context.stand(run.id + "/outputs", run.row.started_at or run.row.created_at)
        value = run.plan.outputs(run.frame.scope)
        return value if run.masker is None else run.masker.value(value)

    def finish(self, run: RunState, status: RunStatus, result: Any, encoded: bytes) -> None:
        """Put a run's end into its row; callers learn of it when that is on disk."""
        run.ended = True
        run.result = result
        if run.recovered is not None and run.recovered.waits:
            self._machine.waiting.forget(run)
        run.recovered = None
        if run.timer is not None:
            run.timer.cancel()
        ended_at = self._now()
        committer = self._machine.committer
        if run.accepted:
            committer.change(run, status=status, ended_at=ended_at, result=encoded, owner=None, wake_at=None)
        else:  # hot: benchmarks/pure_tasks.py; its row is still to be written
            row = run.row
            row.status, row.ended_at, row.result, row.owner = status, ended_at, encoded, None
            committer.touch(run)
        self._machine.runs.ended(run)

    def broken(self, run: RunState, error: Exception) -> None:
        """End a run that the engine itself could not carry on: a fault of ours, and never silent."""
        _log.error("run %s could not be carried on", run.id, exc_info=error)
        if run.ended:
            return
        for execution in list(run.executions):
            handle = execution.handle
            self._machine.attempts.release(execution)
            if isinstance(handle, asyncio.Task):
                handle.cancel()
        run.ready.clear()
        self._fail(run, failure("engine.error", f"{type(error).__name__}: {error}"))

    def crashed(self, run: RunState, why: str) -> None:
        """End a run that kills the engines which carry it on, without another look at its handlers."""
        self._fail(run, failure("engine.crashed", why))

    def _fail(self, run: RunState, error: Error) -> None:
        error = as_kept(run, None, error)
        self._note(run, error)
        self.finish(run, "failed", error, values.encode(error))
