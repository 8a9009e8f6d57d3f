"""`for_each`: one task for each element of a list or mapping, so many at a time."""

from __future__ import annotations

import functools
import math
import time
from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.core import values
from flowbuilder.core.errors import ExpressionError, OutputError
from flowbuilder.core.failure import failure
from flowbuilder.core.masking import MASK
from flowbuilder.core.plan import INDEX, ITEM
from flowbuilder.core.records import NULL, Ended, MapStarted
from flowbuilder.core.rules import CANCELLED, CONTINUED, FAILED, STATUS, SUCCEEDED
from flowbuilder.runtime.events import TaskEvent
from flowbuilder.runtime.observations import COUNTED
from flowbuilder.runtime.recovered import element_path
from flowbuilder.runtime.scheduler import SLICE
from flowbuilder.runtime.sealing import as_kept
from flowbuilder.runtime.state import Execution, inner_scope

if TYPE_CHECKING:
    from flowbuilder.core.failure import Error
    from flowbuilder.core.plan import Scope, TaskPlan
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.recovered import EndedTask
    from flowbuilder.runtime.state import Frame


class MapState:
    """A map that runs."""

    __slots__ = (
        "done",
        "errors",
        "failed",
        "filling",
        "finished",
        "flush",
        "frame",
        "items",
        "keys",
        "later",
        "next",
        "output_bytes",
        "outputs",
        "path",
        "running",
        "started_at",
        "stopped",
        "task",
        "template",
    )

    def __init__(
        self, frame: Frame, task: TaskPlan, path: str, items: list[Any], keys: list[str] | None
    ) -> None:
        self.frame = frame
        self.task = task
        self.path = path
        self.items = items
        self.keys = keys
        self.next = 0
        """The first element that has not been started."""
        self.running = 0
        self.done = 0
        self.outputs: list[Any] = [None] * len(items)
        self.output_bytes = 0
        self.errors: list[Error] = []
        self.failed: Error | None = None
        """The failure after which no further element starts."""
        self.stopped: str | None = None
        self.filling = False
        self.later = False
        """More elements are started at the next turn of the loop, since this one has taken long."""
        self.finished = False
        self.flush = 0
        """The flush that holds what the elements rest on."""
        self.started_at = 0.0
        self.template: Scope = inner_scope(frame.scope)


