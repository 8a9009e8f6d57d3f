"""What came before a wait: asked of the store on a thread, for many waits at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.core.matching import MISSING, digest, member, read_path
from flowbuilder.storage.events import EventFilter, Subscription

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbuilder.storage.api import Store
    from flowbuilder.storage.events import Event, Events

PAGE = 1000


class Asked(msgspec.Struct, frozen=True):
    """What one wait asks for."""

    wanted: Subscription
    oldest: float | None
    """Of events before a fresh wait: the earliest moment."""
    known: str | None
    """The path of a wait that has a subscription in the store, which knows what has met it."""


def look(store: Store, asked: Sequence[Asked]) -> list[tuple[list[Event], int]]:
    """Return for each what it may ask for, oldest first, and the number up to which that is all."""
    events = store.events()
    last = events.last()
    read = _Reading(events)
    return [(read.of(each), last) for each in asked]


class _Reading:
    """Reads events of a name once, however many ask for them."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._read: dict[tuple[Any, ...], list[Event]] = {}
        self._found: dict[tuple[Any, ...], dict[str, list[Event]]] = {}

    def of(self, asked: Asked) -> list[Event]:
        wanted = asked.wanted
        after = wanted.after
        if asked.known is not None:
            for kept in self._events.subscriptions(run_id=wanted.run_id):
                if kept.path == asked.known:
                    if not kept.woken:
                        return []
                    after = max(after, kept.woken - 1)
        run_id = wanted.run_id if wanted.signal else None
        # to the second: those who begin together share what is read
        since = None if asked.oldest is None else float(int(asked.oldest))
        key = (run_id, wanted.name, after, since)
        events = self._read.get(key)
        if events is None:
            events = self._read[key] = self._all(run_id, wanted.name, after, since)
        if wanted.member:
            events = self._by_value(key, wanted.member, events).get(wanted.digest, [])
        if asked.oldest is not None:
            events = [event for event in events if event.at >= asked.oldest]
        return events

    def _all(self, run_id: str | None, name: str, after: int, since: float | None) -> list[Event]:
        found: list[Event] = []
        while True:
            page = self._events.find(EventFilter((name,), run_id, after, since, PAGE))
            found += page
            if len(page) < PAGE:
                return found
            after = page[-1].number

    def _by_value(self, key: tuple[Any, ...], asked: str, events: list[Event]) -> dict[str, list[Event]]:
        found = self._found.get((*key, asked))
        if found is None:
            found = self._found[(*key, asked)] = {}
            path = read_path(asked)
            for event in events:
                at = member(event.value(), path)
                wanted = digest(at) if at is not MISSING else ""
                if wanted:
                    found.setdefault(wanted, []).append(event)
        return found
