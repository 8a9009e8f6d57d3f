"""Pausing, resuming, cancelling runs and changing their priority, wherever they are.

A run in the memory of this engine is acted on there; for any other the store
has it done (`storage.api.Steering`): the living owner is told, and what
nobody alive owns is changed at once, in the store.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

from flowbuilder.core.errors import StoreError
from flowbuilder.runtime import orders
from flowbuilder.runtime.on_disk import settle

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import RunState
    from flowbuilder.storage.api import Order, Steered


class Steering:
    """Acts on one run, and says whether there was anything to do.

    What was done is on disk when a method returns; where that fails it raises
    `StoreError`, and nothing was done.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        machine.commands.on("cancel", self.cancel_live)
        machine.commands.on("resume", lambda run, _payload: self.resume_live(run))
        machine.commands.on("priority", lambda run, payload: self._set_priority(run, payload["priority"]))

    async def cancel(self, run_id: str, reason: str, *, undo: bool = True) -> bool:
        """Stop a run in order; False if it has ended, or was told before."""
        run = self._live(run_id)
        if run is not None:
            return await self._kept(run, self._machine.cancellation.cancel(run, reason, undo=undo))
        order = orders.cancel(self._machine.clock.now(), reason, undo=undo)
        return await self._order(run_id, order, carry_on=True)

    async def cancel_in_store(self, run_ids: Sequence[str], reason: str, *, undo: bool = True) -> None:
        """Have it on disk that runs are to stop; what nobody drives is carried on to its end in the background.

        Unlike `cancel` it waits for nothing that is being read, and so may be called while runs are.
        """
        machine = self._machine
        order = orders.cancel(machine.clock.now(), reason, undo=undo)
        steered = await machine.in_thread(
            functools.partial(machine.store.steering().steer, list(run_ids), order)
        )
        await self._tell_ended(steered)
        for run_id in steered.written:
            machine.recovery.wake_soon(run_id)

    def cancel_live(self, run: RunState, payload: Any) -> None:
        """Stop a run that is in memory, also where it is just about to leave."""
        reason, undo, kind = payload.get("reason", ""), payload.get("undo", True), payload.get("kind")
        if kind is not None and not run.lost:
            self._machine.deadlines.missed(run)
        elif self._live(run.id) is not None:
            self._machine.cancellation.cancel(run, reason, undo=undo)
        else:
            self._machine.recovery.in_background(self.cancel(run.id, reason, undo=undo))

    async def pause(self, run_id: str, reason: str = "") -> bool:
        """Have nothing more of a run start; False if it has ended, or is paused already."""
        run = self._live(run_id)
        if run is not None:
            return await self._kept(run, self._machine.pauses.pause(run, reason))
        return await self._order(run_id, orders.pause(self._machine.clock.now(), reason))

    async def resume(self, run_id: str) -> bool:
        """Let a paused run go on, in this engine where nobody else drives it; False if it is not paused."""
        run = self._live(run_id)
        if run is not None:
            return await self._kept(run, self._machine.pauses.resume(run))
        return await self._order(run_id, orders.resume(self._machine.clock.now()), carry_on=True)

    def resume_live(self, run: RunState) -> None:
        """Let a run that is in memory go on, also where it is just about to leave."""
        if self._live(run.id) is not None:
            self._machine.pauses.resume(run)
        else:
            self._machine.recovery.in_background(self.resume(run.id))

    async def set_priority(self, run_id: str, priority: int) -> bool:
        """Have what a run begins from now on go before others, or behind them; False if it has ended.

        Raises:
            InputError: the priority is none from 0 to 100.
        """
        order = orders.priority(priority)
        run = self._live(run_id)
        if run is not None:
            return await self._kept(run, self._set_priority(run, priority))
        return await self._order(run_id, order)

    def _set_priority(self, run: RunState, priority: int) -> bool:
        if run.ended or run.lost:
            return False
        self._machine.committer.change(run, priority=priority)
        return True

    async def order(self, run_id: str, kind: str, payload: Any) -> None:
        """Do in the store what a command asks for."""
        order = orders.of_command(self._machine.clock.now(), kind, payload)
        if order is not None:
            await self._order(run_id, order, carry_on=kind in ("cancel", "resume"))

    def _live(self, run_id: str) -> RunState | None:
        """Return a run in memory that is this engine's, and not about to leave."""
        run = self._machine.runs.live.get(run_id)
        return run if run is not None and (run.row.owner is not None or run.held is None) else None

    async def _kept(self, run: RunState, done: bool) -> bool:
        """Return `done` when all that a run has recorded is on disk.

        Raises:
            StoreError: it was lost, and with it what was done.
        """
        if done and not run.lost:
            kept: asyncio.Future[None] = self._machine.loop.create_future()
            self._machine.committer.when_durable(run, functools.partial(settle, kept))
            await kept
        return done

    async def _tell_ended(self, steered: Steered) -> None:
        """Tell those who wait for runs that had not begun, and never will."""
        machine = self._machine
        for ended in steered.ended:
            row = await machine.in_thread(functools.partial(machine.store.run, ended))
            machine.runs.ended_in_store(row)

    async def _order(self, run_id: str, order: Order, *, carry_on: bool = False) -> bool:
        return await self._machine.recovery.to_the_end(self._have_done(run_id, order, carry_on=carry_on))

    async def _have_done(self, run_id: str, order: Order, *, carry_on: bool) -> bool:
        machine = self._machine
        leaving = machine.runs.live.get(run_id)
        if leaving is not None:
            with contextlib.suppress(StoreError):
                await self._kept(leaving, True)
        steer = functools.partial(machine.store.steering().steer, [run_id], order)
        steered = await machine.in_thread(steer)
        await self._tell_ended(steered)
        if steered.written and carry_on:
            await machine.recovery.adopt_if_free(run_id)
        return not steered.left