class Maps:
    """Begins maps and their elements, and puts the results together."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._scheduler = machine.scheduler
        self._now = machine.clock.now
        self._bus = machine.bus

    def begin(self, frame: Frame, task: TaskPlan, path: str) -> None:
        """Begin a map: work out its elements and start as many as may run at once."""
        assert task.over is not None
        try:
            over = task.over(frame.scope)
            if type(over) is dict:
                keys = list(over)
                items = [{"key": key, "value": value} for key, value in over.items()]
            elif type(over) is list:
                keys, items = None, over
            else:
                kind = type(over).__name__
                raise ExpressionError("expression.type", f"`for_each` takes a list or a mapping, not {kind}")
        except ExpressionError as error:
            self._machine.failures.fail_early(
                Execution(frame, task, frame.scope, path), error.kind, error.message
            )
            return
        map = MapState(frame, task, path, items, keys)
        map.started_at = self._now()
        run = frame.run
        if items:
            run.records.append(MapStarted(path, map.started_at, len(items)))
            self._machine.committer.touch(run)
        if self._machine.bus.active:
            event = TaskEvent(run.id, path, "running", map.started_at, done=0, total=len(items))
            self._machine.bus.emit(event)
        map.flush = self._machine.committer.next_flush(run)
        self._fill(map)

    def _fill(self, map: MapState) -> None:
        """Start elements while there is room, for no longer than a slice at a stretch."""
        if map.finished:
            return
        if map.frame.run.held is not None:
            map.frame.run.held.append(functools.partial(self._fill, map))
            return
        map.filling = True
        frame, task = map.frame, map.task
        run = frame.run
        total = len(map.items)
        most = task.concurrency
        until = 0.0
        started = 0
        try:
            while map.next < total and map.running < most and map.failed is None and not run.lost:
                if frame.frozen is not None:
                    map.stopped = map.stopped or frame.frozen
                    break
                index = map.next
                map.next += 1
                self._start(map, index)
                started += 1
                if not started & 31:
                    if not until:
                        until = time.perf_counter() + SLICE
                    elif time.perf_counter() > until:
                        self._fill_later(map)
                        return
        finally:
            map.filling = False
        if not map.running and (map.next >= total or map.failed is not None or map.stopped is not None):
            map.finished = True
            self._finish(map)

    def _fill_later(self, map: MapState) -> None:
        if not map.later:
            map.later = True
            map.frame.run.busy += 1
            self._machine.loop.call_soon(self._fill_on, map)

    def _fill_on(self, map: MapState) -> None:
        map.later = False
        map.frame.run.busy -= 1
        if map.frame.run.lost or map.filling:
            return
        self._fill(map)
        self._scheduler.pump(map.frame.run)

    def _start(self, map: MapState, index: int) -> None:
        run = map.frame.run
        if map.keys is None or map.task.sensitive:  # a path is seen by everybody
            path = f"{map.path}[{index}]"
        else:
            path = element_path(map.path, map.keys[index])
        if run.recovered is not None:
            ended = run.recovered.ended.get(path)
            if ended is not None:
                self._again(map, index, ended)
                return
        scope = map.template.copy()
        scope[ITEM] = map.items[index]
        scope[INDEX] = index
        execution = Execution(map.frame, map.task, scope, path, map, index)
        map.running += 1
        if map.task.bare:
            self._compute(execution)
        else:
            self._machine.attempts.begin(execution)

    def _compute(self, execution: Execution) -> None:
        """Carry out an element that is nothing but an expression."""
        run = execution.frame.run
        execution.attempt = 1
        execution.started_at = self._now()
        try:
            if execution.task.uses_now:
                run.context.stand(f"{run.id}/{execution.path}", run.context.moment)
            assert execution.task.value is not None
            output = execution.task.value(execution.scope)
            if run.masker is not None:
                output = run.masker.value(output)
            encoded = values.encode(output)
        except (ExpressionError, OutputError) as error:
            failed = as_kept(run, execution.task, failure(error.kind, str(error), execution.path, 1))
            self.element_ended(execution, FAILED, None, None, failed, None)
            return
        self.element_ended(execution, SUCCEEDED, output, encoded, None, None)

    def _again(self, map: MapState, index: int, ended: EndedTask) -> None:
        """Take in an element's end that the journal has already."""
        map.done += 1
        if ended.code == SUCCEEDED:
            map.outputs[index] = ended.output
        self._note(map, index, ended.code, ended.error)

    def element_ended(
        self,
        execution: Execution,
        code: int,
        value: Any,
        encoded: bytes | None,
        error: Error | None,
        reason: str | None,
    ) -> None:
        """Take in how one element ended, and start the next."""
        map = execution.map
        assert map is not None
        run = map.frame.run
        map.running -= 1
        map.done += 1
        if code == SUCCEEDED:
            map.outputs[execution.element] = value
            if encoded is not None:
                map.output_bytes += len(encoded)
                if map.task.sensitive:
                    self._machine.sealing.veil(run, value)
                    encoded = self._machine.sealing.seal(run.id, execution.path, encoded)
        ended = self._now()
        if code != CANCELLED:
            small = encoded is None or len(encoded) <= values.BLOB_BYTES
            raw = msgspec.Raw(encoded) if small and encoded is not None else NULL
            started, attempts = execution.started_at, execution.attempt
            record = Ended(execution.path, code, started, ended, raw, attempts, error, reason)
            if small and run.dirty:  # hot: benchmarks/async_tasks.py
                run.records.append(record)
            else:
                self._scheduler.record(run, record, encoded)
        if self._bus.active:
            total = len(map.items)
            event = TaskEvent(
                run.id, execution.path, STATUS[code], ended, execution.attempt, reason, error, map.done, total
            )
            self._bus.emit(event)
        if code == CANCELLED:
            map.stopped = map.stopped or reason or "cancelled"
        elif code != SUCCEEDED:
            self._note(map, execution.element, code, error)
        if not map.filling:
            self._fill(map)

    def _note(self, map: MapState, index: int, code: int, error: Error | None) -> None:
        """Remember an element's failure; one more than may be is that of the map."""
        if code == SUCCEEDED or error is None:
            return
        if code == CONTINUED or map.task.tolerate is not None:
            key = index if map.keys is None else map.keys[index]
            entry = {
                "index": index,
                "key": key,
                "item": map.items[index] if map.keys is None else map.items[index]["value"],
                "kind": error["kind"],
                "message": error["message"],
            }
            if map.task.sensitive:
                entry["item"] = MASK
                entry["key"] = index
            masker = map.frame.run.masker
            map.errors.append(entry if masker is None else masker.value(entry))
            if map.task.tolerate is not None and map.failed is None:
                map.failed = _too_many(map, error)
        elif map.failed is None:
            map.failed = error

    def _finish(self, map: MapState) -> None:
        """End the map's task: all its elements have ended, or no further one is to start."""
        if map.failed is not None:
            code, output, error, reason = FAILED, None, map.failed, None
        elif map.stopped is not None:
            code, output, error, reason = CANCELLED, None, None, map.stopped
        else:
            code, error, reason = SUCCEEDED, None, None
            output = map.outputs if map.keys is None else dict(zip(map.keys, map.outputs, strict=True))
        if map.task.kind in COUNTED and code != CANCELLED:
            duration = self._now() - map.started_at
            self._machine.observations.add(
                map.frame, map.task.id, duration, map.output_bytes, code, len(map.items)
            )
        map.errors.sort(key=lambda entry: entry["index"])
        keys, sealed = map.keys, None
        if keys is not None and map.task.sensitive and code == SUCCEEDED:  # sealed in the place of an output
            keys, sealed = None, values.encode(keys)
        self._scheduler.end(
            map.frame,
            map.task,
            map.path,
            code,
            output=output,
            encoded=sealed,
            error=error,
            reason=reason,
            started=map.started_at,
            attempts=1,
            errors=map.errors or None,
            keys=keys,
            count=len(map.items),
        )


def _too_many(map: MapState, error: Error) -> Error | None:
    """Return the failure of a map of which more elements have failed than may; else None."""
    tolerate, total = map.task.tolerate, len(map.items)
    assert tolerate is not None
    most = math.floor(tolerate * total + 1e-9) if type(tolerate) is float else int(tolerate)
    failed = len(map.errors)
    if failed <= most:
        return None
    message = f"{failed:,} of {total:,} elements failed, and {most:,} may: {error['message']}"
    data = {"failed": failed, "allowed": most, "elements": total, "last": error}
    return failure("map.tolerate", message, map.path, 1, data)
