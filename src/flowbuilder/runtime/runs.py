"""The runs in memory: how they come in, what large values they keep, how they go out."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.compiler.checks.queues import unknown_queue
from flowbuilder.compiler.nearest import nearest
from flowbuilder.core import values
from flowbuilder.core.errors import EngineStopped, FlowError, KeyConflict, StoreError
from flowbuilder.core.ids import RunIds
from flowbuilder.core.masking import SHORTEST, Masker
from flowbuilder.core.records import NULL, Ended
from flowbuilder.runtime.admission import Admission
from flowbuilder.runtime.context import Context
from flowbuilder.runtime.events import RunEvent
from flowbuilder.runtime.kept_plans import remember
from flowbuilder.runtime.plans import FOLDER, HIDDEN, SEALED, home_of
from flowbuilder.runtime.scheduler import SLICE
from flowbuilder.runtime.secrets import pick
from flowbuilder.runtime.start import PLAIN, Start
from flowbuilder.runtime.state import RunState
from flowbuilder.storage.api import LIVE, RunRow
from flowbuilder.storage.blobs import names_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.core.records import Collected, RoundEnded
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.storage.api import RunStatus, Store

_log = logging.getLogger("flowbuilder.engine")

_UNKNOWN: Final = object()
_NO_LABELS: Final[dict[str, str]] = {}
"""One for all runs; nobody writes to the labels of a row."""


class RunLeft(Exception):
    """The run was paused and has left memory; who resumes it may be another engine."""


class Runs:
    """Keeps the runs that are in memory, by id."""

    def __init__(self, machine: Machine, unique: int) -> None:
        self._machine = machine
        self._ids = RunIds(unique)
        self._kept: dict[str, asyncio.Task[None] | None] = {}
        """Versions of flows that the store has (None), or is being given."""
        self._watchers: dict[str, tuple[asyncio.Future[RunRow], ...]] = {}
        self._starting: dict[tuple[str, str], asyncio.Lock] = {}
        self._last_yield = 0.0
        self._homes: dict[str, Path] = {}
        """The folders that the store knows versions from."""
        self._short: set[str] = set()
        """Secrets that were warned about."""
        self.live: dict[str, RunState] = {}
        self.listeners: tuple[Callable[[RunRow], None], ...] = ()
        """Called with the row of each run whose end is on disk."""
        self.admission = Admission(machine.loop, self._room, machine.clock.monotonic)

    # -- coming in -----------------------------------------------------------------

    async def start(
        self,
        plan: FlowPlan,
        inputs: Mapping[str, Any],
        how: Start = PLAIN,
    ) -> RunRow:
        """Start a run, and return its row when its acceptance is on disk.

        Pure work runs ahead of the disk, so a short run may have ended by
        then, in the same commit.  With a key that a run of the flow has
        already, that run is returned.

        Raises:
            InputError: with every violation.
            KeyConflict: the key's run has other inputs.
            ProfileError: the project's profile lacks a connection that the flow needs.
            SecretsMissing: the flow names secrets that nobody provides.
            EncryptionKeyMissing: the flow has sensitive values, and there is no key.
            StoreError: the run was not accepted.
            EngineStopped: the engine is being closed.
        """
        machine = self._machine
        if how.about is not None and how.about.get(SEALED):
            plan = await machine.in_thread(functools.partial(machine.plans.sealed, plan))
        if plan.profiled:
            checked, how = machine.profiles.settle(plan, inputs, how)
        else:
            checked = plan.check_inputs(inputs)
        if plan.seals:
            machine.sealing.check(plan)
        how.check()
        if machine.stopping:
            raise EngineStopped
        if plan.queues:
            self._check_queues(plan)
        if self._kept.get(plan.content_hash, _UNKNOWN) is not None:
            await self._keep_plan(plan)
        if how.key is not None:
            return await self._start_with_key(plan, checked, how, how.key)
        await self._come_in(plan, how)
        if plan.lanes is not None:
            return await machine.lanes.start(plan, checked, how)
        run = self._make(plan, checked, how)
        await self._accept(run)
        return run.row

    def _check_queues(self, plan: FlowPlan) -> None:
        """Refuse a flow that names a queue which the settings do not have.

        Raises:
            FlowError: with each of them, and where it is named.
        """
        known = self._machine.config.queues
        unknown = [
            unknown_queue(name, at, known, nearest(name, known))
            for name, at in plan.queues.items()
            if name not in known
        ]
        if unknown:
            raise FlowError(unknown)

    async def _come_in(self, plan: FlowPlan, how: Start) -> None:
        """Return when a run may be made.  A child is let in at once: its parent, which has room, waits for it."""
        if how.parent is None and not self.admission.is_free:
            await self.admission.enter(plan.priority if how.priority is None else how.priority)
        if self._machine.stopping:
            raise EngineStopped

    async def _start_with_key(
        self,
        plan: FlowPlan,
        inputs: dict[str, Any],
        how: Start,
        key: str,
    ) -> RunRow:
        lock = self._starting.setdefault((plan.name, key), asyncio.Lock())
        async with lock:
            try:
                known = await self._by_key(plan.name, key)
                if known is None and plan.lanes is not None:
                    return await self._machine.lanes.start(plan, inputs, how)
                if known is None:
                    await self._come_in(plan, how)
                    run = self._make(plan, inputs, how)
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
        if self._machine.sealing.inputs(known) != inputs:
            raise KeyConflict(key, known.id)
        live = self.live.get(known.id)
        if live is not None:
            return live.row
        if known.status in LIVE and (known.lane is None or known.started_at is not None):
            await self._machine.recovery.adopt_if_free(known.id)
        return known

    async def _by_key(self, flow: str, key: str) -> RunRow | None:
        find = functools.partial(self._machine.store.run_by_key, flow, key)
        row: RunRow | None = await self._machine.in_thread(find)
        return row

    async def _keep_plan(self, plan: FlowPlan) -> None:
        """Return when the store has this version; whoever comes meanwhile waits for the first."""
        version = plan.content_hash
        keeping = self._kept.get(version)
        if keeping is None:
            keep = functools.partial(self._keep, plan)
            keeping = self._kept[version] = self._machine.loop.create_task(self._machine.in_thread(keep))
        try:
            await asyncio.shield(keeping)
        except BaseException:
            if keeping.done() and self._kept.get(version) is keeping:
                del self._kept[version]  # the next start tries again
            raise
        remember(self._kept, version, None)

    def _keep(self, plan: FlowPlan) -> None:
        """Give the store a version, and the version what the store knows of it; on a thread."""
        machine = self._machine
        machine.store.put_flow(plan.content_hash, plan.name, plan.definition)
        home = home_of(machine.store.flow(plan.content_hash) or plan.definition)
        remember(self._homes, plan.content_hash, plan.folder if home == plan.folder else home)
        machine.weighing.at_first(plan)

    def new_id(self, moment: float) -> str:
        """Return an id that no other run has."""
        return self._ids.make(moment)

    def _room(self) -> int:
        """Return how many more runs may be started now."""
        machine = self._machine
        limits = machine.config.engine
        return min(self.room(), limits.unflushed_runs - machine.committer.unflushed)

    def room(self) -> int:
        """Return how many more runs may be in memory."""
        return self._machine.config.engine.live_runs - len(self.live)

    def _make(self, plan: FlowPlan, inputs: dict[str, Any], how: Start) -> RunState:
        run = self.enter(self.make_row(plan, inputs, how), plan, inputs)
        if how.seed is not None:
            run.records += how.seed.records
            run.recovered = how.seed.found
        return run

    def make_row(self, plan: FlowPlan, inputs: dict[str, Any], how: Start) -> RunRow:
        """Make the row of a new run, which begins now."""
        now = self._machine.clock.now()
        run_id = how.id or self._ids.make(now)
        about, home = how.about, self._homes.get(plan.content_hash)
        hidden = plan.sensitive_inputs
        if about is not None and HIDDEN in about:
            hidden = hidden | set(about[HIDDEN])
        if home is not plan.folder and home != plan.folder:
            about = {**(about or {}), FOLDER: str(plan.folder)}
        row = RunRow(
            id=run_id,
            flow=plan.name,
            flow_hash=plan.content_hash,
            status="running",
            created_at=now,
            inputs=values.encode(inputs) if not hidden else self._sealed(run_id, hidden, inputs),
            key=how.key,
            priority=plan.priority if how.priority is None else how.priority,
            started_at=now,
            owner=self._machine.id,
            parent=how.parent,
            labels={**plan.labels, **(how.labels or {})} if how.labels or plan.labels else _NO_LABELS,
            about=None if about is None else values.encode(dict(about)),
        )
        if plan.deadline is not None:
            row.deadline_at = self._machine.deadlines.moment_for(plan, inputs, row)
        return row

    def _sealed(self, run_id: str, hidden: frozenset[str], inputs: dict[str, Any]) -> bytes:
        return self._machine.sealing.seal_inputs(run_id, hidden, inputs)

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

    async def _accept(self, run: RunState) -> None:
        """Begin a run, let it go as far as it can at once, and wait until it is on disk."""
        machine = self._machine
        if machine.bus.active:
            machine.bus.emit(RunEvent(run.id, run.plan.name, "running", run.row.created_at))
        machine.committer.touch(run)  # before anything begins: an effect waits until its run is on disk
        machine.phases.begin(run)
        machine.scheduler.pump(run)
        if run.plan.durability == "none":
            if time.perf_counter() - self._last_yield > SLICE:
                await asyncio.sleep(0)  # nothing else lets others have the loop
                self._last_yield = time.perf_counter()
            return
        accepted: asyncio.Future[None] = machine.loop.create_future()
        machine.committer.when_durable(run, functools.partial(settle, accepted))
        await accepted

    # -- large values ----------------------------------------------------------------

    def keep_blob(self, run: RunState, record: Ended | RoundEnded | Collected, encoded: bytes) -> None:
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
            self._machine.recovery.own.add(run.id)
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


def settle(future: asyncio.Future[None], error: Exception | None) -> None:
    """End a future, unless whoever waited for it has gone."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _keep_blob(store: Store, encoded: bytes) -> tuple[str, list[str]]:
    """Keep a large value; return its name, and those of blobs that it refers to itself."""
    return store.blobs().put(encoded), names_in(encoded)
