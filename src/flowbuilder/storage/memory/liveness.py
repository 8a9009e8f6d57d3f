"""The liveness invariant, looked up run by run: the oracle of the query."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from flowbuilder.storage.api import LIVE
from flowbuilder.storage.liveness import Hold

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from flowbuilder.storage.api import RunRow
    from flowbuilder.storage.liveness import Holding
    from flowbuilder.storage.memory.place import Place


class MemoryLiveness:
    """Passes `storage.liveness.Liveness`.

    Args:
        reading: lends the contents of the store, locked, with all that was submitted in them.
    """

    def __init__(self, reading: Callable[[], AbstractContextManager[Place]]) -> None:
        self._reading = reading

    def holds(self, *, after: str = "", limit: int = 1000) -> list[Hold]:
        """Return live runs behind an id, oldest first, each with what it owns."""
        return [hold for hold in self._all() if hold.run_id > after][:limit]

    def stuck(self, limit: int = 1000) -> list[Hold]:
        """Return live runs that own nothing, oldest first."""
        return [hold for hold in self._all() if hold.holds == "nothing"][:limit]

    def counts(self) -> dict[Holding, int]:
        """Return how many live runs own what."""
        return dict(Counter(hold.holds for hold in self._all()))

    def revive(self, run_ids: list[str]) -> int:
        """Make runs due at once that own nothing."""
        revived = 0
        with self._reading() as place:
            for run_id in run_ids:
                row = place.runs.get(run_id)
                idle = (
                    row is not None and row.status == "waiting" and row.owner is None and row.wake_at is None
                )
                if row is not None and idle:
                    row.wake_at = 0.0
                    revived += 1
        return revived

    def leaks(self) -> dict[str, int]:
        """Return how many rows belong to runs that have ended."""
        with self._reading() as place:
            live = {row.id for row in place.runs.values() if row.status in LIVE}
            found = {
                "subscriptions": sum(run_id not in live for run_id, _ in place.board.subscriptions),
                "commands": sum(command.run_id not in live for command in place.commands.values()),
            }
        return {name: count for name, count in found.items() if count}

    def _all(self) -> list[Hold]:
        with self._reading() as place:
            live = sorted((row for row in place.runs.values() if row.status in LIVE), key=lambda row: row.id)
            return [Hold(row.id, row.flow, row.status, _held(place, row), row.wake_at) for row in live]


def _held(place: Place, row: RunRow) -> Holding:
    if row.owner is not None:
        engine = place.engines.get(row.owner)
        return "engine" if engine is not None and engine.alive else "recovery"
    match row.status:
        case "paused":
            return "pause"
        case "queued":
            return "queue"
        case "running":
            return "ready"
    if row.wake_at is not None:
        return "timer"
    if any(run_id == row.id for run_id, _ in place.board.subscriptions):
        return "subscription"
    children = (other for other in place.runs.values() if other.parent == row.id and other.status in LIVE)
    return "child" if any(True for _ in children) else "nothing"
