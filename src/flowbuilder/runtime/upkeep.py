"""What an engine does beside driving runs: takes over, looks for stuck runs, deletes old ones."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING

from flowbuilder.core.cache import KIND as CACHE
from flowbuilder.core.errors import StoreError
from flowbuilder.core.values import NULL_BYTES
from flowbuilder.storage.api import Fact, Keep
from flowbuilder.tasks.specs.kv import ADDED as KV_ADDED
from flowbuilder.tasks.specs.kv import KIND as KV

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine

_log = logging.getLogger("flowbuilder.engine")

PERIOD = 30.0
"""Seconds between two rounds."""
SWEEP_EVERY = 6 * 3600.0
"""Seconds between two looks for large values that nothing refers to."""
BLOB_GRACE = 86400.0
"""Seconds for which a large value is kept that nothing refers to."""
LOOK_EVERY = 300.0
"""Seconds between two looks at what all live runs of the store own; at start too."""
EVENTS_STEP = 5000
"""Events that are deleted before others have the store."""
ENGINE_FACT = "engine"
"""The kind of facts, by an engine's id, that say of it that it carries on what nobody drives."""
_EXPIRING = (CACHE, KV, KV_ADDED)
"""Kinds of facts that nobody takes away who wrote them."""
STEP = 500
"""Runs that retention deletes before it lets others have the store."""


class Upkeep:
    """The rounds of an engine; `step` is one of them.

    `stuck` counts runs, in memory or in the store, that owned nothing which
    could carry them on; it must read 0, and each is read again from the store.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.stuck = 0
        self._suspects: set[str] = set()
        self._sweep_at = 0.0
        self._look_at = 0.0
        self._idle_in_store: set[str] = set()

    async def at_start(self) -> None:
        """Carry on what other engines left, and have it known that this one does so from now on."""
        machine = self._machine
        machine.store.submit(self._announcement())
        taken = await self._machine.recovery.take_over()
        if taken:
            _log.info("carrying on %d runs whose engine is gone", len(taken))

    def _announcement(self) -> Keep:
        return Keep(Fact(ENGINE_FACT, self._machine.id, NULL_BYTES))

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            await self._machine.clock.sleep(PERIOD)
            try:
                await self.step()
            except StoreError as error:
                _log.warning("upkeep: %s", error)
            except Exception:  # one round that fails must not be the last
                _log.exception("upkeep failed, and is tried again")

    async def step(self) -> int:
        """Do one round; return how many runs were found stuck."""
        machine = self._machine
        await machine.recovery.take_over()
        found = await self._free_stuck()
        if machine.clock.now() >= self._look_at:
            found += await self._free_stuck_in_store()
        retention = machine.config.store
        if retention.retention or retention.keep:
            older_than = machine.clock.now() - retention.retention if retention.retention else 0.0
            retain = functools.partial(
                machine.store.retain, older_than=older_than, keep=retention.keep or None, limit=STEP
            )
            while await machine.in_thread(retain):
                pass
        await machine.limits.upkeep()
        keep = machine.config.events.keep
        if keep:
            forget = functools.partial(machine.store.events().forget, machine.clock.now() - keep, EVENTS_STEP)
            while await machine.in_thread(forget) >= EVENTS_STEP:
                pass
        facts = machine.store.facts()
        for kind in _EXPIRING:
            await machine.in_thread(functools.partial(facts.forget, kind, expired_at=machine.clock.now()))
        await machine.in_thread(self._settle_engines)
        if machine.clock.now() >= self._sweep_at:
            self._sweep_at = machine.clock.now() + SWEEP_EVERY
            await machine.in_thread(functools.partial(machine.store.sweep_blobs, BLOB_GRACE))
            await machine.in_thread(machine.workspaces.sweep)
        return found

    async def _free_stuck_in_store(self) -> int:
        """Make runs due that own nothing by what the store knows; two looks must agree on it."""
        machine = self._machine
        liveness = machine.store.liveness()
        idle = {hold.run_id for hold in await machine.in_thread(liveness.stuck)}
        stuck = idle & self._idle_in_store
        self._idle_in_store = idle - stuck
        # what was found once is soon looked at again
        self._look_at = machine.clock.now() + (0.0 if self._idle_in_store else LOOK_EVERY)
        if not stuck:
            return 0
        for run_id in sorted(stuck):
            _log.error("run %s was stuck in the store, owning nothing, and is read again", run_id)
        await machine.in_thread(functools.partial(liveness.revive, sorted(stuck)))
        await machine.recovery.wake_due()
        self.stuck += len(stuck)
        return len(stuck)

    def _settle_engines(self) -> None:
        """Forget what is known of engines that have died, and say again of this one what a full disk swallowed."""
        store = self._machine.store
        known = store.facts().list(ENGINE_FACT)
        if not any(fact.key == self._machine.id for fact in known):
            store.submit(self._announcement())
        alive = {engine.id for engine in store.engines() if engine.alive} if len(known) > 1 else set()
        for fact in known:
            if alive and fact.key not in alive:
                store.facts().forget(ENGINE_FACT, prefix=fact.key)

    async def _free_stuck(self) -> int:
        """Read runs again that nothing in memory would carry on; two rounds must agree on it."""
        machine = self._machine
        idle = {
            run.id
            for run in machine.runs.live.values()
            if not (
                run.executions
                or run.ready
                or run.busy
                or run.dirty
                or run.ended
                or run.pumping
                or run.blobs
                or run.gates
                or (run.undo is not None and run.undo.waits)
            )
        }
        stuck = idle & self._suspects
        self._suspects = idle - stuck
        for run_id in stuck:
            run = machine.runs.live.get(run_id)
            if run is None:
                continue
            _log.error("run %s was stuck and is read again from the store", run_id)
            machine.runs.drop(run)
            row = await machine.in_thread(functools.partial(machine.store.run, run_id))
            if row is not None:
                await machine.loading.carry_on([row])
        self.stuck += len(stuck)
        return len(stuck)
