"""The runs in memory: how they come in, what large values they keep, how they go out."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.core import values
from flowbuilder.core.errors import EngineStopped, KeyConflict, StoreError
from flowbuilder.core.ids import RunIds
from flowbuilder.core.masking import Masker
from flowbuilder.core.records import NULL
from flowbuilder.runtime.context import Context
from flowbuilder.runtime.events import RunEvent
from flowbuilder.runtime.scheduler import SLICE
from flowbuilder.runtime.secrets import pick
from flowbuilder.runtime.state import RunState
from flowbuilder.storage.api import LIVE, RunRow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.core.records import Ended
    from flowbuilder.runtime.machine import Machine

Outcome = tuple[str, Any]
"""How a run ended: its status, and its outputs or its error."""


class Runs:
    """Keeps the runs that are in memory, by id."""

    def __init__(self, machine: Machine, unique: int) -> None:
        self._machine = machine
        self._ids = RunIds(unique)
        self._kept: set[str] = set()
        """Versions of flows that the store has."""
        self._watchers: dict[str, list[Callable[[Outcome | None, Exception | None], None]]] = {}
        self._starting: dict[tuple[str, str], asyncio.Lock] = {}
        self._last_yield = 0.0
        self._room: list[asyncio.Future[None]] = []
        self.live: dict[str, RunState] = {}

    # -- coming in -----------------------------------------------------------------

    async def start(
        self,
        plan: FlowPlan,
        inputs: Mapping[str, Any],
        *,
        key: str | None = None,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
        parent: str | None = None,
    ) -> RunRow:
        """Start a run, and return its row when its acceptance is on disk.

        Pure work runs ahead of the disk, so a short run may have ended by
        then, in the same commit.  With a `key` that a run of the flow has
        already, that run is returned.

        Raises:
            InputError: with every violation.
            KeyConflict: the key's run has other inputs.
            SecretsMissing: the flow names secrets that nobody provides.
            StoreError: the run was not accepted.
            EngineStopped: the engine is being closed.
        """
        machine = self._machine
        checked = plan.check_inputs(inputs)
        if machine.stopping:
            raise EngineStopped
        if plan.content_hash not in self._kept:
            await self._keep_plan(plan)
        if parent is None and (  # a child that waited for room would wait for its own parent to leave
            time.perf_counter() - self._last_yield > SLICE
            or len(self.live) >= machine.config.engine.live_runs
        ):
            await self._yield()
        if key is not None:
            return await self._start_with_key(plan, checked, key, priority, labels, parent)
        run = self._make(plan, checked, None, priority, labels, parent)
        await self._accept(run)
        return run.row

    async def _start_with_key(
        self,
        plan: FlowPlan,
        inputs: dict[str, Any],
        key: str,
        priority: int | None,
        labels: Mapping[str, str] | None,
        parent: str | None,
    ) -> RunRow:
        lock = self._starting.setdefault((plan.name, key), asyncio.Lock())
        async with lock:
            try:
                known = await self._by_key(plan.name, key)
                if known is None:
                    run = self._make(plan, inputs, key, priority, labels, parent)
                    try:
                        await self._accept(run)
                    except StoreError:
                        # somebody else's engine may have been faster by a moment
                        known = await self._by_key(plan.name, key)
                        if known is None or known.id == run.id:
                            raise
                    else:
                        return run.row
            finally:
                self._starting.pop((plan.name, key), None)
        if values.decode(known.inputs) != inputs:
            raise KeyConflict(key, known.id)
        live = self.live.get(known.id)
        if live is not None:
            return live.row
        if known.status in LIVE:
            await self._machine.recovery.adopt_if_free(known.id)
        return known

    async def _by_key(self, flow: str, key: str) -> RunRow | None:
        find = functools.partial(self._machine.store.run_by_key, flow, key)
        row: RunRow | None = await self._machine.in_thread(find)
        return row

    async def _keep_plan(self, plan: FlowPlan) -> None:
        put = self._machine.store.put_flow
        await self._machine.in_thread(functools.partial(put, plan.content_hash, plan.name, plan.definition))
        self._kept.add(plan.content_hash)

    async def _yield(self) -> None:
        """Let others have the loop; wait while there are as many runs as there may be."""
        await asyncio.sleep(0)
        machine = self._machine
        while (
            len(self.live) >= machine.config.engine.live_runs
            or machine.committer.outstanding > machine.config.engine.live_runs
        ):
            room: asyncio.Future[None] = machine.loop.create_future()
            self._room.append(room)
            await room
        self._last_yield = time.perf_counter()

    def _make(
        self,
        plan: FlowPlan,
        inputs: dict[str, Any],
        key: str | None,
        priority: int | None,
        labels: Mapping[str, str] | None,
        parent: str | None,
    ) -> RunState:
        now = self._machine.clock.now()
        row = RunRow(
            id=self._ids.make(now),
            flow=plan.name,
            flow_hash=plan.content_hash,
            status="running",
            created_at=now,
            inputs=values.encode(inputs),
            key=key,
            priority=plan.priority if priority is None else priority,
            started_at=now,
            owner=self._machine.id,
            parent=parent,
            labels={**plan.labels, **(labels or {})} if labels or plan.labels else {},
        )
        return self.enter(row, plan, inputs)

    def enter(self, row: RunRow, plan: FlowPlan, inputs: dict[str, Any]) -> RunState:
        """Make the state of a run in memory; nothing of it has begun yet."""
        context = Context(plan, inputs, row)
        run = RunState(row, plan, context)
        if plan.secrets:
            context.secrets = pick(self._machine.secrets, plan.secrets)
            run.masker = Masker(context.secrets) or None
        if plan.timeout is not None:
            stop = functools.partial(self._machine.cancellation.time_is_up, run)
            started = row.started_at or row.created_at
            run.timer = self._machine.timers.at(started + plan.timeout, stop)
        self.live[row.id] = run
        return run

    async def _accept(self, run: RunState) -> None:
        """Begin a run, let it go as far as it can at once, and wait until it is on disk."""
        machine = self._machine
        if machine.bus.active:
            machine.bus.emit(RunEvent(run.id, run.plan.name, "running", run.row.created_at))
        machine.committer.touch(run)  # before anything begins: an effect waits until its run is on disk
        machine.phases.begin(run)
        machine.scheduler.pump(run)
        if run.plan.durability == "none":
            return
        accepted: asyncio.Future[None] = machine.loop.create_future()
        machine.committer.when_durable(run, functools.partial(settle, accepted))
        await accepted

    # -- large values ----------------------------------------------------------------

    def keep_blob(self, run: RunState, record: Ended, encoded: bytes) -> None:
        """Put a large output into the blob store; its record joins no flush before that is done."""
        place = len(run.records)
        run.records.append(msgspec.structs.replace(record, output=NULL))
        run.blobs += 1
        machine = self._machine
        kept = machine.loop.run_in_executor(None, machine.store.blobs().put, encoded)

        def done(kept: asyncio.Future[str]) -> None:
            if run.lost:
                kept.exception()
                return
            error = kept.exception()
            if error is not None:
                failure = error if isinstance(error, StoreError) else StoreError(str(error))
                machine.recovery.lost([run], failure)
                return
            run.records[place] = msgspec.structs.replace(record, output=NULL, blob=kept.result())
            run.blobs -= 1
            if not run.blobs:
                machine.committer.resume(run)

        kept.add_done_callback(done)

    # -- going out ---------------------------------------------------------------------

    def watch(self, run_id: str, watcher: Callable[[Outcome | None, Exception | None], None]) -> None:
        """Have `watcher` called once when the run's end is on disk, or the engine lost the run."""
        self._watchers.setdefault(run_id, []).append(watcher)

    def ended(self, run: RunState) -> None:
        """Take in that a run has ended; whoever waits learns of it when that is on disk."""
        self._machine.committer.when_durable(run, functools.partial(self._end_is_durable, run))

    def _end_is_durable(self, run: RunState, error: Exception | None) -> None:
        if error is not None:
            return  # `Recovery.lost` has told everybody
        self.forget(run)
        self.tell(run.id, (run.row.status, run.result), None)
        row = run.row
        self._machine.sub_flows.child_ended(row.id, row.parent, row.status, row.result)

    def forget(self, run: RunState) -> None:
        """Let go of a run in memory."""
        self.live.pop(run.id, None)
        if self._room:
            waiting, self._room = self._room, []
            for room in waiting:
                if not room.done():
                    room.set_result(None)

    def tell(self, run_id: str, outcome: Outcome | None, error: Exception | None) -> None:
        """Tell all that wait for a run how it ended, or why they cannot be told."""
        for watcher in self._watchers.pop(run_id, ()):
            watcher(outcome, error)

    def leave(self, run: RunState, wake_at: float) -> None:
        """Send a run to the store until `wake_at`: it keeps no memory while it waits."""
        machine = self._machine
        if run.ended or run.cancel is not None or machine.stopping:
            return
        if run.row.wake_at == wake_at:
            return  # on its way already
        machine.committer.change(run, status="waiting", wake_at=wake_at, owner=None)
        machine.committer.when_durable(run, functools.partial(self._left, run, wake_at))

    def _left(self, run: RunState, wake_at: float, error: Exception | None) -> None:
        if error is not None or run.lost:
            return
        if run.ended or run.dirty or run.cancel is not None or run.parked != len(run.executions):
            if not run.ended:  # something came in between: it stays
                self._machine.committer.change(run, status="running", wake_at=None, owner=self._machine.id)
            return
        self.drop(run)
        self._machine.recovery.wake_at(wake_at)

    def drop(self, run: RunState) -> None:
        """Let go of a run that is to be read again from the store, and of all that it holds."""
        run.lost = True
        for execution in list(run.executions):
            handle = execution.handle
            self._machine.attempts.release(execution)
            if isinstance(handle, asyncio.Task):
                handle.cancel()
        if run.timer is not None:
            run.timer.cancel()
        self.forget(run)


def settle(future: asyncio.Future[None], error: Exception | None) -> None:
    """End a future, unless whoever waited for it has gone."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
