"""Reads runs from the store, and goes on with them.

A run comes back by going through its plan again from the start, with what
the journal says of each task in place of carrying it out.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.core import values
from flowbuilder.core.approvals import KIND as APPROVALS
from flowbuilder.core.approvals import approval_key
from flowbuilder.core.errors import FlowBuilderError, FlowError, StoreCorrupt, StoreError
from flowbuilder.runtime.children import children_of
from flowbuilder.runtime.encryption import EncryptionKeyMissing, EncryptionKeyUnusable
from flowbuilder.runtime.events import RunEvent
from flowbuilder.runtime.recovered import Recovered, replay
from flowbuilder.storage.api import LIVE, Forget
from flowbuilder.storage.events import Unsubscribe
from flowbuilder.storage.lanes import NEEDS_PLACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import RunState
    from flowbuilder.storage.api import RunRow, RunStatus

_log = logging.getLogger("flowbuilder.engine")

STEP = 50
"""Runs that are read before others have the threads."""


class Loaded(msgspec.Struct):
    """A run as the store knows it, read on a thread."""

    row: Any
    plan: Any
    """Or why it cannot be read."""
    recovered: Any
    batches: int
    """The number of the next."""


class Loading:
    """Reads runs that this engine owns; each once, however many ask for it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._reading: dict[str, asyncio.Future[None]] = {}
        self.refused: dict[str, FlowBuilderError] = {}
        """Runs whose keys are not here, and why: whoever waits for their end here waits in vain."""
        self._suspect: set[str] = set()
        """Runs whose last flush failed: nothing of theirs starts before one has succeeded."""

    def suspect(self, run_ids: Iterable[str]) -> None:
        """Take care of runs when they come back: what failed to be written may fail again."""
        self._suspect.update(run_ids)

    async def being_read(self, run_id: str) -> bool:
        """Wait for a run that is being read; False if it is not."""
        reading = self._reading.get(run_id)
        if reading is None:
            return False
        await asyncio.shield(reading)
        return True

    async def carry_on(self, rows: Sequence[RunRow]) -> None:
        """Go on with runs that this engine has claimed; returns when all of them have been read."""
        reading = self._reading
        others = [reading[row.id] for row in rows if row.id in reading]
        live = self._machine.runs.live
        ours = [row for row in rows if row.id not in reading and row.id not in live]
        for row in ours:
            reading[row.id] = self._machine.loop.create_future()
        try:
            for start in range(0, len(ours), STEP):
                some = ours[start : start + STEP]
                for item in await self._machine.in_thread(functools.partial(self._load_all, some)):
                    if await self._begins(item):
                        self._enter(item)
                    self._has_been_read(item.row.id)
        finally:
            for row in ours:
                self._has_been_read(row.id)
        for other in others:
            await asyncio.shield(other)

    async def _begins(self, item: Loaded) -> bool:
        """Tell whether a run goes on now; one of which the store cannot say it keeps no other from being read."""
        try:
            await self._stop_children(item)
            placed = item.row.started_at is not None and not _needs_place(item)
            return placed or await self._may_begin(item)
        except StoreError as error:
            _log.error("run %s cannot be begun: %s", item.row.id, error)
            self._machine.recovery.reload_later([item.row.id])
            return False

    async def _stop_children(self, item: Loaded) -> None:
        """Have it on disk that the runs which a cancelled one waited for are to stop, before it can end itself.

        Its graph is frozen, and does not come to them; once it has ended nobody else would.
        """
        found = item.recovered
        if not isinstance(found, Recovered) or found.cancel is None:
            return
        store = self._machine.store
        children = await self._machine.in_thread(functools.partial(children_of, store, item.row.id, found))
        if children:
            why = "its parent was told to stop (cancelled)"
            await self._machine.steering.cancel_in_store(children, why, undo=found.cancel.undo)

    async def _may_begin(self, item: Loaded) -> bool:
        """Tell whether a start that was held begins now; if not, it is queued, or has ended."""
        if not isinstance(item.recovered, Recovered):
            return True  # what is wrong with it is said where it is entered
        if not await self._machine.lanes.begin_held(item.row, item.plan):
            return False
        item.row.started_at = item.row.started_at or self._machine.clock.now()
        return True

    def _has_been_read(self, run_id: str) -> None:
        reading = self._reading.pop(run_id, None)
        if reading is not None and not reading.done():
            reading.set_result(None)

    def _load_all(self, rows: Sequence[RunRow]) -> list[Loaded]:
        return [item for row in rows if (item := self._load(row)) is not None]

    def _load(self, row: RunRow) -> Loaded | None:
        """Read one run on a thread; None if it is no longer ours to carry on.

        What cannot be read is told as an error in place of a plan.
        """
        machine, store = self._machine, self._machine.store
        try:
            now = store.run(row.id)  # it may have ended since it was claimed
            if now is None or now.status not in LIVE or now.owner != self._machine.id:
                return None
            definition = store.flow(row.flow_hash)
            if definition is None:
                raise StoreCorrupt(f"the flow of run {row.id} is not in the store")
            plan = self._machine.plans.of_run(row, definition)
            self._machine.weighing.at_first(plan)
            batches = store.journal(row.id)
            recovered = replay(batches, store.blobs().get, machine.sealing.opener(row.id))
            return Loaded(row, plan, recovered, recovered.compacted + len(batches))
        except Exception as error:  # one that cannot be read keeps no other from being carried on
            return Loaded(row, error, None, 0)

    def _enter(self, item: Loaded) -> None:
        row, machine = item.row, self._machine
        if row.id in machine.runs.live:
            return
        if isinstance(item.plan, FlowError):
            machine.unreadable.found(row, item.plan)
            return
        if not isinstance(item.recovered, Recovered):
            _log.error("run %s cannot be carried on: %s", row.id, item.plan)
            if isinstance(item.plan, EncryptionKeyMissing | EncryptionKeyUnusable):
                self.refused[row.id] = item.plan
            if isinstance(item.plan, StoreError) and not isinstance(item.plan, StoreCorrupt):
                machine.recovery.reload_later([row.id])  # the disk may be better soon
            return
        plan: FlowPlan = item.plan
        try:
            run = machine.runs.enter(row, plan, machine.sealing.inputs(row))
        except FlowBuilderError as error:
            _log.error("run %s cannot be carried on: %s", row.id, error)
            if isinstance(error, EncryptionKeyMissing | EncryptionKeyUnusable):
                self.refused[row.id] = error
            return
        run.accepted = True
        run.sequence = item.batches
        run.flushes = run.durable = 1  # as if by us: what it was accepted with is on disk
        run.recovered = item.recovered
        if row.status != "waiting":  # it did not wait in the store: what is past may have been used
            item.recovered.forget_past_moments(machine.clock.now())
        if item.recovered.pauses:
            machine.pauses.come_back(run, item.recovered)
        cancel = item.recovered.cancel
        if cancel is not None:
            run.cancel = (cancel.kind, cancel.reason)
            run.without_undo = not cancel.undo
            self._let_go(run, item.recovered)
        status: RunStatus = "running" if run.held is None else "paused"
        suspect = row.id in self._suspect
        self._suspect.discard(row.id)
        if suspect or row.status != status or row.wake_at is not None:
            started = row.started_at
            machine.committer.change(run, status=status, wake_at=None, owner=machine.id, started_at=started)
        if machine.bus.active:
            machine.bus.emit(RunEvent(run.id, plan.name, status, machine.clock.now()))
        if run.held is None and row.crashes >= machine.config.engine.crashes and self._give_up(run):
            return
        machine.phases.begin(run)
        machine.scheduler.pump(run)

    def _let_go(self, run: RunState, found: Recovered) -> None:
        """Let go of what a cancelled run waited for: its graph is frozen, and does not come to it."""
        for path in found.waits:
            if path not in found.ended and not path.startswith("finally:"):
                key = approval_key(run.id, path)  # in case that it is one
                run.add_write(f"approval {key}", Forget(APPROVALS, key))
                run.add_write(path, Unsubscribe(run.id, path))
                self._machine.committer.touch(run)

    def _give_up(self, run: RunState) -> bool:
        """Stop a run that was in flight at too many crashes; tell whether that ended it at once.

        Its handlers still have their turn, unless it may be they that kill engines.
        """
        crashes, most = run.row.crashes, self._machine.config.engine.crashes
        why = f"the run was in flight at {crashes} crashes of the engine"
        assert run.recovered is not None
        if run.recovered.phases == {"undo"}:
            return False  # the undo that was in flight is given up, and the others go on
        if run.cancel is None and not run.recovered.phases:
            self._machine.cancellation.cancel(run, why, "engine.crashed")
        elif run.cancel is None or crashes >= 2 * most:
            self._machine.phases.crashed(run, why)
            return True
        return False


def _needs_place(item: Loaded) -> bool:
    """Tell whether a run that has begun elsewhere is to wait for a place before it goes on; not in order to end."""
    row, found = item.row, item.recovered
    if row.lane is not None or row.about is None or not isinstance(found, Recovered):
        return False
    return found.cancel is None and NEEDS_PLACE in values.decode(row.about)
