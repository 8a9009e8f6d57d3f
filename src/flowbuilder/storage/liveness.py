"""Whether every live run owns something that will carry it on: a part of the store's protocol.

A run that owns nothing would stay as it is for ever; there must be none.
The invariant is checked by one query over what the store knows; what lies in
the memory of an engine that lives is that engine's own to check (`Upkeep`).
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

import msgspec

Holding = Literal[
    "engine", "recovery", "ready", "pause", "queue", "timer", "subscription", "child", "nothing"
]
HOLDINGS: Final[dict[Holding, str]] = {
    "engine": "an engine that lives drives it",
    "recovery": "its engine is gone; the next one takes it over",
    "ready": "it may go on; the next engine takes it",
    "pause": "somebody has paused it",
    "queue": "it has a place in a queue",
    "timer": "it sleeps until a moment",
    "subscription": "it waits for an event, a signal or an approval",
    "child": "it waits for a run that it has started",
    "nothing": "nothing will ever carry it on: it is stuck",
}
"""What a live run may own, in words; the first that holds is the one that is told."""


class Hold(msgspec.Struct, frozen=True):
    """A live run, and what it owns."""

    run_id: str
    flow: str
    status: str
    holds: Holding
    wake_at: float | None = None


class Liveness(Protocol):
    """Looks over all live runs; every call blocks."""

    def holds(self, *, after: str = "", limit: int = 1000) -> list[Hold]:
        """Return live runs behind an id, oldest first, each with what it owns."""
        ...

    def counts(self) -> dict[Holding, int]:
        """Return how many live runs own what; what none owns is left out."""
        ...

    def stuck(self, limit: int = 1000) -> list[Hold]:
        """Return live runs that own nothing, oldest first."""
        ...

    def revive(self, run_ids: list[str]) -> int:
        """Make runs due at once that own nothing, so that an engine reads them again; returns how many."""
        ...

    def leaks(self) -> dict[str, int]:
        """Return how many rows there are that belong to runs which have ended, by what they are; none is right."""
        ...
