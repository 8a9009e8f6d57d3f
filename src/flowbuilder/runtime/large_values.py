"""Large outputs: each goes to the blob store, and its record waits for that."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Final

import msgspec

from flowbuilder.core.errors import StoreError
from flowbuilder.core.records import NULL, Ended
from flowbuilder.storage.blobs import names_in

if TYPE_CHECKING:
    import asyncio

    from flowbuilder.core.records import Collected, RoundEnded
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import RunState
    from flowbuilder.storage.api import Store

_log = logging.getLogger("flowbuilder.engine")

_UNKNOWN: Final = object()
_NO_LABELS: Final[dict[str, str]] = {}
"""One for all runs; nobody writes to the labels of a row."""


class LargeValues:
    """Keeps outputs that are too large for a journal."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def keep(self, run: RunState, record: Ended | RoundEnded | Collected, encoded: bytes) -> None:
        """Put a large output into the blob store; its record joins no flush before that is done."""
        place = len(run.records)
        run.records.append(msgspec.structs.replace(record, output=NULL))
        run.blobs += 1
        machine = self._machine
        keep = functools.partial(_keep_blob, machine.store, encoded)
        kept = machine.loop.run_in_executor(None, keep)

        def done(kept: asyncio.Future[tuple[str, list[str]]]) -> None:
            if run.lost:
                kept.exception()
                return
            error = kept.exception()
            if error is not None:
                failure = error if isinstance(error, StoreError) else StoreError(str(error))
                machine.recovery.lost([run], failure)
                return
            blob, inner = kept.result()
            run.records[place] = msgspec.structs.replace(record, output=NULL, blob=blob)
            if inner:
                run.records[place] = msgspec.structs.replace(record, output=NULL, blob=blob, keeps=inner)
            run.blobs -= 1
            if not run.blobs:
                machine.committer.resume(run)

        kept.add_done_callback(done)


def _keep_blob(store: Store, encoded: bytes) -> tuple[str, list[str]]:
    """Keep a large value; return its name, and those of blobs that it refers to itself."""
    return store.blobs().put(encoded), names_in(encoded)
