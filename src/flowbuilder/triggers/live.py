"""Whether runs are live, and when they have ended, in whichever engine."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Final

from flowbuilder.storage.api import LIVE

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.storage.api import RunRow
    from flowbuilder.triggers.background import Background

LOOK_AGAIN: Final = 0.5
LOOK_SELDOM: Final = 15.0
"""Seconds between two looks at a run that another engine drives."""


class LiveRuns:
    """Looks at runs in memory first, and else in the store."""

    def __init__(self, machine: Machine, background: Background) -> None:
        self._machine = machine
        self._background = background

    async def is_live(self, run_id: str) -> bool:
        """Tell whether a run has not ended."""
        live = self._machine.runs.live.get(run_id)
        if live is not None and not live.ended:
            return True
        return not has_ended(await self._row(run_id))

    async def ended(self, run_id: str) -> None:
        """Return when a run has ended, in whichever engine; for who counts as `deciding`."""
        delay = LOOK_AGAIN
        while True:
            watch = self._machine.runs.watch(run_id)
            try:
                if has_ended(await self._row(run_id)):
                    return
                self._background.deciding -= 1
                try:
                    await asyncio.wait((watch,), timeout=delay)
                finally:
                    self._background.deciding += 1
                if watch.done() and not watch.cancelled() and watch.exception() is None:
                    return
            finally:
                self._machine.runs.unwatch(run_id, watch)
            delay = min(2 * delay, LOOK_SELDOM)

    async def _row(self, run_id: str) -> RunRow | None:
        row: RunRow | None = await self._machine.in_thread(functools.partial(self._machine.store.run, run_id))
        return row


def has_ended(row: RunRow | None) -> bool:
    """Tell whether a run has ended, or is gone."""
    return row is None or row.status not in LIVE
