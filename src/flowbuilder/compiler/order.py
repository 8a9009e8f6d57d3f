"""The order of a graph's tasks: each behind what it waits for, else as in the file."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbuilder.compiler.ir import Task


def waits_of(tasks: Sequence[Task]) -> list[list[int]]:
    """Return for each task the places of those it waits for, once each, in the same graph."""
    places = {task.id: place for place, task in enumerate(tasks)}
    return [[places[id] for id in dict.fromkeys(task.waits_for) if id in places] for task in tasks]


def in_order(waits: Sequence[Sequence[int]]) -> list[int]:
    """Return the places of tasks, each behind what it waits for; of those that could come, the first.

    Cost:
        O(N + E) where the file has that order already, else O(N log N + E).

    Source:
        A. B. Kahn, "Topological sorting of large networks", CACM 5(11), 1962.
    """
    if all(not before or max(before) < place for place, before in enumerate(waits)):
        return list(range(len(waits)))
    after: list[list[int]] = [[] for _ in waits]
    for place, before in enumerate(waits):
        for other in before:
            after[other].append(place)
    open_ = [len(before) for before in waits]
    ready = [place for place, count in enumerate(open_) if not count]
    order = []
    while ready:
        place = heapq.heappop(ready)
        order.append(place)
        for other in after[place]:
            open_[other] -= 1
            if not open_[other]:
                heapq.heappush(ready, other)
    return order
