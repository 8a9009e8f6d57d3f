"""Who goes first where not all can go at once.

Order: the run's priority, raised by age so that nobody starves; the task's
priority; the longest path that remains behind the task.
"""

from __future__ import annotations

from typing import Final, NamedTuple

POINT_SECONDS: Final = 1.0
"""Waiting for so long counts as one point of the run's priority: the least urgent run comes before a new one of
the most urgent after a hundred seconds."""

Rank = tuple[float, int, float]
"""What entries of a queue are sorted by: the lowest goes first."""


class Urgency(NamedTuple):
    """How urgent an attempt is."""

    run: int = 50
    """The run's priority, 0 to 100, more first."""
    task: int = 50
    """The task's, 0 to 100, more first."""
    remaining: float = 0.0
    """Seconds of the longest path from the task to the end of the run, by what earlier runs took."""


NORMAL: Final = Urgency()


def rank(urgency: Urgency, arrived_at: float) -> Rank:
    """Return the place of somebody who came at a moment, in seconds on any one clock.

    Age is part of it once and for all: of two that wait, both grow older
    alike, so that a queue sorted by rank stays sorted.

    Example:
        >>> rank(Urgency(run=90), 10.0) < rank(Urgency(run=50), 0.0)
        True
        >>> rank(Urgency(run=90), 60.0) < rank(Urgency(run=50), 0.0)
        False
    """
    return arrived_at // POINT_SECONDS - urgency.run, -urgency.task, -urgency.remaining
