"""Statistics of tasks: gathered in the writer's memory, written about once a second.

A statistic is no promise: what a crash takes is at most the last second's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flowbuilder.storage.sketch import Sketch, decode, encode
from flowbuilder.storage.sqlite.query import all_rows, first_row

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

    from flowbuilder.storage.api import Statistic, TaskStatistics

_EVERY = 1.0
"""Seconds between two writes of what has been gathered."""
_MANY = 10_000
"""Tasks that are gathered at most: the memory that it takes is bounded."""


class Tally:
    """What has been counted since it was last written."""

    def __init__(self) -> None:
        self._sketches: dict[tuple[str, str], Sketch] = {}
        self._since = 0.0
        self._written = False

    def add(self, statistics: Iterable[Statistic]) -> None:
        """Count executions."""
        sketches = self._sketches
        if not sketches:
            self._since = time.monotonic()
        for statistic in statistics:
            place = (statistic.flow, statistic.task)
            sketch = sketches.get(place)
            if sketch is None:
                sketch = sketches[place] = Sketch(buckets={})
            sketch.add(statistic)

    def wait(self) -> float | None:
        """Return seconds until there is something to write, or None if there is nothing."""
        if not self._sketches:
            return None
        if len(self._sketches) > _MANY:
            return 0.0
        return max(0.0, self._since + _EVERY - time.monotonic())

    def write(self, cursor: apsw.Cursor) -> None:
        """Merge what was counted into the store, within the transaction that is open."""
        changed: set[str] = set()
        for (flow, task), sketch in self._sketches.items():
            found = first_row(
                cursor, "SELECT figures FROM statistics WHERE flow = ? AND task = ?", (flow, task)
            )
            merged = decode(found[0]) if found else Sketch(buckets={})
            merged.merge(sketch)
            if merged.rebase():
                changed.add(flow)
            cursor.execute(
                "INSERT INTO statistics VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET figures = excluded.figures",
                (flow, task, encode(merged)),
            )
        for flow in changed:
            cursor.execute(
                "INSERT INTO statistics_epochs VALUES (?, 1) ON CONFLICT DO UPDATE SET epoch = epoch + 1",
                (flow,),
            )

        self._written = True

    def committed(self) -> None:
        """Forget what `write` wrote in the transaction that has been committed, if it did."""
        if self._written:
            self._written = False
            self._sketches = {}

    def postpone(self) -> None:
        """Try again later: the transaction failed."""
        self._written = False
        self._since = time.monotonic()


def read(cursor: apsw.Cursor, flow: str) -> dict[str, TaskStatistics]:
    """Return what is known of a flow's tasks."""
    found = all_rows(cursor, "SELECT task, figures FROM statistics WHERE flow = ?", (flow,))
    return {task: decode(figures).summary() for task, figures in found}


def epoch(cursor: apsw.Cursor, flow: str) -> int:
    """Return the number that changes with the magnitude of a flow's statistics; 0 where there are none."""
    found = first_row(cursor, "SELECT epoch FROM statistics_epochs WHERE flow = ?", (flow,))
    return int(found[0]) if found else 0
