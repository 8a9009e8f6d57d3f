"""Runs whose version of the flow cannot be made any more, as a plug-in that it needs is gone or broken.

They are kept, and read again now and then: the plug-in may come back.  Who
wants such a run gone can cancel it; nothing of it can be undone then, and
its error says so.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from flowbuilder.core import values
from flowbuilder.core.approvals import KIND as APPROVALS
from flowbuilder.core.approvals import approval_key
from flowbuilder.core.failure import failure
from flowbuilder.runtime.on_disk import put_on_disk
from flowbuilder.runtime.recovered import replay
from flowbuilder.storage.api import LIVE, Change, Forget, Log
from flowbuilder.storage.events import Unsubscribe

if TYPE_CHECKING:
    from flowbuilder.core.errors import FlowError
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.recovered import Recovered
    from flowbuilder.storage.api import RunRow, Write

_log = logging.getLogger("flowbuilder.engine")

_MOST_TOLD = 10_000
"""Runs of which it is remembered that their fault has been told."""


class Unreadable:
    """Sees to runs that this engine owns and cannot read."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._told: dict[str, str] = {}

    def found(self, row: RunRow, error: FlowError) -> None:
        """Take in that a run cannot be carried on."""
        self._tell(row.id, str(error))
        self._machine.recovery.in_background(self._see_to(row, error))

    def _tell(self, run_id: str, why: str) -> None:
        if self._told.get(run_id) == why:
            return
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told[run_id] = why
        _log.error("run %s cannot be carried on: %s", run_id, why)
        now = self._machine.clock.now()
        self._machine.store.submit(Log(run_id, "", now, "error", f"the run cannot be carried on: {why}"))

    async def _see_to(self, row: RunRow, error: FlowError) -> None:
        machine = self._machine
        found = await machine.in_thread(functools.partial(self._cancelled, row.id))
        if found is None:
            machine.recovery.reload_later([row.id])
            return
        await put_on_disk(machine.store, self._end(row.id, found, error))
        self._told.pop(row.id, None)
        ended = await machine.in_thread(functools.partial(machine.store.run, row.id))
        if ended is not None:
            machine.runs.ended_in_store(ended)

    def _cancelled(self, run_id: str) -> Recovered | None:
        """Return what is known of a run that somebody has cancelled, None of any other; on a thread."""
        store = self._machine.store
        found = replay(store.journal(run_id), store.blobs().get)
        row = store.run(run_id)
        return found if found.cancel is not None and row is not None and row.status in LIVE else None

    def _end(self, run_id: str, found: Recovered, error: FlowError) -> list[Write]:
        """Return what ends a run without its plan, and lets go of what it waits for."""
        assert found.cancel is not None
        reason = found.cancel.reason or "cancelled"
        message = f"{reason}; nothing was undone, as its flow cannot be read any more: {error}"
        changes: dict[str, Any] = {
            "status": "cancelled",
            "ended_at": self._machine.clock.now(),
            "result": values.encode(failure("cancelled", message)),
            "owner": None,
            "wake_at": None,
        }
        writes: list[Write] = [Change(run_id, changes)]
        for path in found.waits:
            if path not in found.ended:
                writes += [Forget(APPROVALS, approval_key(run_id, path)), Unsubscribe(run_id, path)]
        return writes
