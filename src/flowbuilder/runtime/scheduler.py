"""Advances runs: which task comes next, and what its end opens.

The decisions are elsewhere and pure (`core.rules`); here they are carried
out.  Nothing on the way of a pure task allocates a future, takes a lock or
formats a string.  Work that waits is begun here and ends elsewhere, which
calls `end` and then `pump`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.core import values
from flowbuilder.core.errors import ExpressionError, OutputError
from flowbuilder.core.failure import failure
from flowbuilder.core.plan import CODES, ERRORS, HEADER, NO_ERRORS, SLOW, Region, TaskPlan
from flowbuilder.core.records import NULL, Ended, Readied, RegionEnded
from flowbuilder.core.rules import (
    CANCELLED,
    FAILED,
    READY,
    SKIPPED,
    STATUS,
    SUCCEEDED,
    UPSTREAM_FAILED,
    decide,
)
from flowbuilder.runtime.events import TaskEvent
from flowbuilder.runtime.sealing import as_kept
from flowbuilder.runtime.state import Execution, inner_scope

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from flowbuilder.core.failure import Error
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.recovered import EndedTask
    from flowbuilder.runtime.state import Frame, RunState

SLICE = 0.005
"""Seconds that one run may hold the loop at a stretch."""

_NEEDS_ONE = frozenset({"any_success", "any_failed"})
_SUCCESS_RULES = frozenset({"default", "all_success", "none_failed", "any_success"})


class Scheduler:
    """Carries runs from task to task."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._loop = machine.loop
        self._now = machine.clock.now
        self._bus = machine.bus

    # -- from unit to unit -----------------------------------------------------

    def open_frame(self, frame: Frame) -> None:
        """Begin a graph: what waits for nothing is ready."""
        if not frame.remaining:
            frame.done(frame)
            return
        frame.run.ready.extend([(frame, unit) for unit in frame.plan.first])

    def pump(self, run: RunState) -> None:
        """Run all that is ready, until nothing is, or the run has held the loop for long enough."""
        if run.pumping or run.lost:
            return
        if run.held is not None:
            self._machine.pauses.consider_leaving(run)
            return
        run.pumping = True
        ready = run.ready
        place = 0
        until = 0.0
        try:
            while place < len(ready):
                frame, number = ready[place]
                place += 1
                unit = frame.plan.units[number]
                if type(unit) is Region:
                    self._run_region(frame, unit)
                else:
                    self.start_task(frame, unit)  # type: ignore[arg-type]
                if not place & 31:
                    if not until:
                        until = time.perf_counter() + SLICE
                    elif time.perf_counter() > until:
                        self._loop.call_soon(self.pump, run)
                        break
        except Exception as error:
            self._machine.phases.broken(run, error)
        finally:
            del ready[:place]
            run.pumping = False
        if run.parked and run.parked == len(run.executions) and not ready and not run.busy:
            self._machine.waits.consider_leaving(run)

    # -- regions -----------------------------------------------------------------

    def _run_region(self, frame: Frame, region: Region) -> None:
        run = frame.run
        scope = frame.scope
        codes = scope[CODES]
        if run.recovered is not None or run.masker is not None or frame.frozen is not None:
            self._one_by_one(frame, region)
            return
        for slot in region.needs:
            if codes[slot] != SUCCEEDED:
                self._one_by_one(frame, region)
                return
        if region.slow >= SLOW:
            self._region_on_thread(frame, region)
            return
        started = self._now()
        try:
            outputs = values.prepare_list(region.function(scope))
        except Exception:
            self._one_by_one(frame, region)
            return
        self.end_region(frame, region, outputs, started, self._now())

    def _region_on_thread(self, frame: Frame, region: Region) -> None:
        """Run a region's function on a thread, since it was seen to hold the loop."""
        started = self._now()
        frame.run.busy += 1
        future = self._loop.run_in_executor(None, lambda: values.prepare_list(region.function(frame.scope)))

        def returned(future: asyncio.Future[list[Any]]) -> None:
            run = frame.run
            run.busy -= 1
            if run.lost:
                return
            if future.cancelled() or future.exception() is not None or frame.frozen is not None:
                self._one_by_one(frame, region)
            else:
                self.end_region(frame, region, future.result(), started, self._now())
            self.pump(run)

        future.add_done_callback(returned)

    def end_region(
        self, frame: Frame, region: Region, outputs: list[Any], started: float, ended: float
    ) -> None:
        """Take in that the function of a region has returned."""
        if ended - started > SLICE:
            region.slow += 1
        elif region.slow:
            region.slow = 0
        run = frame.run
        ids = region.ids
        if not region.always:
            ids, outputs = self._end_skipped(frame, region, outputs, ended)
        if frame.prefix:
            ids = tuple([frame.prefix + id for id in ids])
        run.records.append(RegionEnded(ids, outputs, started, ended))
        self._machine.committer.touch(run)
        if self._bus.active:
            for path in ids:
                self._bus.emit(TaskEvent(run.id, path, "succeeded", ended))
        open = frame.open
        ready = run.ready
        for unit in region.dependants:
            open[unit] -= 1
            if not open[unit]:
                ready.append((frame, unit))
        frame.remaining -= len(region.tasks)
        if not frame.remaining:
            frame.done(frame)

    def _end_skipped(
        self, frame: Frame, region: Region, outputs: list[Any], ended: float
    ) -> tuple[tuple[str, ...], list[Any]]:
        """Record those of a region that were skipped, and return what is left."""
        codes = frame.scope[CODES]
        ran: list[tuple[str, Any]] = []
        for task, output in zip(region.tasks, outputs, strict=True):
            if codes[task.slot] == SUCCEEDED:
                ran.append((task.id, output))
                continue
            upstream = bool(task.needs) and all(codes[slot] == SKIPPED for slot in task.needs)
            reason = "upstream_skipped" if upstream else "condition"
            path = frame.prefix + task.id
            frame.run.records.append(Ended(path, SKIPPED, ended, ended, attempts=0, reason=reason))
            if self._bus.active:
                self._bus.emit(TaskEvent(frame.run.id, path, "skipped", ended, reason=reason))
        return tuple([id for id, _ in ran]), [output for _, output in ran]

    def _one_by_one(self, frame: Frame, region: Region) -> None:
        """Run a region's tasks each by its own function; also where some of them have ended before."""
        scope = frame.scope
        for task in region.tasks:
            scope[CODES][task.slot] = 0
            scope[HEADER + task.slot] = None
        for task in region.tasks:
            self.start_task(frame, task)

    # -- tasks -------------------------------------------------------------------

    def start_task(self, frame: Frame, task: TaskPlan) -> None:
        """Begin a task whose dependencies have all ended, or skip it."""
        run = frame.run
        path = frame.prefix + task.id
        if run.recovered is not None:
            ended = run.recovered.ended.get(path)
            if ended is not None:
                self._end_again(frame, task, ended)
                return
        if frame.frozen is not None:
            self.end(frame, task, path, CANCELLED, reason=frame.frozen)
            return
        decision = self._decide(task, frame.scope[CODES])
        if decision != READY:
            reason = "upstream_failed" if decision == UPSTREAM_FAILED else self._skip_reason(frame, task)
            self.end(frame, task, path, decision, reason=reason)
            return
        if task.pruned is not None:
            self.end(frame, task, path, SKIPPED, reason="condition")
            return
        if task.uses_now:
            self.stand(run, task, path)
        try:
            if task.condition is not None and not task.condition(frame.scope):
                self.end(frame, task, path, SKIPPED, reason="condition")
                return
        except ExpressionError as error:
            execution = Execution(frame, task, frame.scope, path)
            self._machine.failures.fail_early(execution, error.kind, error.message)
            return
        if task.over is not None:
            self._machine.maps.begin(frame, task, path)
        elif task.simple:
            self._compute(frame, task, path)
        else:
            scope = frame.scope if task.repeat is None else inner_scope(frame.scope)
            self._machine.attempts.begin(Execution(frame, task, scope, path))

    def stand(self, run: RunState, task: TaskPlan, path: str) -> None:
        """Say what `now()` is for a task: the moment it became ready, also after a crash."""
        moment = run.recovered.readied.get(path) if run.recovered is not None else None
        if moment is None:
            moment = self._now()
            run.records.append(Readied(path, moment))
            self._machine.committer.touch(run)
        run.context.stand(f"{run.id}/{path}", moment)

    def _compute(self, frame: Frame, task: TaskPlan, path: str) -> None:
        """Carry out a task that is nothing but an expression."""
        started = self._now()
        try:
            assert task.value is not None
            output = task.value(frame.scope)
            if frame.run.masker is not None:
                output = frame.run.masker.value(output)
            encoded = values.encode(output)
        except (ExpressionError, OutputError) as error:
            failed = as_kept(frame.run, task, failure(error.kind, str(error), path, 1))
            self.end(frame, task, path, FAILED, error=failed, started=started)
            return
        self.end(frame, task, path, SUCCEEDED, output=output, encoded=encoded, started=started)

    @staticmethod
    def _decide(task: TaskPlan, codes: bytearray) -> int:
        if not task.needs:
            return decide(task.rule, ()) if task.rule in _NEEDS_ONE else READY
        for slot in task.needs:
            if codes[slot] != SUCCEEDED:
                break
        else:
            if task.rule in _SUCCESS_RULES:
                return READY
        return decide(task.rule, [codes[slot] for slot in task.needs])

    @staticmethod
    def _skip_reason(frame: Frame, task: TaskPlan) -> str:
        codes = frame.scope[CODES]
        if task.rule == "default" and all(codes[slot] == SKIPPED for slot in task.needs):
            return "upstream_skipped"
        return "run_when"

    # -- ends --------------------------------------------------------------------

    def end(
        self,
        frame: Frame,
        task: TaskPlan,
        path: str,
        code: int,
        *,
        output: Any = None,
        encoded: bytes | None = None,
        error: Error | None = None,
        reason: str | None = None,
        started: float | None = None,
        attempts: int = 1,
        errors: list[Error] | None = None,
        keys: list[str] | None = None,
        count: int | None = None,
    ) -> None:
        """Record that a task has ended, and open what waited for it.

        Args:
            frame: where the task stands.
            task: the task.
            path: its path.
            code: a final code of `core.rules`.
            output: what readers of it see.
            encoded: the same, encoded; large ones go to the blob store.
            error: why it failed, or what it was rescued from.
            reason: why it was skipped or cancelled.
            started: when it began; None for one that never did.
            attempts: how many it took.
            errors: of a map, what failed among its elements.
            keys: of a map over a mapping, its keys.
            count: of a map, how many elements it had.
        """
        ended = self._now()
        if started is None:
            started, attempts = ended, 0
        if task.sensitive and encoded is not None:
            encoded = self._machine.sealing.seal(frame.run.id, path, encoded)
        raw = NULL if encoded is None or len(encoded) > values.BLOB_BYTES else msgspec.Raw(encoded)
        record = Ended(path, code, started, ended, raw, attempts, error, reason, None, errors, keys, count)
        self.record(frame.run, record, encoded)
        if self._bus.active:
            self._bus.emit(
                TaskEvent(frame.run.id, path, STATUS[code], ended, attempts, reason, error, count, count)
            )
        self._settle(frame, task, code, output, error, errors)

    def record(self, run: RunState, record: Ended, encoded: bytes | None) -> None:
        """Add the end of a task or element to the journal; a large output goes to the blob store."""
        if encoded is None or len(encoded) <= values.BLOB_BYTES:
            run.records.append(record)
        else:
            self._machine.large_values.keep(run, record, encoded)
        self._machine.committer.touch(run)

    def _end_again(self, frame: Frame, task: TaskPlan, ended: EndedTask) -> None:
        """Take in an end that the journal has already."""
        self._settle(frame, task, ended.code, ended.output, ended.error, ended.errors)

    def _settle(
        self,
        frame: Frame,
        task: TaskPlan,
        code: int,
        output: Any,
        error: Error | None,
        errors: list[Error] | None,
    ) -> None:
        scope = frame.scope
        slot = task.slot
        scope[CODES][slot] = code
        if code == SUCCEEDED:
            scope[HEADER + slot] = output
            if task.sensitive:
                self._machine.sealing.veil(frame.run, output)
        if error is not None or errors:
            known = scope[ERRORS]
            if known is NO_ERRORS:
                known = scope[ERRORS] = {}
            if error is not None:
                known[slot] = error
            if errors:
                known[~slot] = errors
        if code == FAILED and frame.error is None:
            frame.error = error
            if frame.run.plan.fail_fast and frame is frame.run.frame:
                self._machine.cancellation.freeze(frame, "fail_fast")
        open = frame.open
        ready = frame.run.ready
        for unit in task.dependants:
            open[unit] -= 1
            if not open[unit]:
                ready.append((frame, unit))
        frame.remaining -= 1
        if not frame.remaining:
            frame.done(frame)


def status_by_id(frame: Frame | None) -> Mapping[str, str]:
    """Return how each task of a graph stands, in the words that users read."""
    if frame is None:
        return {}
    codes = frame.scope[CODES]
    return {task.id: STATUS[codes[task.slot]] for task in frame.plan.listed}
