"""The `wait` task: so many events or signals, of those that pass its filter, within a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.core import values
from flowbuilder.core.durations import format_duration
from flowbuilder.core.errors import ExpressionError, FlowBuilderError
from flowbuilder.core.masking import MASK
from flowbuilder.core.matching import digest
from flowbuilder.core.plan import CONTEXT, Hidden
from flowbuilder.runtime.wait_params import name_of, seconds_or_none, whole

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Execution
    from flowbuilder.runtime.waiter import Waiter
    from flowbuilder.storage.events import Event

MOST: Final = 10_000


class WaitTasks:
    """Begins the waits of `wait` tasks, and does what they do with what they are told."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._now = machine.clock.now

    def begin(self, execution: Execution) -> None:
        """Begin to wait; a wait that the journal knows goes on, with what it has got."""
        plan = execution.task.wait
        assert plan is not None
        params = execution.params
        try:
            name = name_of(params.get("name"))
            count = whole(params.get("count", 1), "count", MOST)
            timeout = seconds_or_none(params.get("timeout"), "timeout")
            window = seconds_or_none(params.get("window"), "window")
        except ExpressionError as error:
            self._machine.failures.fail(execution, error.kind, error.message)
            return
        kind = "signal" if plan.signal else "event"
        waiter = self._machine.waiting.make(execution, self, name, signal=plan.signal, timeout=timeout)
        waiter.asked = count
        if not plan.signal:
            window = self._machine.config.events.window if window is None else window
            waiter.oldest = waiter.since - window
            self._look_up(waiter)
        if waiter.got and len(waiter.got) >= count:  # its end was lost: it is ended again
            self._machine.waiting.finish(waiter, waiter.got[0] if count == 1 else waiter.got)
            return
        what = f"the {kind} '{name}'" if count == 1 else f"{count} × the {kind} '{name}'"
        self._machine.waiting.open(waiter, what)

    def _look_up(self, waiter: Waiter) -> None:
        """Work out the value that an event must have to be looked at."""
        plan = waiter.execution.task.wait
        assert plan is not None
        if plan.key is not None and type(plan.key) is not Hidden:  # the index would have it in clear
            try:
                waiter.digest = digest(plan.key(waiter.execution.scope))
            except ExpressionError:  # the filter says it, where it comes to that
                return
            if waiter.digest:
                waiter.member = plan.member

    def offered(self, waiter: Waiter, event: Event) -> None:
        """Take an event if it passes the filter, and end the wait with the last that it needs."""
        if waiter.until is not None and event.at > waiter.until:
            return
        try:
            opened = self._machine.sealing.opened_event(event)
        except FlowBuilderError as error:
            self._machine.calls.log(
                waiter.run, waiter.execution.path, "error", f"the event {event.id} was passed over: {error}"
            )
            return
        if not self._passes(waiter, opened):
            return
        payload = values.decode(opened.payload)
        if waiter.run.masker is not None:
            payload = waiter.run.masker.value(payload)
        waiter.got.append(payload)
        count: int = waiter.asked
        self._machine.waiting.take(waiter, opened, keep=count > 1)
        if len(waiter.got) >= count:
            self._machine.waiting.finish(waiter, payload if count == 1 else waiter.got)

    def _passes(self, waiter: Waiter, event: Event) -> bool:
        plan = waiter.execution.task.wait
        assert plan is not None
        if plan.filter is None:
            return True
        run = waiter.run
        outer = waiter.execution.scope
        scope = waiter.scope or [outer[CONTEXT], outer, None, None, None, None, None, None, None]
        waiter.scope = scope
        scope[2] = event.value()
        run.context.stand(f"{run.id}/{waiter.execution.path}", waiter.moment)
        try:
            return bool(plan.filter(scope))
        except ExpressionError as error:
            if not waiter.warned:  # an event of another shape is another's; a mistake is to be found
                waiter.warned = True
                why = MASK if waiter.execution.task.sensitive else error.message  # it may quote a value
                message = f"the event {event.id} was passed over, as the filter cannot be asked: {why}"
                self._machine.calls.log(run, waiter.execution.path, "warning", message)
            return False
        finally:
            scope[2] = None

    def next_moment(self, waiter: Waiter) -> float | None:
        """Return when the wait is over for want of events."""
        return waiter.until

    def ticked(self, waiter: Waiter) -> None:
        """End a wait whose time is up."""
        if waiter.until is None or waiter.until > self._now():
            return
        kind = "signal" if waiter.signal else "event"
        within = format_duration(waiter.until - waiter.since)
        got = f"{len(waiter.got)} of {waiter.asked} came" if waiter.asked > 1 else "none came"
        message = f"waited {within} for the {kind} '{waiter.name}', and {got}"
        self._machine.waiting.fail(
            waiter, "wait.timeout", message, {"got": waiter.got} if waiter.asked > 1 else None
        )

    def gave_up(self, waiter: Waiter) -> None:
        """Keep nothing."""
