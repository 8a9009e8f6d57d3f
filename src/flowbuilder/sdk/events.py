"""Events, signals and approvals over a store: what `Engine` and `Reader` have in common.  All of it blocks."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.compiler.nearest import nearest
from flowbuilder.core import values
from flowbuilder.core.approvals import KIND, OpenApproval, Voice, decode, signal_name, voice_id
from flowbuilder.core.errors import Conflict, FlowBuilderError, InputError, NotFound, RunEnded
from flowbuilder.core.failure import writable
from flowbuilder.core.matching import is_event_name
from flowbuilder.runtime.forms import check_form, with_defaults
from flowbuilder.storage.api import LIVE
from flowbuilder.storage.events import Event, EventFilter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.plans import Plans
    from flowbuilder.runtime.sealing import Sealing
    from flowbuilder.storage.api import RunRow, Store

PAGE: Final = 1000


def make_event(
    name: str,
    payload: Any,
    *,
    id: str | None = None,
    at: float | None = None,
    source: str = "",
    run_id: str | None = None,
    most_bytes: int = 1024 * 1024,
) -> Event:
    """Return an event that can be emitted.

    Raises:
        InputError: the name is none, or the payload cannot be kept; names both.
    """
    wrong: list[tuple[str, str]] = []
    if not is_event_name(name):
        wrong.append(("name", f"is made of words with dots between them, and not {str(name)[:80]!r}"))
    if id is not None and (not id or len(id) > 200 or writable(id) != id):
        wrong.append(("id", "is a text of 1 to 200 characters"))
    encoded = b""
    try:
        encoded = values.encode(payload)
    except Exception as error:  # whatever a program hands us
        wrong.append(("payload", str(error)[:300]))
    if len(encoded) > most_bytes:
        wrong.append(("payload", f"has {len(encoded):,} bytes, and may have {most_bytes:,}"))
    if wrong:
        raise InputError(wrong)
    return Event(
        id or secrets.token_hex(16), name, encoded, time.time() if at is None else at, source, run_id
    )


def _refuse_unheard(plan: FlowPlan, name: str) -> None:
    """Refuse a signal that nothing in a flow waits for.

    Raises:
        NotFound: with the nearest name that something waits for.
    """
    if plan.signals is None or name in plan.signals or not is_event_name(name):
        return
    heard = sorted(plan.signals)
    known = f"flow '{plan.name}' waits for no signal"
    if heard:
        some = ", ".join(heard[:10]) + (" …" if len(heard) > 10 else "")
        known = f"flow '{plan.name}' waits for: {some}"
    near = nearest(name, heard)
    hint = f"{near} {known}" if near else known
    raise NotFound("wait for the signal", name, f"{hint}; `anyway` sends it all the same")


def send_signal(store: Store, plans: Plans, sealing: Sealing, event: Event, *, anyway: bool = False) -> None:
    """Keep a signal durably: encrypted where a sensitive task of its run may be what it is for.

    Args:
        store: where its run is.
        plans: makes the plan of the run's flow.
        sealing: encrypts.
        event: the signal.
        anyway: also where nothing in the flow waits for it.

    Raises:
        NotFound, RunEnded: nothing was sent.
        EncryptionKeyMissing: it has to be encrypted, and there is no key.
    """
    assert event.run_id is not None
    row = store.run(event.run_id)
    definition = None if row is None else store.flow(row.flow_hash)
    if row is not None and row.status in LIVE and definition is not None:
        plan = _plan(plans, row, definition)
        if plan is not None and not anyway:
            _refuse_unheard(plan, event.name)
        if plan is not None and plan.hears_sealed:
            sealing.inputs(row)  # with other keys than the run's own nobody could open it
            event = sealing.sealed_event(event)
    store.events().emit(event)


def _plan(plans: Plans, row: RunRow, definition: bytes) -> FlowPlan | None:
    """Return the plan of a run; None where it cannot be made here, and is not needed for what is sensitive."""
    try:
        return plans.of_run(row, definition)
    except FlowBuilderError:  # a plug-in may be missing where a person sends something
        if b"sensitive" in definition + (row.about or b""):
            raise
        return None


def find_events(
    store: Store,
    *,
    names: tuple[str, ...] = (),
    since: float | None = None,
    after: int = 0,
    limit: int | None = None,
) -> list[Event]:
    """Return events, oldest first; with a `limit` the newest of them."""
    found: list[Event] = []
    while True:
        page = store.events().find(EventFilter(names=names, since=since, after=after, limit=PAGE))
        found += page
        if limit is not None:
            found = found[-limit:]
        if len(page) < PAGE:
            return found
        after = page[-1].number


# -- approvals ---------------------------------------------------------------------------


def open_approvals(store: Store, run_id: str | None = None) -> list[OpenApproval]:
    """Return what is to be decided, oldest first; of one run, or of all."""
    prefix = "" if run_id is None else f"{run_id}/"
    found = [approval for approval in _all(store, prefix) if _is_live(store, approval)]
    return sorted(found, key=lambda approval: (approval.opened_at, approval.run_id, approval.task))


def open_approval(store: Store, row: RunRow, task: str | None) -> OpenApproval:
    """Return one approval of a run; `task` may be left out where there is only one.

    Raises:
        NotFound: there is none, or several.
    """
    found = open_approvals(store, row.id)
    named = [approval for approval in found if task is None or approval.task == task]
    if len(named) == 1:
        return named[0]
    if row.status not in LIVE:
        raise RunEnded(row.id)
    tasks = ", ".join(approval.task for approval in found)
    if named:
        raise NotFound("single open approval", row.id, f"name the task: {tasks}")
    raise NotFound("open approval", task or row.id, f"open are: {tasks}" if tasks else "")


def voices_of(store: Store, approval: OpenApproval) -> list[Voice]:
    """Return all voices: those that were counted, and those that wait to be."""
    which = EventFilter(names=(signal_name(approval.task),), run_id=approval.run_id)
    waiting = [
        msgspec.convert(values.decode(event.payload), Voice)
        for event in store.events().find(which)
        if event.at >= approval.opened_at
    ]
    known = {voice.by for voice in approval.voices}
    return [*approval.voices, *(voice for voice in waiting if voice.by not in known)]


def decide(
    store: Store,
    approval: OpenApproval,
    by: str,
    *,
    approve: bool,
    form: Mapping[str, Any] | None = None,
    reason: str = "",
    at: float | None = None,
    sealing: Sealing,
) -> None:
    """Leave somebody's voice, durably; the engine that drives the run, or the next one, counts it.

    Raises:
        InputError: with all that is wrong with the form.
        Conflict: it may not be counted: somebody else's to decide, decided already, a second voice.
        RunEnded: the run has ended.
        EncryptionKeyMissing: it is sensitive, and there is no key to encrypt it.
    """
    voices = voices_of(store, approval)
    filled = with_defaults(approval.form, form or {}) if approve else {}
    voice = Voice(by, approve, time.time() if at is None else at, filled, reason)
    shown = msgspec.structs.replace(approval, voices=voices)
    refused = shown.refusal(voice)
    if refused is None and any(not known.approve for known in voices):
        refused = "it was rejected already"
    if refused is None and sum(known.approve for known in voices) >= approval.quorum:
        refused = "it was approved already"
    if refused is not None:
        raise Conflict(f"the approval '{approval.task}' of run {approval.run_id}", refused)
    if approve and (wrong := check_form(approval.form, filled)):
        raise InputError(wrong)
    if approval.sensitive:
        row = store.run(approval.run_id)
        if row is not None:
            sealing.inputs(row)  # with other keys than the run's own nobody could open it
        voice = sealing.sealed_voice(approval.run_id, approval.task, voice)
    payload = values.encode(voice.kept())
    name = signal_name(approval.task)
    store.events().emit(
        Event(voice_id(approval, by), name, payload, voice.at, f"person:{by}", approval.run_id)
    )


def _all(store: Store, prefix: str) -> Iterator[OpenApproval]:
    after = ""
    while True:
        page = store.facts().list(KIND, prefix=prefix, after=after, limit=PAGE)
        for fact in page:
            yield decode(fact.value)
        if len(page) < PAGE:
            return
        after = page[-1].key


def _is_live(store: Store, approval: OpenApproval) -> bool:
    """Tell whether an approval's run goes on: where an engine broke off, its fact may outlive it."""
    row = store.run(approval.run_id)
    return row is not None and row.status in LIVE
