"""`emit`: an event, durable before the task ends, and emitted once however often the task is executed."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from flowbuilder.core.errors import TaskFailed
from flowbuilder.core.masking import Masker
from flowbuilder.core.matching import is_event_name
from flowbuilder.tasks.params import mapping
from flowbuilder.tasks.specs.waiting import EMIT

if TYPE_CHECKING:
    from flowbuilder.tasks.api import Call


class Emit:
    """Emits one event."""

    spec = EMIT

    async def run(self, call: Call) -> str:
        """Return the event's id when the event is on disk."""
        params = mapping(call.params)
        name = params.get("event")
        if type(name) is not str or not is_event_name(name):
            raise TaskFailed("input", f"an event's name is made of dotted words, not {name!r:.80}")
        key = params.get("key")
        if key is not None and type(key) not in (str, int, float):
            raise TaskFailed("input", f"'key' takes a text, and this is {type(key).__name__}")
        unique = f"{call.idempotency_key}" if key is None else f"{name}\0{key}"
        id = hashlib.sha256(unique.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        source = f"{call.run_id}/{call.task}"
        payload = params.get("payload")
        if masker := Masker({str(n): secret for n, secret in enumerate(call.secrets)}):
            payload = masker.value(payload)  # what is emitted is read by others, and kept
        await call.services.emit(id, name, payload, source, sensitive=call.sensitive)
        return id
