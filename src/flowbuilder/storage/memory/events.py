"""Events in memory: a list that is looked through, the oracle of the index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from flowbuilder.core.errors import NotFound, RunEnded
from flowbuilder.core.values import NULL_BYTES
from flowbuilder.storage.api import LIVE
from flowbuilder.storage.events import (
    ANY,
    Emit,
    Event,
    EventFilter,
    News,
    Subscribe,
    Subscription,
    Take,
    Unsubscribe,
    asks_for,
    digest_at,
    held,
    only,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from flowbuilder.storage.memory.place import Place


class Board:
    """What a place knows of events and of those who wait for them."""

    def __init__(self) -> None:
        self.events: dict[int, Event] = {}
        self.ids: dict[str, int] = {}
        self.taken: set[int] = set()
        self.subscriptions: dict[tuple[str, str], Subscription] = {}
        self.woken: dict[tuple[str, str], int] = {}
        """Subscriptions that an event has met, and whose runs have not said since that they go on waiting: which."""
        self.last = 0


def apply(place: Place, news: Sequence[News]) -> bool:
    """Carry out what a group says of events; tells whether anybody is to be woken."""
    board = place.board
    wake = False
    for item in news:
        match item:
            case Unsubscribe(run_id, path):
                board.subscriptions.pop((run_id, path), None)
                board.woken.pop((run_id, path), None)
            case Take(run_id, numbers):
                for number in numbers:
                    event = board.events.get(number)
                    if event is not None and event.run_id == run_id:
                        board.taken.add(number)
                        board.events[number] = msgspec.structs.replace(event, payload=NULL_BYTES)
            case Emit(event):
                if event.run_id is None or _live(place, event.run_id):
                    wake = insert(place, event) or wake
            case Subscribe():
                pass
    for subscription in held(news):
        wake = _subscribe(place, subscription) or wake
    return wake


def insert(place: Place, event: Event) -> bool:
    """Keep an event and make due whom it finds; False where its id is known already."""
    board = place.board
    if event.id in board.ids:
        return False
    board.last += 1
    kept = msgspec.structs.replace(event, number=board.last)
    board.events[board.last] = kept
    board.ids[event.id] = board.last
    for subscription in board.subscriptions.values():
        if asks_for(subscription, kept):
            _wake(place, subscription, board.last)
    return True


def forget_run(board: Board, run_id: str) -> None:
    """Delete what belongs to a run."""
    for key in [key for key in board.subscriptions if key[0] == run_id]:
        del board.subscriptions[key]
        board.woken.pop(key, None)
    for event in [event for event in board.events.values() if event.run_id == run_id]:
        _delete(board, event)


class MemoryEvents:
    """Passes `storage.events.Events`.

    Args:
        reading: lends the contents of the store, locked, with all that was submitted in them.
        ring: wakes all engines.
    """

    def __init__(
        self, reading: Callable[[], AbstractContextManager[Place]], ring: Callable[[], None]
    ) -> None:
        self._reading = reading
        self._ring = ring

    def emit(self, event: Event) -> int:
        """Keep an event durably and wake whom it concerns."""
        with self._reading() as place:
            if event.run_id is not None and not _live(place, event.run_id):
                raise RunEnded(event.run_id) if event.run_id in place.runs else NotFound("run", event.run_id)
            insert(place, event)
            number = place.board.ids[event.id]
        self._ring()
        return number

    def last(self) -> int:
        """Return the number of the newest event or signal."""
        with self._reading() as place:
            return place.board.last

    def find(self, which: EventFilter) -> list[Event]:
        """List events, or what signals a run has not taken, oldest first."""
        with self._reading() as place:
            board = place.board
            found = [
                event
                for number, event in sorted(board.events.items())
                if (which.everything or event.run_id == which.run_id)
                and number > which.after
                and only(which.names, event.name)
                and (which.since is None or event.at >= which.since)
                and (not which.member or _has(event, which))
                and number not in board.taken
            ]
            return found[: which.limit]

    def subscriptions(
        self, *, name: str | None = None, run_id: str | None = None, limit: int = 1000
    ) -> list[Subscription]:
        """List who waits: for a name, or of a run."""
        with self._reading() as place:
            found = [
                msgspec.structs.replace(subscription, woken=place.board.woken.get(key, 0))
                for key, subscription in sorted(place.board.subscriptions.items())
                if (name is None or subscription.name == name)
                and (run_id is None or subscription.run_id == run_id)
            ]
            return found[:limit]

    def forget(self, before: float, limit: int = 10_000) -> int:
        """Delete events from before a moment, and signals that were taken."""
        with self._reading() as place:
            board = place.board
            gone = [
                event
                for event in sorted(board.events.values(), key=lambda event: event.at)
                if event.at < before
                and (event.run_id is None or event.number in board.taken)
                and not any(
                    board.subscriptions[key].name == event.name
                    and board.subscriptions[key].after < event.number
                    for key in board.woken
                )
            ][:limit]
            for event in gone:
                _delete(board, event)
            return len(gone)


def _subscribe(place: Place, new: Subscription) -> bool:
    board = place.board
    board.subscriptions[new.run_id, new.path] = new
    board.woken.pop((new.run_id, new.path), None)
    met = [
        number
        for number, event in sorted(board.events.items())
        if number > new.after and number not in board.taken and asks_for(new, event)
    ]
    if met:
        _wake(place, new, met[0])
    return bool(met)


def _wake(place: Place, subscription: Subscription, number: int) -> None:
    place.board.woken.setdefault((subscription.run_id, subscription.path), number)
    row = place.runs.get(subscription.run_id)
    if row is not None and row.owner is None and row.status == "waiting":
        row.wake_at = 0.0


def _has(event: Event, which: EventFilter) -> bool:
    return digest_at(event.value(), which.member) in (which.digest, ANY)


def _live(place: Place, run_id: str) -> bool:
    row = place.runs.get(run_id)
    return row is not None and row.status in LIVE


def _delete(board: Board, event: Event) -> None:
    del board.events[event.number]
    del board.ids[event.id]
    board.taken.discard(event.number)
