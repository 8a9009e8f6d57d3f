"""The handle of a run."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from flowbuilder.core import values
from flowbuilder.core.errors import RunCancelled, RunFailed
from flowbuilder.storage.api import LIVE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from flowbuilder.runtime.events import Event
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
        status = self._row.status
        if status not in LIVE and self.id in self._engine.core.machine.runs.live:
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
        core = self._engine.core
        if row.status in LIVE or row.id in core.machine.runs.live:
            await self._ended(timeout)
            row = self._row
        outcome = None if row.result is None else values.decode(row.result)
        match row.status:
            case "succeeded":
                return outcome
            case "cancelled":
                raise RunCancelled(row.id, (outcome or {}).get("message", ""))
            case _:
                raise RunFailed(row.id, outcome or {})

    async def _ended(self, timeout: float | None) -> None:
        machine = self._engine.core.machine
        ended: asyncio.Future[None] = machine.loop.create_future()

        def tell(_outcome: Any, error: Exception | None) -> None:
            if ended.done():
                return
            if error is not None:
                ended.set_exception(error)
            else:
                ended.set_result(None)

        run = machine.runs.live.get(self.id)
        if run is not None and run.ended and run.plan.durability == "none":
            return
        machine.runs.watch(self.id, tell)
        if run is None:
            # it is in the store: it may have ended there, or another engine drives it
            await self._engine.watch_elsewhere(self.id, ended, timeout)
        elif timeout is None:
            await ended
        else:
            async with asyncio.timeout(timeout):
                await ended
        row = machine.runs.live[self.id].row if self.id in machine.runs.live else None
        self._row = row or (run.row if run is not None else await self._engine.row(self.id))

    async def wait(self, timeout: float | None = None) -> RunView:
        """Wait for the run's end, however it comes, and return the run as people see it."""
        with contextlib.suppress(RunFailed, RunCancelled):
            await self.result(timeout)
        return await self._engine.show(self.id)

    async def cancel(self, reason: str = "") -> bool:
        """Ask the run to stop in order; False if it has ended already."""
        return await self._engine.core.machine.recovery.cancel(self.id, reason)

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
