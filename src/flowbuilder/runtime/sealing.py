"""What is sensitive is sealed before it is handed to the store, and opened when it comes back.

It is plain in the memory of the engine that drives the run, and nowhere else.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core import values
from flowbuilder.core.approvals import voice_place
from flowbuilder.core.errors import StoreCorrupt
from flowbuilder.core.globs import kind_matches
from flowbuilder.core.limits import key_text
from flowbuilder.core.masking import MASK
from flowbuilder.core.plan import Hidden
from flowbuilder.core.sealed import Sealed
from flowbuilder.core.veil import Veil
from flowbuilder.storage.blobs import names_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flowbuilder.core.approvals import Voice
    from flowbuilder.core.failure import Error
    from flowbuilder.core.plan import FlowPlan, Function, Scope, TaskPlan
    from flowbuilder.runtime.encryption import Encryption, Keys
    from flowbuilder.runtime.state import RunState
    from flowbuilder.storage.api import Blobs, RunRow
    from flowbuilder.storage.events import Event

OUR_WORDS: Final = (
    "timeout",
    "cancelled",
    "engine.*",
    "executor.crashed",
    "repeat.max",
    "shell.missing",
)
"""Kinds of error whose messages are the engine's own, and show no values."""

_PLACE: Final = re.compile(r"\S+?\.(?:ya?ml|json|py):\d+:\d+: ")
"""What the message of an expression that failed begins with."""

OUTPUTS: Final = "outputs"
"""The place that the outputs of a run are sealed for, where all of it is sensitive."""


