"""What a test sends to its run: at moments of the virtual clock, or when the run only waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.core.errors import FlowBuilderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbuilder.sdk.engine import Engine
    from flowbuilder.sdk.run import Run
    from flowbuilder.testing.cases.case import Sending


SOURCE: Final = "test"
"""Of events that a test emits: they are none of those that the flow does."""


class Sender:
    """Sends what a test has to send, each once and in order."""

    def __init__(self, sendings: Sequence[Sending], engine: Engine, run: Run, started_at: float) -> None:
        self._engine = engine
        self._run = run
        self._started_at = started_at
        timed = [sending for sending in sendings if sending.at is not None]
        self._timed = sorted(timed, key=lambda sending: sending.at or 0.0)
        self._when_idle = [sending for sending in sendings if sending.at is None]

    def next_moment(self) -> float | None:
        """Return when the next thing is due."""
        return self._started_at + (self._timed[0].at or 0.0) if self._timed else None

    async def send_due(self, now: float) -> bool:
        """Send what is due; what has no moment comes before the time moves on."""
        moment = self.next_moment()
        if moment is not None and moment <= now:
            await self._send(self._timed.pop(0))
            return True
        return await self.send_next()

    async def send_next(self) -> bool:
        """Send the next thing that has no moment."""
        if not self._when_idle:
            return False
        await self._send(self._when_idle.pop(0))
        return True

    async def _send(self, sending: Sending) -> None:
        by = sending.by or "somebody"
        match sending.what:
            case "signal":
                await self._run.signal(sending.name, sending.payload)
            case "event":
                await self._engine.emit(sending.name, sending.payload, source=SOURCE)
            case "approve":
                await self._run.approve(by, sending.payload, task=sending.name)
            case "reject":
                await self._run.reject(by, sending.payload or "", task=sending.name)
            case "cancel":
                await self._run.cancel(sending.name)
            case other:
                raise FlowBuilderError(f"'{other}' cannot be sent yet")
