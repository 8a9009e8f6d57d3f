"""Runs that wait for each other, in dictionaries: see `storage.lanes`, which decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.storage import lanes
from flowbuilder.storage.api import LIVE, Accept, Append, Change, Command
from flowbuilder.storage.lanes import LaneState, Queued

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from flowbuilder.storage.api import RunRow
    from flowbuilder.storage.lanes import Enter, Entered, Hold
    from flowbuilder.storage.memory.place import Place


class MemoryBook:
    """Passes `storage.lanes.Book`."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def by_key(self, flow: str, key: str) -> RunRow | None:
        """Return the run that has a key."""
        holder = self._place.keys.get((flow, key))
        return None if holder is None else self.find(holder)

    def find(self, run_id: str) -> RunRow | None:
        """Return a run by its whole id."""
        row = self._place.runs.get(run_id)
        return None if row is None else msgspec.structs.replace(row)

    def count_placed(self, lane: str) -> int:
        """Return how many runs have a place."""
        return len(self._of(lane, queued=False))

    def count_queued(self, lane: str) -> int:
        """Return how many runs are queued."""
        return len(self._of(lane, queued=True))

    def placed(self, lane: str, most: int) -> list[RunRow]:
        """Return runs that have a place, the oldest first."""
        return sorted(self._of(lane, queued=False), key=lambda row: row.id)[:most]

    def any_queued(self, lane: str) -> bool:
        """Tell whether a run is queued."""
        return any(self._of(lane, queued=True))

    def queued(self, lane: str, most: int) -> list[RunRow]:
        """Return runs that are queued, whose turn comes first in front."""
        return sorted(self._of(lane, queued=True), key=lambda row: (-row.priority, row.id))[:most]

    def owners_of_queued(self, lane: str) -> list[str]:
        """Return the engines that keep queued runs for themselves, each once."""
        return sorted({row.owner for row in self._of(lane, queued=True) if row.owner is not None})

    def queued_of(self, lane: str, owner: str, most: int) -> list[RunRow]:
        """Return queued runs that an engine keeps for itself, whose turn comes first in front."""
        kept = [row for row in self._of(lane, queued=True) if row.owner == owner]
        return sorted(kept, key=lambda row: (-row.priority, row.id))[:most]

    def held(self, lane: str) -> RunRow | None:
        """Return the start that is held in a lane."""
        for row in self._place.runs.values():
            unbegun = row.status == "waiting" and row.started_at is None and row.owner is None
            if row.lane == lane and unbegun:
                return msgspec.structs.replace(row)
        return None

    def add(self, row: RunRow, batch: bytes | None) -> None:
        """Add a run, with how its journal begins."""
        self._place.apply([Accept(row)], {})
        if batch is not None:
            self._place.apply([Append(row.id, 0, batch)], {})

    def change(self, run_id: str, changes: Mapping[str, Any]) -> None:
        """Give a run other values."""
        self._place.apply([Change(run_id, dict(changes))], {})

    def ask(self, run_id: str, kind: str, payload: bytes) -> None:
        """Leave a command for the owner of a run."""
        number = self._place.number()
        self._place.commands[number] = Command(number, run_id, kind, payload)

    def alive(self, engine: str) -> bool:
        """Tell whether an engine lives."""
        known = self._place.engines.get(engine)
        return known is not None and known.alive

    def lanes(self) -> list[str]:
        """Return the lanes in which runs are queued."""
        rows = self._place.runs.values()
        return sorted({row.lane for row in rows if row.lane is not None and row.status == "queued"})

    def _of(self, lane: str, *, queued: bool) -> list[RunRow]:
        return [
            msgspec.structs.replace(row)
            for row in self._place.runs.values()
            if row.lane == lane
            and row.status in LIVE
            and (row.status == "queued" if queued else row.status != "queued" and row.started_at is not None)
        ]


class MemoryLanes:
    """Passes `storage.lanes.Lanes`.

    Args:
        reading: lends the contents of the store, locked, with all that was submitted in them.
        ring: wakes the owners of runs that have commands; all engines for None.
        engine: who asks; None for a reader.
    """

    def __init__(
        self,
        reading: Callable[[], AbstractContextManager[Place]],
        ring: Callable[[str | None], None],
        engine: str | None,
    ) -> None:
        self._reading = reading
        self._ring = ring
        self._engine = engine

    def enter(self, entries: Sequence[Enter], now: float) -> list[Entered]:
        """Take runs in, each as its policy says."""
        with self._reading() as place:
            entered = lanes.enter(MemoryBook(place), entries, now)
        return self._told(entered)

    def hold(self, entries: Sequence[Hold], now: float) -> list[Entered]:
        """Take starts in that wait; each takes the place of one that waits in its lane."""
        with self._reading() as place:
            entered = lanes.hold(MemoryBook(place), entries, now)
        return self._told(entered)

    def take(self, of: Mapping[str, int], now: float, *, adopts: bool, most: int = 1000) -> list[RunRow]:
        """Give places that are free to those queued, most urgent first, and return the runs that are ours."""
        engine = self._engine
        assert engine is not None, "a reader begins no run"
        with self._reading() as place:
            return lanes.take(MemoryBook(place), of, now, engine=engine, adopts=adopts, most=most)

    def cancel(self, run_id: str, now: float, reason: str) -> RunRow | None:
        """End a run that has not begun, `cancelled`."""
        with self._reading() as place:
            return lanes.cancel(MemoryBook(place), run_id, now, reason)

    def queued(self, most: int = 1000, after: str = "") -> list[Queued]:
        """List lanes in which runs are queued, in the order of their names, behind `after`."""
        with self._reading() as place:
            book = MemoryBook(place)
            lanes = [lane for lane in book.lanes() if lane > after][:most]
            return [Queued(lane, book.queued(lane, 1)[0]) for lane in lanes]

    def count(self, lane: str) -> tuple[int, int]:
        """Return how many runs of a lane have a place, and how many are queued."""
        with self._reading() as place:
            book = MemoryBook(place)
            return book.count_placed(lane), book.count_queued(lane)

    def states(self, most: int = 1000) -> list[LaneState]:
        """List lanes with live runs, as they stand."""
        with self._reading() as place:
            book, found = MemoryBook(place), []
            live = {row.lane for row in place.runs.values() if row.lane is not None and row.status in LIVE}
            for lane in sorted(live)[:most]:
                held = book.held(lane)
                first = book.queued(lane, 1) or book.placed(lane, 1) or ([] if held is None else [held])
                if first:
                    found.append(LaneState(lane, book.count_placed(lane), book.count_queued(lane), first[0]))
            return found

    def _told(self, entered: list[Entered]) -> list[Entered]:
        for owner in {owner for each in entered for _, owner in each.asked}:
            self._ring(owner)
        return entered
