"""Events, signals, and who waits for them: a part of the store's protocol.

An event has a name, a payload and a number that grows with each; a signal is
an event addressed to one run.  A run that waits has a subscription: a row that
an event finds through an index.  The event that meets a run which waits in the
store for nobody in particular makes it due at once, in the transaction that
keeps the event; a crash in between loses nothing, since there is no between.

What is promised is spelled out in `testing.EventsContract`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

import msgspec

from flowbuilder.core import values
from flowbuilder.core.matching import MISSING, digest, event_value, member, read_path
from flowbuilder.core.sealed import Sealed

ANY: Final = "*"
"""In place of a digest: whoever asks for any value may mean it.  No digest looks like this."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that happened, under a name; for one run alone if `run_id` says so (a signal)."""

    id: str
    """Makes emitting it twice emit it once."""
    name: str
    payload: bytes
    """MessagePack of any value; of one that is sealed, where it was emitted as sensitive."""
    at: float
    source: str = ""
    """Who emitted it: a run's task, a person, a program."""
    run_id: str | None = None
    number: int = 0
    """Its place among all; given by the store."""

    def value(self) -> dict[str, Any]:
        """Return it as expressions see it."""
        return event_value(self.id, self.name, values.decode(self.payload), self.at, self.source)


class Subscription(msgspec.Struct, frozen=True, gc=False):
    """What a task of a run waits for."""

    run_id: str
    path: str
    """The task's."""
    name: str
    signal: bool = False
    """For signals to this run, and not for events."""
    member: str = ""
    """The path (`core.matching.write_path`) of what must be equal; empty where there is nothing of the kind."""
    digest: str = ""
    """Of the value that it must be equal to."""
    after: int = 0
    """The number of the last event that the run has looked at for it."""
    woken: int = 0
    """The number of the first event that has met it since; 0: none has.  Said by the store."""


class Emit(msgspec.Struct, frozen=True, gc=False):
    """An event that is kept from this group on, unless its id is known already.

    A signal to a run that has ended, or that nobody knows, is dropped.
    """

    event: Event


class Subscribe(msgspec.Struct, frozen=True, gc=False):
    """A subscription that holds from this group on, in place of the task's earlier one.

    Where the run waits in the store and an event has come behind `after` that
    it asks for, the run is due at once.
    """

    subscription: Subscription


class Unsubscribe(msgspec.Struct, frozen=True, gc=False):
    """A task waits no longer."""

    run_id: str
    path: str


class Take(msgspec.Struct, frozen=True, gc=False):
    """Signals that their run has taken: no later wait of it sees them."""

    run_id: str
    numbers: tuple[int, ...]


News = Emit | Subscribe | Unsubscribe | Take
"""Writes that have to do with events."""


def held(news: Iterable[News]) -> list[Subscription]:
    """Return the subscriptions of a group that hold at its end: what it gives up again is not among them."""
    last: dict[tuple[str, str], Subscription] = {}
    for item in news:
        match item:
            case Subscribe(subscription):
                last[subscription.run_id, subscription.path] = subscription
            case Unsubscribe(run_id, path):
                last.pop((run_id, path), None)
    return list(last.values())


class EventFilter(msgspec.Struct, frozen=True):
    """Which events to list, oldest first; those behind number `after`."""

    names: tuple[str, ...] = ()
    """Any name where it is empty."""
    run_id: str | None = None
    """Signals to this run that it has not taken; without it events, and no signals."""
    after: int = 0
    since: float | None = None
    """From this moment on."""
    limit: int = 1000
    everything: bool = False
    """Events and signals to any run alike, `run_id` aside."""
    member: str = ""
    """Of one name only: those whose member (`core.matching.write_path`) has the digest that follows."""
    digest: str = ""


class Events(Protocol):
    """The events of a store.  Calls block, as those of `Store` do that are no writes."""

    def emit(self, event: Event) -> int:
        """Keep an event durably and wake whom it concerns; returns its number, or that of its first emission.

        Raises:
            NotFound: it is a signal to a run that there is not.
            RunEnded: it is a signal to a run that has ended.
        """
        ...

    def last(self) -> int:
        """Return the number of the newest event or signal, 0 where there is none."""
        ...

    def find(self, which: EventFilter) -> list[Event]:
        """List events, or what signals a run has not taken, oldest first."""
        ...

    def subscriptions(
        self, *, name: str | None = None, run_id: str | None = None, limit: int = 1000
    ) -> list[Subscription]:
        """List who waits: for a name, or of a run."""
        ...

    def forget(self, before: float, limit: int = 10_000) -> int:
        """Delete events from before a moment, and signals that were taken; returns how many.

        What a run was woken for stays until that run has looked at it.
        """
        ...


def asks_for(subscription: Subscription, event: Event, value: Any = None) -> bool:
    """Tell whether an event may be what somebody waits for, as far as the index tells.

    Args:
        subscription: what is waited for.
        event: the event.
        value: `event.value()`, where the caller has it.
    """
    if event.name != subscription.name:
        return False
    if subscription.signal != (event.run_id is not None):
        return False
    if subscription.signal and event.run_id != subscription.run_id:
        return False
    if not subscription.member:
        return True
    found = digest_at(event.value() if value is None else value, subscription.member)
    return found in (subscription.digest, ANY)


def digest_at(value: dict[str, Any], path: str) -> str:
    """Return the digest of what a path (`core.matching.write_path`) leads to in an event; empty: none has it.

    What a sealed payload holds the store cannot know: it may be `ANY`.
    """
    steps = read_path(path)
    if steps[:1] == ["payload"] and type(value["payload"]) is Sealed:
        return ANY
    found = member(value, steps)
    return digest(found) if found is not MISSING else ""


def only(names: Sequence[str], name: str) -> bool:
    """Tell whether a filter lets a name through."""
    return not names or name in names
