"""The runs in memory: who is there, and how they go out.  How new ones come in is in `starts.py`."""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Any

from flowbuilder.core import values
from flowbuilder.core.masking import SHORTEST, Masker
from flowbuilder.runtime.admission import Admission
from flowbuilder.runtime.context import Context
from flowbuilder.runtime.events import RunEvent
from flowbuilder.runtime.secrets import pick
from flowbuilder.runtime.state import RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.storage.api import RunRow, RunStatus

_log = logging.getLogger("flowbuilder.engine")


class RunLeft(Exception):
    """The run was paused and has left memory; who resumes it may be another engine."""


class Runs:
    """Keeps the runs that are in memory, by id."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._watchers: dict[str, tuple[asyncio.Future[RunRow], ...]] = {}
        self._short: set[str] = set()
        """Secrets that were warned about."""
        self.live: dict[str, RunState] = {}
        self.listeners: tuple[Callable[[RunRow], None], ...] = ()
        """Called with the row of each run whose end is on disk."""
        self.admission = Admission(machine.loop, self._room, machine.clock.monotonic)

    # -- coming in -----------------------------------------------------------------

    def _room(self) -> int:
        """Return how many more runs may be started now."""
        machine = self._machine
        limits = machine.config.engine
        return min(self.room(), limits.unflushed_runs - machine.committer.unflushed)

    def room(self) -> int:
        """Return how many more runs may be in memory."""
        return self._machine.config.engine.live_runs - len(self.live)

    def enter(self, row: RunRow, plan: FlowPlan, inputs: dict[str, Any]) -> RunState:
        """Make the state of a run in memory; nothing of it has begun yet."""
        context = Context(plan, inputs, row)
        if context.trigger is not None:
            context.trigger = self._machine.sealing.opened_trigger(context.trigger)
        run = RunState(row, plan, context)
        if plan.secrets:
            context.secrets = pick(self._machine.secrets, plan.secrets)
            self._warn_of_short(context.secrets)
            run.masker = Masker(context.secrets) or None
        if plan.connections:
            hidden = self._machine.profiles.secrets_of(plan, context.profile)
            run.masker = Masker({**context.secrets, **hidden}) or None
        if plan.sensitive_inputs or row.about is not None:
            self._machine.sealing.veil_inputs(run, inputs)
        if plan.timeout is not None:
            stop = functools.partial(self._machine.cancellation.time_is_up, run)
            started = row.started_at or row.created_at
            run.timer = self._machine.timers.at(started + plan.timeout, stop)
        if plan.deadline is not None:
            self._machine.deadlines.begin(run)
        self.live[row.id] = run
        return run

    def _warn_of_short(self, secrets: Mapping[str, str]) -> None:
        """Say once of each secret that is too short to be masked."""
        for name, value in secrets.items():
            if len(value) < SHORTEST and name not in self._short:
                self._short.add(name)
                _log.warning(
                    "the secret '%s' has fewer than %d characters: it is not masked where it turns up",
                    name,
                    SHORTEST,
                )

    # -- going out ---------------------------------------------------------------------

    def watch(self, run_id: str) -> asyncio.Future[RunRow]:
        """Return what yields the run's row when its end is on disk, and fails when the engine loses the run.

        The run may leave memory and come back meanwhile.
        """
        ended: asyncio.Future[RunRow] = self._machine.loop.create_future()
        self._watchers[run_id] = (*self._watchers.get(run_id, ()), ended)
        return ended

    def ended(self, run: RunState) -> None:
        """Take in that a run has ended; whoever waits learns of it when that is on disk."""
        self._machine.committer.when_durable(run, functools.partial(self._end_is_durable, run))

    def _end_is_durable(self, run: RunState, error: Exception | None) -> None:
        if error is not None:
            return  # `Recovery.lost` has told everybody
        self.forget(run)
        row = run.row
        bus = self._machine.bus
        if bus.active:
            failure = run.result if row.status != "succeeded" else None
            bus.emit(RunEvent(row.id, row.flow, row.status, row.ended_at or row.created_at, failure))
        self._tell(row.id, row)
        if run.plan.caches_for_run:
            self._machine.caches.run_ended(run)
        for listener in self.listeners:
            listener(row)
        self._machine.sub_flows.child_ended(row.id, row.parent, row.status, row.result)
        if row.lane is not None:
            self._machine.lanes.ended(run)

    def ended_in_store(self, row: RunRow) -> None:
        """Take in that a run has ended which never was in memory; whoever waits for it learns of it."""
        bus = self._machine.bus
        if bus.active:
            failure = values.decode(row.result) if row.result is not None else None
            bus.emit(RunEvent(row.id, row.flow, row.status, row.ended_at or row.created_at, failure))
        self._tell(row.id, row)
        self._machine.sub_flows.child_ended(row.id, row.parent, row.status, row.result)

    def forget(self, run: RunState) -> None:
        """Let go of a run in memory."""
        if run.plan.deadline is not None:
            self._machine.deadlines.forget(run)
        self.live.pop(run.id, None)
        if (opened := self._machine.services.opened) and run.id in opened:
            self._machine.services.forget_opened(run.id)
        # hot: benchmarks/pure_tasks.py; a run and its graphs hold each other, and would wait for the collector
        run.frame = run.phase = None
        self.admission.let_in()

    def unwatch(self, run_id: str, ended: asyncio.Future[RunRow]) -> None:
        """Forget somebody who no longer waits."""
        watchers = self._watchers.pop(run_id, ())
        if left := tuple(watcher for watcher in watchers if watcher is not ended):
            self._watchers[run_id] = left

    def _tell(self, run_id: str, row: RunRow) -> None:
        for ended in self._watchers.pop(run_id, ()):
            if not ended.done():
                ended.set_result(row)

    def tell_left(self, run_id: str) -> None:
        """Tell all that wait for a run's end to look for it in the store: any engine may carry it on."""
        self.give_up(run_id, RunLeft())

    def give_up(self, run_id: str, error: Exception) -> None:
        """Tell all that wait for a run's end why they will not hear of it."""
        for ended in self._watchers.pop(run_id, ()):
            if not ended.done():
                ended.set_exception(error)

    def give_up_all(self, error: Exception) -> None:
        """Tell all that wait for any run's end why they will not hear of it."""
        for run_id in list(self._watchers):
            self.give_up(run_id, error)

    def leave(self, run: RunState, wake_at: float | None) -> None:
        """Send a run to the store until `wake_at`, or until an event: it keeps no memory while it waits."""
        machine = self._machine
        if run.ended or run.cancel is not None or machine.stopping:
            return
        if run.row.wake_at == wake_at and run.row.status == "waiting":
            return  # on its way already
        machine.waiting.leaving(run)
        machine.committer.change(run, status="waiting", wake_at=wake_at, owner=None)
        machine.committer.when_durable(run, functools.partial(self._left, run, wake_at))

    def _left(self, run: RunState, wake_at: float | None, error: Exception | None) -> None:
        if error is not None or run.lost:
            return
        came = run.dirty or run.busy or run.ready or run.cancel is not None
        if run.ended or came or run.parked != len(run.executions):
            if not run.ended:  # something came in between
                self.stay(run)
            return
        self.drop(run)
        if self._machine.recovery.own is not None:
            self._machine.recovery.own.add(run.id, wake_at)
        if wake_at is not None:
            self._machine.recovery.wake_at(wake_at)

    def stay(self, run: RunState) -> None:
        """Keep a run that was given up a moment ago, unless another engine was faster."""
        self._machine.recovery.in_background(self._stay(run))

    async def _stay(self, run: RunState) -> None:
        given_up = run.row.status
        claim = functools.partial(self._machine.store.claim, run.id)
        row = await self._machine.in_thread(claim)
        if run.lost or run.ended:
            return
        if row is None:
            self.drop(run)
        elif row.status != given_up:
            self.drop(run)  # somebody had it changed in the store meanwhile
            await self._machine.loading.carry_on([row])
        else:
            status: RunStatus = "running" if run.held is None else "paused"
            self._machine.committer.change(run, status=status, wake_at=None, owner=self._machine.id)
            if run.held is not None:
                self._machine.pauses.consider_leaving(run)
            else:
                self._machine.waiting.stays(run)

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
