"""The `approval` task: a wait for voices, with reminders, escalation and expiry.

What is open is a fact of the store (`core.approvals`), so that anybody can
list it and decide; a voice is a signal to the run under a name that no flow
can write.  The engine takes a voice into the journal before anything rests on
it, and so it does with reminders and the escalation: each happens once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core import values
from flowbuilder.core.approvals import (
    KIND,
    OpenApproval,
    Voice,
    approval_key,
    nudge_id,
    signal_name,
)
from flowbuilder.core.durations import format_duration
from flowbuilder.core.errors import ExpressionError, FlowBuilderError
from flowbuilder.core.functions.writing import written
from flowbuilder.core.records import Nudged
from flowbuilder.runtime.forms import check_form
from flowbuilder.runtime.wait_params import moment, seconds_or_none, whole
from flowbuilder.storage.api import Fact, Forget, Keep
from flowbuilder.storage.events import Emit, Event

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Execution, RunState
    from flowbuilder.runtime.waiter import Waiter

LEAST_REMINDER: Final = 1.0
"""Seconds between two reminders at least."""


class Request(msgspec.Struct):
    """What an approval asks for, and how it stands."""

    open: OpenApproval
    on_timeout: str
    reminder: float | None
    escalate_after: float | None
    escalate_to: tuple[str, ...]
    reminded: int = 0
    escalated: bool = False


class Approvals:
    """Begins approvals, counts voices, reminds, escalates."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._now = machine.clock.now

    def begin(self, execution: Execution) -> None:
        """Ask for a decision; one that the journal knows goes on, with the voices that it has."""
        run = execution.frame.run
        waiting = self._machine.waiting
        try:
            request, timeout = self._request(execution)
        except ExpressionError as error:
            self._machine.failures.fail(execution, error.kind, error.message)
            return
        name = signal_name(execution.path)
        waiter = waiting.make(execution, self, name, signal=True, timeout=timeout)
        shown = request.open
        shown.opened_at, shown.due_at = waiter.since, waiter.until
        waiter.asked = request
        for nudge in (
            run.recovered.nudges.get((execution.path, execution.attempt), ()) if run.recovered else ()
        ):
            self._nudged(request, nudge)
        voices = [msgspec.convert(voice, Voice) for voice in waiter.got]
        shown.voices = [voice for voice in voices if voice.approve]
        if any(not voice.approve for voice in voices) or len(shown.voices) >= shown.quorum:
            self._decide(waiter, voices[-1])  # its end was lost
            return
        self._keep(waiter)  # also where it is known: the run may be a copy of another
        if waiter.fresh:
            self._machine.calls.log(run, execution.path, "info", f"waits for a decision: {shown.message}")
        waiting.open(waiter, f"an approval: {shown.message[:200]}")

    def _request(self, execution: Execution) -> tuple[Request, float | None]:
        run, params = execution.frame.run, execution.params
        message = written(params.get("message"))
        for hides in (run.masker, run.veil):
            if hides is not None:
                message = hides.text(message)
        reminder = seconds_or_none(params.get("reminder"), "reminder")
        if reminder is not None and reminder < LEAST_REMINDER:
            raise ExpressionError("expression.value", "'reminder' is at least 1s")
        assignees = _people(params.get("assignees"), "assignees")
        more = _people(params.get("escalate_to"), "escalation.assignees") or ()
        quorum = whole(params.get("quorum", 1), "quorum", 1000)
        if assignees is not None and len({*assignees, *more}) < quorum:
            raise ExpressionError(
                "expression.value",
                f"the quorum is {quorum}, and there are {len({*assignees, *more})} who may decide",
            )
        shown = OpenApproval(
            run_id=run.id,
            task=execution.path,
            attempt=execution.attempt,
            flow=run.row.flow,
            message=message,
            form=params.get("form"),
            assignees=assignees,
            quorum=quorum,
            opened_at=0.0,
            sensitive=execution.task.sensitive,
        )
        request = Request(
            shown,
            params.get("on_timeout", "fail"),
            reminder,
            seconds_or_none(params.get("escalate_after"), "escalation.after"),
            more,
        )
        return request, seconds_or_none(params.get("timeout"), "timeout")

    # -- voices -------------------------------------------------------------------------

    def offered(self, waiter: Waiter, event: Event) -> None:
        """Count a voice, unless it may not be counted."""
        if waiter.until is not None and event.at > waiter.until:
            return
        request: Request = waiter.asked
        shown = request.open
        run, path = waiter.run, waiter.execution.path
        payload = values.decode(event.payload)
        try:
            voice = msgspec.convert(payload, Voice)
        except msgspec.ValidationError:
            return
        refused = shown.refusal(voice) or self._misfit(waiter, voice)
        if refused is not None:
            self._machine.calls.log(
                run, path, "warning", f"the voice of {voice.by} was not counted: {refused}"
            )
            return
        if shown.sensitive and voice.sealed is None:  # it comes from somebody who does not know
            voice = self._machine.sealing.sealed_voice(run.id, path, voice)
            payload = voice.kept()
        waiter.got.append(payload if run.masker is None else run.masker.value(payload))
        self._machine.waiting.take(waiter, event, keep=True)
        word = "approved" if voice.approve else "rejected"
        self._machine.calls.log(run, path, "info", f"{word} by {voice.by}", voice.shown())
        if voice.approve:
            shown.voices = [*shown.voices, voice]
        if not voice.approve or len(shown.voices) >= shown.quorum:
            self._decide(waiter, voice)
        else:
            self._keep(waiter)

    def _misfit(self, waiter: Waiter, voice: Voice) -> str | None:
        """Return what is wrong with what somebody has filled in; None if nothing is."""
        shown: OpenApproval = waiter.asked.open
        try:
            opened = self._opened(waiter, voice)
        except FlowBuilderError as error:
            return str(error)
        wrong = check_form(shown.form, opened.form) if voice.approve else []
        if wrong and shown.sensitive:  # what is wrong with a value may quote it
            return "it does not fit the form: " + ", ".join(where for where, _ in wrong)
        return "; ".join(f"{where}: {what}" for where, what in wrong) or None

    def _opened(self, waiter: Waiter, voice: Voice) -> Voice:
        shown: OpenApproval = waiter.asked.open
        return self._machine.sealing.opened_voice(shown.run_id, shown.task, voice)

    def _decide(self, waiter: Waiter, voice: Voice) -> None:
        """End the wait with the voice that decided it."""
        request: Request = waiter.asked
        voice = self._opened(waiter, voice)
        if not voice.approve:
            reason = f": {voice.reason}" if voice.reason else ""
            data = {"by": voice.by, "at": moment(voice.at), "reason": voice.reason}
            self._machine.waiting.fail(waiter, "approval.rejected", f"rejected by {voice.by}{reason}", data)
            return
        output: dict[str, Any] = {"by": voice.by, "at": moment(voice.at), "form": voice.form}
        if request.open.quorum > 1:
            output["voices"] = [
                {"by": each.by, "at": moment(each.at), "form": each.form} for each in self._all_opened(waiter)
            ]
        self._machine.waiting.finish(waiter, output)

    def _all_opened(self, waiter: Waiter) -> list[Voice]:
        return [self._opened(waiter, voice) for voice in waiter.asked.open.voices]

    # -- time -----------------------------------------------------------------------------

    def next_moment(self, waiter: Waiter) -> float | None:
        """Return when to remind, to escalate or to give up, whichever comes first."""
        request: Request = waiter.asked
        moments = [waiter.until] if waiter.until is not None else []
        if request.reminder is not None:
            moments.append(waiter.since + (request.reminded + 1) * request.reminder)
        if request.escalate_after is not None and not request.escalated:
            moments.append(waiter.since + request.escalate_after)
        return min(moments, default=None)

    def ticked(self, waiter: Waiter) -> None:
        """Remind, escalate, give up."""
        request: Request = waiter.asked
        now = self._now()
        after = request.escalate_after
        if after is not None and not request.escalated and waiter.since + after <= now:
            self._escalate(waiter, request)
        if waiter.until is not None and waiter.until <= now:
            self._expire(waiter, request)
            return
        if request.reminder is not None:
            due = int((now - waiter.since + 1e-6) // request.reminder)
            if due > request.reminded:  # those that nobody was there to send are one
                self._nudge(waiter, "reminder", due)

    def _escalate(self, waiter: Waiter, request: Request) -> None:
        self._nudge(waiter, "escalation", 1)
        self._keep(waiter)

    def _expire(self, waiter: Waiter, request: Request) -> None:
        waiting = self._machine.waiting
        assert waiter.until is not None
        within = format_duration(waiter.until - waiter.since)
        if request.on_timeout == "approve":
            output: dict[str, Any] = {"by": None, "at": moment(waiter.until), "form": {}}
            if request.open.quorum > 1:
                output["voices"] = [voice.shown() for voice in self._all_opened(waiter)]
            waiting.finish(waiter, output)
        elif request.on_timeout == "reject":
            data = {"by": None, "at": moment(waiter.until), "reason": "nobody decided in time"}
            waiting.fail(waiter, "approval.rejected", f"nobody decided within {within}", data)
        else:
            got = len(request.open.voices)
            so_far = f"; {got} of {request.open.quorum} approved" if got else ""
            waiting.fail(waiter, "approval.timeout", f"no decision within {within}{so_far}")

    def _nudge(self, waiter: Waiter, kind: str, number: int) -> None:
        """Put a reminder or an escalation into the journal, the log and among the events, all in one flush."""
        request: Request = waiter.asked
        run, execution = waiter.run, waiter.execution
        record = Nudged(execution.path, execution.attempt, kind, number, self._now())
        run.records.append(record)
        self._nudged(request, record)
        shown = request.open
        name = "approval.reminder" if kind == "reminder" else "approval.escalated"
        payload = {**shown.payload(), "number": number}
        id = nudge_id(run.id, execution.path, execution.attempt, kind, number)
        source = f"{run.id}/{execution.path}"
        run.add_write(id, Emit(Event(id, name, values.encode(payload), record.at, source)))
        self._machine.committer.touch(run)
        who = ", ".join(shown.assignees) if shown.assignees else "anybody"
        what = "reminder" if kind == "reminder" else "escalated"
        self._machine.calls.log(
            run, execution.path, "warning", f"{what}: {shown.message} (waits for {who})", payload
        )

    @staticmethod
    def _nudged(request: Request, nudge: Nudged) -> None:
        if nudge.kind == "reminder":
            request.reminded = max(request.reminded, nudge.number)
            return
        request.escalated = True
        shown = request.open
        shown.escalated_at = nudge.at
        if shown.assignees is not None:
            shown.assignees = tuple(dict.fromkeys((*shown.assignees, *request.escalate_to)))

    # -- what others see ------------------------------------------------------------------

    def _keep(self, waiter: Waiter) -> None:
        shown: OpenApproval = waiter.asked.open
        key = approval_key(shown.run_id, shown.task)
        waiter.run.add_write(f"approval {key}", Keep(Fact(KIND, key, shown.encode())))
        self._machine.committer.touch(waiter.run)

    def gave_up(self, waiter: Waiter) -> None:
        """Take it from the list of what is open."""
        self.forget(waiter.run, waiter.execution.path)
        self._machine.committer.touch(waiter.run)

    @staticmethod
    def forget(run: RunState, path: str) -> None:
        """Take what may be open at a path from the list, with the next flush."""
        key = approval_key(run.id, path)
        run.add_write(f"approval {key}", Forget(KIND, key))


def _people(value: Any, what: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    people = [value] if type(value) is str else value
    if type(people) is not list or not people or not all(type(one) is str and one.strip() for one in people):
        raise ExpressionError("expression.value", f"'{what}' is a list of names")
    return tuple(dict.fromkeys(people))
