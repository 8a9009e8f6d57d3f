"""How new runs come in: they are checked, find room, get a row, and begin; with a key, one alone does."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.checks.queues import unknown_queue
from flowbuilder.compiler.nearest import nearest
from flowbuilder.core import values
from flowbuilder.core.errors import EngineStopped, FlowError, KeyConflict, StoreError
from flowbuilder.core.ids import RunIds
from flowbuilder.runtime.events import RunEvent
from flowbuilder.runtime.kept_plans import remember
from flowbuilder.runtime.on_disk import settle
from flowbuilder.runtime.plans import FOLDER, HIDDEN, SEALED, home_of
from flowbuilder.runtime.scheduler import SLICE
from flowbuilder.runtime.start import PLAIN, Start
from flowbuilder.storage.api import LIVE, RunRow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import RunState

_log = logging.getLogger("flowbuilder.engine")

_UNKNOWN: Final = object()
_NO_LABELS: Final[dict[str, str]] = {}
"""One for all runs; nobody writes to the labels of a row."""


class Starts:
    """Starts runs, and makes their ids and their rows."""

    def __init__(self, machine: Machine, unique: int) -> None:
        self._machine = machine
        self._ids = RunIds(unique)
        self._kept: dict[str, asyncio.Task[None] | None] = {}
        """Versions of flows that the store has (None), or is being given."""
        self._starting: dict[tuple[str, str], asyncio.Lock] = {}
        self._last_yield = 0.0
        self._homes: dict[str, Path] = {}
        """The folders that the store knows versions from."""

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
        if how.parent is None and not self._machine.runs.admission.is_free:
            await self._machine.runs.admission.enter(plan.priority if how.priority is None else how.priority)
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
                await self._machine.committer.kept()
                known = await self._by_key(plan.name, key)
                if known is None and plan.lanes is not None:
                    return await self._machine.lanes.start(plan, inputs, how)
                if known is None:
                    await self._come_in(plan, how)
                    run = self._make(plan, inputs, how)
                    try:
                        await self._accept(run)
                        if plan.durability == "none":  # or the next with this key would not find it
                            await self._machine.committer.kept()
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
        live = self._machine.runs.live.get(known.id)
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

    def _make(self, plan: FlowPlan, inputs: dict[str, Any], how: Start) -> RunState:
        run = self._machine.runs.enter(self.make_row(plan, inputs, how), plan, inputs)
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
