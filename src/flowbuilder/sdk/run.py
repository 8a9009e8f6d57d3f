"""The handle of a run."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from flowbuilder.core import values
from flowbuilder.core.errors import EngineStopped, RunCancelled, RunFailed
from flowbuilder.core.sealed import shown
from flowbuilder.runtime.runs import RunLeft
from flowbuilder.storage.api import LIVE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from flowbuilder.runtime.events import Event
    from flowbuilder.runtime.runs import Runs
    from flowbuilder.runtime.steering import Steering
    from flowbuilder.runtime.views import RunView
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.storage.api import RunRow


class Run:
    """One run of an engine, by which it is waited for, watched and cancelled."""

    __slots__ = ("_engine", "_row")

    def __init__(self, engine: Engine, row: RunRow) -> None:
        self._engine = engine
        self._row = row

    def __repr__(self) -> str:
        return f"<Run {self._row.id} of {self._row.flow}: {self._row.status}>"

    @property
    def id(self) -> str:
        """The run's id."""
        return self._row.id

    @property
    def flow(self) -> str:
        """The name of its flow."""
        return self._row.flow

    @property
    def status(self) -> str:
        """How it stood when this engine last heard of it."""
        live = self._engine.core.machine.runs.live.get(self.id)
        status = self._row.status if live is None else live.row.status
        if status not in LIVE and live is not None:
            return "running"  # its end is on its way to the disk
        return status

    async def result(self, timeout: float | None = None) -> Any:
        """Wait for the run's end, and return its outputs as soon as they are on disk.

        Args:
            timeout: seconds to wait at most.

        Raises:
            RunFailed: the run failed; carries its first error.
            RunCancelled: the run was cancelled.
            StoreError: the engine could not write the run down.
            TimeoutError: the time was up; the run goes on.
        """
        row = self._row
        runs = self._engine.core.machine.runs
        live = runs.live.get(row.id)
        if live is not None and timeout is None:  # the usual case, and a coroutine less
            loose = live.ended and live.plan.durability == "none"  # nobody tells of its end any more
            row = self._row = live.row if loose else await self._watched(runs)
        elif live is not None or row.status in LIVE:
            if self._engine.core.closed:
                raise EngineStopped(f"the engine of run {row.id} is closed; another one carries it on")
            row = await self._ended(timeout)
        outcome = None if row.result is None else shown(values.decode(row.result))
        match row.status:
            case "succeeded":
                return outcome
            case "cancelled":
                raise RunCancelled(row.id, (outcome or {}).get("message", ""))
            case _:
                raise RunFailed(row.id, outcome or {})

    async def _watched(self, runs: Runs) -> RunRow:
        ended = runs.watch(self.id)
        try:
            return await ended
        except asyncio.CancelledError:
            runs.unwatch(self.id, ended)
            raise
        except RunLeft:
            return await self._ended(None)

    async def _ended(self, timeout: float | None) -> RunRow:
        """Wait for the run's end in this engine, in the store, or in another engine."""
        machine = self._engine.core.machine
        live = machine.runs.live.get(self.id)
        if live is not None and live.ended and live.plan.durability == "none":
            self._row = live.row
            return live.row
        async with asyncio.timeout(timeout):
            while True:
                ended = machine.runs.watch(self.id)
                try:
                    if live is None:
                        self._row = await self._engine.watch_elsewhere(self.id, ended)
                    else:
                        self._row = await ended
                    return self._row
                except RunLeft:
                    live = None
                finally:
                    machine.runs.unwatch(self.id, ended)

    async def wait(self, timeout: float | None = None) -> RunView:
        """Wait for the run's end, however it comes, and return the run as people see it."""
        with contextlib.suppress(RunFailed, RunCancelled):
            await self.result(timeout)
        return await self._engine.show(self.id)

    async def cancel(self, reason: str = "", *, undo: bool = True) -> bool:
        """Ask the run to stop in order; False if it has ended already.

        Args:
            reason: why; kept with the run.
            undo: whether what its tasks did is undone, where they say how.

        Raises:
            EngineStopped: the engine is closed.
        """
        return await self._steering.cancel(self.id, reason, undo=undo)

    async def pause(self, reason: str = "") -> bool:
        """Have nothing more of the run start; what runs may end.  False if it has ended, or is paused.

        Raises:
            EngineStopped: the engine is closed.
        """
        return await self._steering.pause(self.id, reason)

    async def resume(self) -> bool:
        """Let a paused run go on; False if it is not paused.

        Raises:
            EngineStopped: the engine is closed.
        """
        return await self._steering.resume(self.id)

    async def set_priority(self, priority: int) -> bool:
        """Have what the run begins from now on go before others, or behind them; False if it has ended.

        Args:
            priority: 0 to 100, more first.

        Raises:
            InputError: it is none.
            EngineStopped: the engine is closed.
        """
        return await self._steering.set_priority(self.id, priority)

    @property
    def _steering(self) -> Steering:
        if self._engine.core.closed:
            raise EngineStopped(f"the engine of run {self.id} is closed; another one carries it on")
        return self._engine.core.machine.steering

    async def signal(
        self, name: str, payload: Any = None, *, id: str | None = None, anyway: bool = False
    ) -> str:
        """Send the run a signal, which is kept for it until a `wait` takes it; returns its id.

        Raises:
            NotFound: nothing in its flow waits for such a signal, and it is not to be sent `anyway`.
            RunEnded: the run has ended.
            InputError: the name is none, or the payload cannot be kept.
        """
        return await self._engine.signal(self.id, name, payload, id=id, anyway=anyway)

    async def approve(
        self, by: str, form: Mapping[str, Any] | None = None, *, task: str | None = None
    ) -> None:
        """Approve what the run asks for; see `Engine.approve`."""
        await self._engine.approve(self.id, by, form, task=task)

    async def reject(self, by: str, reason: str = "", *, task: str | None = None) -> None:
        """Reject what the run asks for; see `Engine.approve`."""
        await self._engine.reject(self.id, by, reason, task=task)

    def cancel_soon(self, reason: str = "") -> None:
        """Ask the run to stop in order, and do not wait until it was asked; on the engine's loop."""
        self._engine.core.machine.recovery.cancel_soon(self.id, reason)

    async def events(self) -> AsyncIterator[Event]:
        """Yield what happens to the run from now on, until it has ended."""
        bus = self._engine.core.machine.bus
        listener = bus.listen(self.id)
        try:
            if self._row.status not in LIVE:
                return
            async for event in listener:
                yield event
                if event.status not in LIVE and not hasattr(event, "task"):
                    return
        finally:
            bus.leave(listener)
