"""What came before a wait: asked of the store on a thread, for many waits at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.storage.events import EventFilter, Subscription

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbuilder.storage.api import Store
    from flowbuilder.storage.events import Event, Events

PAGE: Final = 1000
EVERY: Final = 1_000_000
"""More waits than a run has."""


class Asked(msgspec.Struct, frozen=True):
    """What one wait asks for."""

    wanted: Subscription
    oldest: float | None
    """Of events before a fresh wait: the earliest moment."""
    known: bool
    """It was waited for before, so that the subscription in the store knows what has met it."""


def look(store: Store, asked: Sequence[Asked]) -> list[tuple[list[Event], int]]:
    """Return for each what it may ask for, oldest first, and the number up to which that is all."""
    events = store.events()
    last = events.last()
    read = _Reading(events)
    return [(read.of(each), last) for each in asked]


class _Reading:
    """Reads what several ask for alike once."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._read: dict[tuple[Any, ...], list[Event]] = {}
        self._woken: dict[str, dict[str, int]] = {}
        """By run and path the first event that has met a subscription; 0: none has."""

    def of(self, asked: Asked) -> list[Event]:
        """Return what came for one."""
        wanted = asked.wanted
        after = wanted.after
        if asked.known:
            woken = self._woken_of(wanted.run_id).get(wanted.path)
            if woken == 0:
                return []
            if woken is not None:
                after = max(after, woken - 1)
        # to the second: those who begin together share what is read
        since = None if asked.oldest is None else float(int(asked.oldest))
        which = EventFilter(
            names=(wanted.name,),
            run_id=wanted.run_id if wanted.signal else None,
            after=after,
            since=since,
            limit=PAGE,
            member=wanted.member,
            digest=wanted.digest,
        )
        key = msgspec.structs.astuple(which)
        events = self._read.get(key)
        if events is None:
            events = self._read[key] = self._all(which)
        if asked.oldest is not None:
            events = [event for event in events if event.at >= asked.oldest]
        return events

    def _woken_of(self, run_id: str) -> dict[str, int]:
        woken = self._woken.get(run_id)
        if woken is None:
            kept = self._events.subscriptions(run_id=run_id, limit=EVERY)
            woken = self._woken[run_id] = {each.path: each.woken for each in kept}
        return woken

    def _all(self, which: EventFilter) -> list[Event]:
        found: list[Event] = []
        while True:
            page = self._events.find(which)
            found += page
            if len(page) < PAGE:
                return found
            which = msgspec.structs.replace(which, after=page[-1].number)
