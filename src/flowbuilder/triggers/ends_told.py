"""Telling of runs that have ended, never before it was told that they were started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.triggers.happenings import Happening

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbuilder.runtime.machine import Machine
    from flowbuilder.storage.api import RunRow
    from flowbuilder.triggers.service import Triggers

HELD: Final = 0.01
"""Seconds after which it is looked again whether what was fired was told of."""
MOST_HELD: Final = 1000
_ENDED: Final = frozenset({"succeeded", "failed", "cancelled"})


class EndsTold:
    """Tells triggers and whoever watches of the engine's runs that end.

    Args:
        machine: the engine.
        triggers: some of them wait for ends.
        tell: is told.
    """

    def __init__(self, machine: Machine, triggers: Triggers, tell: Callable[[Happening], None]) -> None:
        self._machine = machine
        self._triggers = triggers
        self._tell = tell
        self._held: list[Happening] = []

    def open(self) -> None:
        """Begin to listen."""
        self._machine.runs.listeners = (*self._machine.runs.listeners, self._on_end)

    def close(self) -> None:
        """Listen no more."""
        runs = self._machine.runs
        runs.listeners = tuple(one for one in runs.listeners if one != self._on_end)

    def _on_end(self, row: RunRow) -> None:
        self._triggers.run_ended(row)
        if row.status not in _ENDED:
            return
        at = row.ended_at or self._machine.clock.now()
        data = {"started_at": row.started_at or row.created_at, "result": row.result}
        ended = Happening("ended", at, flow=row.flow, run=row.id, status=row.status, data=data)
        if self._triggers.firing:  # a short run has ended before it is told that it was started
            self._held.append(ended)
            self._machine.loop.call_soon(self._let_go)
        else:
            self._tell(ended)

    def _let_go(self) -> None:
        """Tell of the runs that have ended, now that it was told that they were started."""
        if self._triggers.firing and len(self._held) < MOST_HELD:
            if self._held:
                self._machine.loop.call_later(HELD, self._let_go)
            return
        held, self._held = self._held, []
        for ended in held:
            self._tell(ended)
