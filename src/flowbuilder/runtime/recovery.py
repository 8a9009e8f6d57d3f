"""Brings runs back from the store: after a crash, after a wait, after a failed commit, for a command.

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
from flowbuilder.core.errors import FlowBuilderError, FlowError, StoreError
from flowbuilder.runtime.events import RunEvent
from flowbuilder.runtime.recovered import Recovered, replay
from flowbuilder.storage.api import LIVE, KeyTaken

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import RunState
    from flowbuilder.runtime.timers import Timer
    from flowbuilder.storage.api import RunRow

_log = logging.getLogger("flowbuilder.engine")

RELOAD_DELAY = 1.0
"""Seconds between two tries to read runs again after the store failed."""
BATCH = 1000
"""Runs that are claimed at once."""


class Loaded(msgspec.Struct):
    """A run as the store knows it, read on a thread."""

    row: Any
    plan: Any
    recovered: Any
    batches: int


class Recovery:
    """Claims runs, reads them, and has them carried on."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._wake: Timer | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reading_commands = False

    @property
    def busy(self) -> bool:
        """Whether runs are being read, or something else is done in the background."""
        return bool(self._tasks)

    # -- ways to come back -----------------------------------------------------------

    async def take_over(self) -> list[str]:
        """Carry on all runs whose engine is dead, and those that are due; return their ids."""
        taken: list[str] = []
        while True:
            rows = await self._machine.in_thread(functools.partial(self._machine.store.take_over, BATCH))
            await self.carry_on(rows)
            taken += [row.id for row in rows]
            if len(rows) < BATCH:
                break
        await self.wake_due()
        return taken

    async def adopt_if_free(self, run_id: str) -> bool:
        """Carry on one run if no living engine owns it."""
        if run_id in self._machine.runs.live:
            return True
        row = await self._machine.in_thread(functools.partial(self._machine.store.claim, run_id))
        if row is None:
            return False
        await self.carry_on([row])
        return True

    async def wake_due(self) -> None:
        """Carry on waiting runs whose moment has come, and see to it that the next are woken."""
        store = self._machine.store
        while True:
            now = self._machine.clock.now()
            rows = await self._machine.in_thread(functools.partial(store.due, now, BATCH))
            await self.carry_on(rows)
            if len(rows) < BATCH:
                break
        following = await self._machine.in_thread(store.next_wake)
        if following is not None:
            self.wake_at(following)

    def wake_at(self, moment: float) -> None:
        """Look for waiting runs at a moment; keeps the earliest that was asked for."""
        wake = self._wake
        if wake is not None and wake.action is not None and wake.at <= moment:
            return
        if wake is not None:
            wake.cancel()
        self._wake = self._machine.timers.at(moment, self._on_wake)

    def _on_wake(self) -> None:
        self._wake = None
        if not self._machine.stopping:
            self.in_background(self.wake_due())

    def wake_soon(self, run_id: str) -> None:
        """Bring one run back from the store, because what it waited for has come."""
        if run_id not in self._machine.runs.live and not self._machine.stopping:
            self.in_background(self.adopt_if_free(run_id))

    def cancel_soon(self, run_id: str, reason: str) -> None:
        """Have a run cancelled, wherever it is."""
        self.in_background(self.cancel(run_id, reason))

    async def cancel(self, run_id: str, reason: str) -> bool:
        """Cancel a run of this engine, of the store, or of another engine; False if it has ended."""
        run = self._machine.runs.live.get(run_id)
        if run is None:
            row = await self._machine.in_thread(functools.partial(self._machine.store.run, run_id))
            if row is None or row.status not in LIVE:
                return False
            if not await self.adopt_if_free(run_id):
                payload = values.encode({"reason": reason})
                send = functools.partial(self._machine.store.send, run_id, "cancel", payload)
                await self._machine.in_thread(send)
                return True
            run = self._machine.runs.live.get(run_id)
        return run is not None and self._machine.cancellation.cancel(run, reason)

    # -- commands from other engines ---------------------------------------------------

    def on_command(self) -> None:
        """Read commands for runs of this engine; called on the loop."""
        if not self._reading_commands:
            self._reading_commands = True
            self.in_background(self._carry_out())

    async def _carry_out(self) -> None:
        self._reading_commands = False
        store = self._machine.store
        commands = await self._machine.in_thread(store.receive)
        for command in commands:
            if command.kind == "cancel":
                reason = values.decode(command.payload).get("reason", "")
                await self.adopt_if_free(command.run_id)
                run = self._machine.runs.live.get(command.run_id)
                if run is not None:
                    self._machine.cancellation.cancel(run, reason)
        if commands:
            numbers = [command.number for command in commands]
            await self._machine.in_thread(functools.partial(store.settle, numbers))

    # -- coming back -------------------------------------------------------------------

    async def carry_on(self, rows: Sequence[RunRow]) -> None:
        """Read runs that this engine owns, and go on with them."""
        for start in range(0, len(rows), 50):
            some = rows[start : start + 50]
            loaded = await self._machine.in_thread(functools.partial(self._load_all, some))
            for item in loaded:
                self._enter(item)

    def _load_all(self, rows: Sequence[RunRow]) -> list[Loaded]:
        return [self._load(row) for row in rows]

    def _load(self, row: RunRow) -> Loaded:
        """Read one run on a thread; what cannot be read is told as an error in place of a plan."""
        store = self._machine.store
        try:
            definition = store.flow(row.flow_hash)
            if definition is None:
                raise StoreError(f"the flow of run {row.id} is not in the store")
            plan = self._machine.plans.of_definition(row.flow_hash, definition)
            self._machine.weighing.at_first(plan)
            batches = store.journal(row.id)
            return Loaded(row, plan, replay(batches, store.blobs().get), len(batches))
        except (FlowBuilderError, msgspec.DecodeError) as error:
            return Loaded(row, error, None, 0)

    def _enter(self, item: Loaded) -> None:
        row, machine = item.row, self._machine
        if row.id in machine.runs.live:
            return
        if not isinstance(item.recovered, Recovered):
            _log.error("run %s cannot be carried on: %s", row.id, item.plan)
            return
        plan: FlowPlan = item.plan
        try:
            run = machine.runs.enter(row, plan, values.decode(row.inputs))
        except FlowBuilderError as error:
            _log.error("run %s cannot be carried on: %s", row.id, error)
            return
        run.accepted = True
        run.sequence = item.batches
        run.flushes = run.durable = 1  # as if by us: what it was accepted with is on disk
        run.recovered = item.recovered
        cancel = item.recovered.cancel
        if cancel is not None:
            run.cancel = (cancel.kind, cancel.reason)
        if row.status != "running" or row.wake_at is not None or row.owner != machine.id:
            machine.committer.change(run, status="running", wake_at=None, owner=machine.id)
        if machine.bus.active:
            machine.bus.emit(RunEvent(run.id, plan.name, "running", machine.clock.now()))
        if row.crashes >= machine.config.engine.crashes and self._give_up(run):
            return
        machine.phases.begin(run)
        machine.scheduler.pump(run)

    def _give_up(self, run: RunState) -> bool:
        """Stop a run that was in flight at too many crashes; tell whether that ended it at once.

        Its handlers still have their turn, unless it may be they that kill engines.
        """
        crashes, most = run.row.crashes, self._machine.config.engine.crashes
        why = f"the run was in flight at {crashes} crashes of the engine"
        assert run.recovered is not None
        if run.cancel is None and not run.recovered.phases:
            self._machine.cancellation.cancel(run, why, "engine.crashed")
        elif run.cancel is None or crashes >= 2 * most:
            self._machine.phases.crashed(run, why)
            return True
        return False

    # -- after a failed commit -----------------------------------------------------------

    def lost(self, runs: list[RunState], error: StoreError) -> None:
        """Drop runs whose flush failed, tell their callers, and read them again when that is possible."""
        again: list[str] = []
        for run in runs:
            if run.lost:
                continue
            waiters, run.waiters = run.waiters, None
            self._machine.runs.drop(run)
            if run.ended:  # handles of the run share its row, which must not tell what was taken back
                run.row.status, run.row.result, run.row.ended_at = "running", None, None
            if run.durable:
                again.append(run.id)
            for _, done in waiters or ():
                done(error)
            self._machine.runs.give_up(run.id, error)
        if runs and not isinstance(error, KeyTaken):  # whose run there is already: nothing is lost
            _log.error(
                "%d runs were dropped from memory, since they could not be written: %s", len(runs), error
            )
        if again and not self._machine.stopping:
            self._reload_later(again)

    def _reload_later(self, run_ids: list[str]) -> None:
        at = self._machine.clock.now() + RELOAD_DELAY
        self._machine.timers.at(at, lambda: self.in_background(self._reload(run_ids)))

    async def _reload(self, run_ids: list[str]) -> None:
        try:
            for run_id in run_ids:
                row = await self._machine.in_thread(functools.partial(self._machine.store.run, run_id))
                if row is not None and row.status in LIVE and row.owner in (None, self._machine.id):
                    await self.carry_on([row])
        except StoreError:
            self._reload_later(run_ids)

    # -- helpers -------------------------------------------------------------------------

    def in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run something that nobody waits for; what it raises is logged."""
        if self._machine.stopping:
            work.close()
            return
        task = self._machine.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            level = logging.WARNING if isinstance(error, FlowError | StoreError) else logging.ERROR
            _log.log(level, "%s", error, exc_info=error if level == logging.ERROR else None)

    async def close(self) -> None:
        """Cancel what runs in the background, and wait for its end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
