"""The runs of an engine that drives only what it is given, while they are in the store: it alone wakes them."""

from __future__ import annotations

import heapq


class OwnRuns:
    """Runs by the moment at which they are to be looked at.  Instants are seconds since 1970 UTC."""

    def __init__(self) -> None:
        self._moments: dict[str, float | None] = {}
        self._order: list[tuple[float, str]] = []
        """A heap; what has another moment by now is passed over."""

    def add(self, run_id: str, moment: float | None) -> None:
        """Note when a run is due; None for one that only an event or a command wakes."""
        if moment is not None and self._moments.get(run_id) != moment:
            heapq.heappush(self._order, (moment, run_id))
        self._moments[run_id] = moment

    def take(self, now: float | None) -> list[str]:
        """Take out and return the runs that are due, or all of them."""
        if now is None:
            found, self._moments, self._order = sorted(self._moments), {}, []
            return found
        found = []
        while (following := self.following()) is not None and following <= now:
            _, run_id = heapq.heappop(self._order)
            del self._moments[run_id]
            found.append(run_id)
        return found

    def following(self) -> float | None:
        """Return the moment of the next, or None."""
        order = self._order
        while order and self._moments.get(order[0][1]) != order[0][0]:
            heapq.heappop(order)
        return order[0][0] if order else None
