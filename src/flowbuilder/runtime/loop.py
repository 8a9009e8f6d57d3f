"""What is known of the rounds of one execution; `Execution.loop` is one."""

from __future__ import annotations

from collections import deque
from typing import Any


class Loop:
    """The rounds of one execution."""

    __slots__ = (
        "again",
        "checkpoint",
        "collected",
        "covered",
        "encoded",
        "fresh",
        "is_undone",
        "moment",
        "path",
        "recent",
        "round",
        "round_at",
        "sensitive",
        "spins",
        "state",
        "turning",
        "written",
    )

    def __init__(self, path: str, rounds_kept: int) -> None:
        self.path = path
        """The execution's own, without a round."""
        self.round = 0
        """How many have ended."""
        self.round_at = 0.0
        """When the present one began."""
        self.moment = 0.0
        """What `now()` is in the present one: when it was due."""
        self.state: Any = None
        self.encoded: bytes | None = None
        """The output of the last round, encoded, where that is known."""
        self.collected: list[Any] = []
        self.written = 0
        """How many collected values the journal has been given, and how many its rounds tell of."""
        self.covered = 0
        self.fresh = 0
        """Rounds recorded since the last flush."""
        self.is_undone = False
        """What its rounds have done may have to be undone, so that all of them are kept."""
        self.sensitive = False
        self.spins = False
        """Its rounds only compute, and are carried out without a step between."""
        self.recent: deque[tuple[int, Any]] = deque(maxlen=rounds_kept)
        """Of one that spins, the last rounds and what they yielded, unless the journal has them."""
        self.checkpoint = 0.0
        """Of one that spins, when it was last written down."""
        self.turning = False
        self.again = False
        """While it turns: the round has ended in place, and the next may begin."""