class Sealing:
    """Seals and opens what belongs to runs."""

    def __init__(self, encryption: Encryption, blobs: Callable[[], Blobs]) -> None:
        self._encryption = encryption
        self._blobs = blobs

    def check(self, plan: FlowPlan) -> None:
        """See that there is a key, if the flow has anything sensitive.

        Raises:
            EncryptionKeyMissing, EncryptionKeyUnusable.
        """
        if plan.seals:
            self._encryption.keys(
                f"flow '{plan.name}' has sensitive values, and there is no key to encrypt them"
            )

    def keys(self, what: str) -> Keys:
        """Return the keys; `what` they are needed for, should there be none.

        Raises:
            EncryptionKeyMissing, EncryptionKeyUnusable.
        """
        return self._encryption.keys(what)

    def seal(self, run_id: str, place: str, encoded: bytes) -> bytes:
        """Return an encoded value as it may be kept: encoded again, and sealed."""
        keys = self._encryption.keys(f"'{place}' is sensitive, and there is no key to encrypt it")
        sealed = keys.seal(encoded, run_id, place, self._names_in(encoded))
        return values.encode(sealed, max_bytes=2 * len(encoded) + values.BLOB_BYTES)

    def _names_in(self, encoded: bytes) -> list[str]:
        """Return the names of the blobs that a value refers to.

        Any other text of 64 hexadecimal digits, such as a token, is no name, and stays inside.
        """
        return [name for name in dict.fromkeys(names_in(encoded)) if self._is_kept(name)]

    def _is_kept(self, name: str) -> bool:
        try:
            self._blobs().renew(name)
        except StoreCorrupt:
            return False
        return True

    def digests(self, what: str, encoded: bytes) -> list[str]:
        """Return what stands for a value that is only compared, by each key; the first is for what is written.

        Args:
            what: the value is, should there be no key.
            encoded: the value.
        """
        keys = self._encryption.keys(f"{what} is sensitive, and there is no key to make a digest of it")
        return keys.digests(encoded)

    def open(self, run_id: str, place: str, sealed: Sealed) -> Any:
        """Return the value that was sealed for a place in a run.

        Raises:
            EncryptionKeyMissing, EncryptionKeyUnusable.
        """
        keys = self._encryption.keys(
            f"'{place}' of run {run_id} is encrypted, and there is no key to decrypt it"
        )
        return values.decode(keys.open(sealed, run_id, place))

    def opened(self, place: str, encoded: bytes) -> bytes:
        """Return an encoded value that was kept beyond its run, opened if it is sealed.

        Raises:
            EncryptionKeyMissing, EncryptionKeyUnusable.
        """
        if not values.is_sealed(encoded):
            return encoded
        keys = self._encryption.keys(f"'{place}' is encrypted, and there is no key to decrypt it")
        return keys.open(values.decode(encoded), "", place)

    def opener(self, run_id: str) -> Callable[[str, Sealed], Any]:
        """Return what opens the outputs of a run, by path."""
        return functools.partial(self.open, run_id)

    def seal_inputs(self, run_id: str, hidden: Iterable[str], inputs: dict[str, Any]) -> bytes:
        """Return a run's inputs as its row keeps them, those that are hidden sealed."""
        keys = self._encryption.keys("inputs are sensitive, and there is no key to encrypt them")
        kept = dict(inputs)
        for name in hidden:
            if name in kept:
                encoded = values.encode(kept[name])
                kept[name] = keys.seal(encoded, run_id, _input(name), self._names_in(encoded))
        return values.encode(kept)

    def inputs(self, row: RunRow) -> dict[str, Any]:
        """Return a run's inputs, from its row.

        Raises:
            EncryptionKeyMissing, EncryptionKeyUnusable.
        """
        found: dict[str, Any] = values.decode(row.inputs)
        for name, value in found.items():
            if type(value) is Sealed:
                found[name] = self.open(row.id, _input(name), value)
        return found

    def key_of(self, function: Function, scope: Scope) -> str:
        """Return the text of a key, or what stands for it where it may hold something sensitive.

        Raises:
            ExpressionError: it cannot be evaluated.
        """
        text = key_text(function(scope))
        if type(function) is not Hidden:
            return text
        return f"hidden-{self.digests('a key', text.encode('utf-8', 'surrogatepass'))[0]}"

    def sealed_event(self, event: Event) -> Event:
        """Return an event whose payload nobody reads without a key, in the store or anywhere on its way."""
        place = f"event {event.id}"
        return msgspec.structs.replace(event, payload=self.seal(event.run_id or "", place, event.payload))

    def opened_event(self, event: Event) -> Event:
        """Return an event with its payload as it was emitted.

        Raises:
            EncryptionKeyMissing, EncryptionKeyUnusable.
        """
        if not values.is_sealed(event.payload):
            return event
        value = self.open(event.run_id or "", f"event {event.id}", values.decode(event.payload))
        return msgspec.structs.replace(event, payload=values.encode(value))

    def opened_trigger(self, trigger: Any) -> Any:
        """Return what expressions see as `trigger`: an event with its payload as it was emitted.

        Raises:
            EncryptionKeyMissing, EncryptionKeyUnusable.
        """
        event = trigger.get("event") if type(trigger) is dict else None
        if type(event) is not dict or type(event.get("payload")) is not Sealed:
            return trigger
        payload = self.open("", f"event {event['id']}", event["payload"])
        return {**trigger, "event": {**event, "payload": payload}}

    def sealed_voice(self, run_id: str, task: str, voice: Voice) -> Voice:
        """Return a voice of which everybody sees whose it is, and nobody without a key what it says."""
        said = values.encode({"form": voice.form, "reason": voice.reason})
        sealed = values.decode(self.seal(run_id, voice_place(task, voice.by), said))
        return msgspec.structs.replace(voice, form={}, reason="", sealed=sealed)

    def opened_voice(self, run_id: str, task: str, voice: Voice) -> Voice:
        """Return a voice with all that was said.

        Raises:
            EncryptionKeyMissing, EncryptionKeyUnusable.
        """
        if type(voice.sealed) is not Sealed:
            return voice
        said = self.open(run_id, voice_place(task, voice.by), voice.sealed)
        return msgspec.structs.replace(voice, form=said["form"], reason=said["reason"], sealed=None)

    def outcome(self, run_id: str, result: bytes | None) -> Any:
        """Return what a run came to, from its row: its outputs, or its error.

        Raises:
            EncryptionKeyMissing, EncryptionKeyUnusable.
        """
        value = None if result is None else values.decode(result)
        return self.open(run_id, OUTPUTS, value) if type(value) is Sealed else value

    # -- what people may see -----------------------------------------------------------

    @staticmethod
    def veil(run: RunState, value: Any) -> None:
        """Have the texts in a sensitive value masked in what the run logs and reports from here on."""
        if run.veil is None:
            run.veil = Veil()
        run.veil.add(value)

    def veil_inputs(self, run: RunState, inputs: Mapping[str, Any]) -> None:
        """Have the texts in the inputs masked that are sealed in the run's row."""
        for name, kept in values.decode(run.row.inputs).items():
            if type(kept) is Sealed:
                self.veil(run, inputs.get(name))


def as_kept(run: RunState, task: TaskPlan | None, error: Error) -> Error:
    """Return an error of a task (None: of the run's outputs) as it may be kept and shown.

    Secrets are masked in it, what is sensitive is hidden.  Every error goes through
    here before it is recorded, of whichever way a task was carried out.
    """
    if run.masker is not None:
        error = run.masker.value(error)
    if task.sensitive if task is not None else run.plan.sealed:
        error = _hide(error)
    if run.veil is not None:
        message, data = run.veil.text(error["message"]), run.veil.value(error["data"])
        error = {**error, "kind": run.veil.text(error["kind"]), "message": message, "data": data}
    return error


def _hide(error: Error) -> Error:
    """Return an error of a sensitive task as it may be kept: what the task itself said is not.

    Of an expression that failed is left where it stands, of an output that is no value what is wrong
    with it: the rest may quote a value, or a key.
    """
    if kind_matches(error["kind"], ("output.*",)) and error["kind"] != "output.schema":
        return {**error, "message": f"{MASK}: {error['message'].rpartition(': ')[2]}"}
    if kind_matches(error["kind"], OUR_WORDS):
        return error
    if kind_matches(error["kind"], ("expression.*",)) and (place := _PLACE.match(error["message"])):
        return {**error, "message": place[0] + MASK, "data": None}
    return {**error, "message": MASK, "data": None}


def _input(name: str) -> str:
    return f"inputs.{name}"
