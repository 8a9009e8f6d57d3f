"""Which events a run has taken: no wait that begins later takes them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_MANY: Final = 1000
"""Numbers from which on it is looked for those that no wait can meet any more."""


class Taken:
    """The numbers of events and signals that a run has taken.

    Signals that were taken are no longer in the store a moment later, and
    events leave the window; so neither piles up in a loop without end.
    """

    __slots__ = ("_events", "_look_at", "_oldest", "_signals")

    def __init__(self, known: Iterable[tuple[int, float, bool]] = ()) -> None:
        self._events: dict[int, float] = {}
        self._signals: dict[int, None] = {}
        self._oldest = float("inf")
        self._look_at = _MANY
        for number, at, signal in known:
            if signal:
                self._signals[number] = None
            else:
                self._events[number] = at

    def __contains__(self, number: int) -> bool:
        return number in self._events or number in self._signals

    def events(self) -> frozenset[int]:
        """Return the numbers of the events that a later wait may still meet."""
        return frozenset(self._events)

    def add(self, number: int, at: float, signal: bool, oldest: float | None) -> None:
        """Note one; `oldest` is the earliest moment that any wait of the run may look at from now on."""
        if signal:
            self._signals[number] = None
            if len(self._signals) > 2 * _MANY:
                for old in list(self._signals)[:_MANY]:
                    del self._signals[old]
            return
        self._events[number] = at
        if oldest is None or len(self._events) < self._look_at:
            return
        self._events = {known: moment for known, moment in self._events.items() if moment >= oldest}
        self._look_at = max(_MANY, 2 * len(self._events))
