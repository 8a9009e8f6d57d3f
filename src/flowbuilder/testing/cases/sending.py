"""What a test sends to its run: at moments of the virtual clock, or when the run only waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbuilder.core.approvals import OpenApproval
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.sdk.run import Run
    from flowbuilder.testing.cases.case import Sending

SOURCE: Final = "test"
"""Who has emitted what a test has sent."""
SOMEBODY: Final = "somebody"
"""Who decides where a test does not say it and anybody may."""


class Sender:
    """Sends what a test has to send, each once and in order."""

    def __init__(self, sendings: Sequence[Sending], engine: Engine, run: Run, started_at: float) -> None:
        self._engine = engine
        self._run = run
        self._started_at = started_at
        timed = [sending for sending in sendings if sending.at is not None]
        self._timed = sorted(timed, key=lambda sending: sending.at or 0.0)
        self._when_idle = [sending for sending in sendings if sending.at is None]

    @property
    def left(self) -> list[str]:
        """What has not been sent, as it was written."""
        return [f"{each.what} {each.name}".rstrip() for each in self._when_idle + self._timed]

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
        """Send the next thing that has no moment; a decision waits until it is asked for."""
        if not self._when_idle:
            return False
        sending = self._when_idle[0]
        if sending.what in ("approve", "reject") and await self._asked(sending.name) is None:
            return False
        await self._send(self._when_idle.pop(0))
        return True

    async def _send(self, sending: Sending) -> None:
        """Send something.

        Raises:
            FlowBuilderError: it cannot be sent: nothing is to be decided, the form is wrong, …
        """
        run = self._run
        match sending.what:
            case "signal":
                await run.signal(sending.name, sending.payload)
            case "event":
                await self._engine.emit(sending.name, sending.payload, source=SOURCE)
            case "approve":
                await run.approve(await self._who(sending), sending.payload, task=sending.name)
            case "reject":
                await run.reject(await self._who(sending), sending.payload or "", task=sending.name)
            case "cancel":
                await run.cancel(sending.name)
            case "pause":
                await run.pause()
            case "resume":
                await run.resume()

    async def _who(self, sending: Sending) -> str:
        """Return who decides: whom the test names, else the first who may and has not."""
        if sending.by is not None:
            return sending.by
        asked = await self._asked(sending.name)
        if asked is None or not asked.assignees:
            return SOMEBODY
        voices = {voice.by for voice in asked.voices}
        return next((name for name in asked.assignees if name not in voices), asked.assignees[0])

    async def _asked(self, task: str) -> OpenApproval | None:
        """Return the approval that a task asks for."""
        for asked in await self._engine.approvals(self._run.id):
            if asked.task == task:
                return asked
        return None
