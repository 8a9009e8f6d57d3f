"""What an attempt with limits holds, and what it waits for: a cache, and never more than its engine's life.

A place belongs to the attempt: whatever ends that, `Limits.let_go` gives back
all of it.  What other engines must know lies in the store, under the name of
the engine, whose lock dies with its process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.core.urgency import Rank, Urgency, rank

if TYPE_CHECKING:
    from flowbuilder.core.breakers import Who
    from flowbuilder.core.plan import LimitsPlan
    from flowbuilder.runtime.queues import QueueKey
    from flowbuilder.runtime.state import Execution
    from flowbuilder.runtime.timers import Timer


class Held:
    """The way of one attempt through its limits."""

    __slots__ = (
        "ask",
        "breaker_key",
        "execution",
        "good",
        "limits",
        "moment",
        "over",
        "place",
        "queue_key",
        "rank",
        "rate_key",
        "shown",
        "since",
        "stage",
        "timer",
        "waits",
        "who",
    )

    def __init__(self, execution: Execution, limits: LimitsPlan, engine_who: Who, now: float) -> None:
        run, task = execution.frame.run, execution.task
        self.execution = execution
        self.limits = limits
        self.who = engine_who
        self.rank: Rank = rank(Urgency(run.row.priority, task.priority, task.remaining), now)
        """Its place among those that wait for the same; kept for all of its waits."""
        self.since = now
        """When it began to wait."""
        self.stage = 0
        """The next limit to be passed."""
        self.rate_key = self.breaker_key = self.queue_key = ""
        self.moment: float | None = None
        """When its rate limit lets it begin."""
        self.timer: Timer | None = None
        self.place: QueueKey | None = None
        """Where it has a place of a queue."""
        self.ask = False
        """It has its share of the machine."""
        self.good = False
        """Its attempt has succeeded."""
        self.over = False
        """The attempt has ended, or was given up: whoever still has this in a queue throws it away."""
        self.waits: str | None = None
        """What it waits for, for people."""
        self.shown = False
        """The journal says that it waits."""
