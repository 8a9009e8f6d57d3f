"""Runs that wait for each other: a part of the store's protocol.

A lane is a place that so many runs may have at once.  Who has a place follows
from the rows of runs alone: a live run of the lane that is not `queued`.  So a
place cannot leak, and a crash changes nothing.  Queued runs lie in the store
and nowhere else, until there is a place for them.

The decisions are made here, once, over a `Book` that each store lends within
one transaction.  What is promised is spelled out in `testing.LanesContract`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from flowbuilder.core import records, values
from flowbuilder.core.failure import failure
from flowbuilder.core.limits import ConcurrencyPolicy, DebouncePolicy
from flowbuilder.storage.api import Order, RunRow

NEEDS_PLACE = "needs_place"
"""In `RunRow.about` of a run that has begun and was brought from another store: it goes on in a place of its
own, and until it has one its `lane` is None, or it is queued."""
SINCE = "held_since"
"""In `RunRow.about` of a start that is held: when the first of those came whose place it has taken."""


class Enter(msgspec.Struct, frozen=True):
    """A run that wants a place in a lane.  `row.lane` says which; `row.owner` drives it if it gets one."""

    row: RunRow
    policy: ConcurrencyPolicy
    owned: bool = False
    """While it is queued only its owner may begin it, as long as that lives."""
    known: bool = False
    """Its row is in the store already: a start that was held."""
    batch: bytes | None = None
    """How its journal begins, where it is not empty."""


class Hold(msgspec.Struct, frozen=True):
    """A start that waits for another one of its lane to take its place."""

    row: RunRow
    policy: DebouncePolicy
    batch: bytes | None = None
    """How its journal begins, where it is not empty."""


class Entered(msgspec.Struct):
    """What became of a start."""

    row: RunRow
    """The run as it lies in the store now; another one where that has the key, or the place."""
    cancelled: tuple[RunRow, ...] = ()
    """Runs that had not begun, and never will."""
    asked: tuple[tuple[str, str | None], ...] = ()
    """Runs that were asked to cancel, each with its owner, who is to be woken."""


class Queued(msgspec.Struct, frozen=True):
    """A lane in which runs are queued."""

    lane: str
    first: RunRow
    """Whose turn comes next."""


class LaneState(msgspec.Struct, frozen=True):
    """A lane with live runs, as it stands."""

    lane: str
    placed: int
    queued: int
    first: RunRow
    """Whose turn comes next; where nobody is queued, the oldest that has a place, or the start that is held."""


class Lanes(Protocol):
    """Who has a place, and who waits for one.  Calls block; each is one durable transaction."""

    def enter(self, entries: Sequence[Enter], now: float) -> list[Entered]:
        """Take runs in, each as its policy says: with a place, queued, ended, or not at all."""
        ...

    def hold(self, entries: Sequence[Hold], now: float) -> list[Entered]:
        """Take starts in that wait; each takes the place of one that waits in its lane."""
        ...

    def take(self, lanes: Mapping[str, int], now: float, *, adopts: bool, most: int = 1000) -> list[RunRow]:
        """Give places that are free to those queued, most urgent first, and return the runs that are ours.

        Args:
            lanes: how many places each has.
            now: the moment at which they begin.
            adopts: also those that no living engine keeps for itself.
            most: how many at most.
        """
        ...

    def cancel(self, run_id: str, now: float, reason: str) -> RunRow | None:
        """End a run that has not begun, `cancelled`; None if it has begun, or is being begun."""
        ...

    def queued(self, most: int = 1000, after: str = "") -> list[Queued]:
        """List lanes in which runs are queued, in the order of their names, behind `after`."""
        ...

    def count(self, lane: str) -> tuple[int, int]:
        """Return how many runs of a lane have a place, and how many are queued."""
        ...

    def states(self, most: int = 1000) -> list[LaneState]:
        """List lanes with live runs, as they stand."""
        ...


class Book(Protocol):
    """Rows of runs as a store lends them within a transaction."""

    def by_key(self, flow: str, key: str) -> RunRow | None:
        """Return the run that has a key."""
        ...

    def find(self, run_id: str) -> RunRow | None:
        """Return a run by its whole id."""
        ...

    def count_placed(self, lane: str) -> int:
        """Return how many runs have a place."""
        ...

    def placed(self, lane: str, most: int) -> list[RunRow]:
        """Return runs that have a place, the oldest first."""
        ...

    def any_queued(self, lane: str) -> bool:
        """Tell whether a run is queued."""
        ...

    def queued(self, lane: str, most: int) -> list[RunRow]:
        """Return runs that are queued, whose turn comes first in front."""
        ...

    def owners_of_queued(self, lane: str) -> list[str]:
        """Return the engines that keep queued runs for themselves, each once."""
        ...

    def queued_of(self, lane: str, owner: str, most: int) -> list[RunRow]:
        """Return queued runs that an engine keeps for itself, whose turn comes first in front."""
        ...

    def held(self, lane: str) -> RunRow | None:
        """Return the start that is held in a lane."""
        ...

    def add(self, row: RunRow, batch: bytes | None) -> None:
        """Add a run, with how its journal begins."""
        ...

    def change(self, run_id: str, changes: Mapping[str, Any]) -> None:
        """Give a run other values."""
        ...

    def ask(self, run_id: str, kind: str, payload: bytes) -> None:
        """Leave a command for the owner of a run."""
        ...

    def alive(self, engine: str) -> bool:
        """Tell whether an engine lives."""
        ...


# -- decisions -------------------------------------------------------------------------


def enter(book: Book, entries: Sequence[Enter], now: float) -> list[Entered]:
    """Carry out `Lanes.enter`."""
    return [_enter(book, entry, now) for entry in entries]


def _enter(book: Book, entry: Enter, now: float) -> Entered:
    row, policy = entry.row, entry.policy
    if not entry.known and (taken := _by_key(book, row)) is not None:
        return Entered(taken)
    lane = _lane(row)
    placed = book.count_placed(lane)
    if placed < policy.limit and not book.any_queued(lane):
        started_at = row.started_at if _begun(entry) else now
        return Entered(_put(book, entry, status="running", started_at=started_at, owner=row.owner))
    match "queue" if _begun(entry) else policy.when_full:
        case "skip":
            other = (book.placed(lane, 1) or book.queued(lane, 1))[0]
            if entry.known:
                _end(book, row, now, f"run {other.id} has its place")
            return Entered(other)
        case "cancel_new":
            other = (book.placed(lane, 1) or book.queued(lane, 1))[0]
            reason = f"run {other.id} has its place, and `when_full` is `cancel_new`"
            return Entered(_put(book, entry, **_ended(now, reason), started_at=None))
        case "cancel_running":
            return _in_place_of_the_oldest(book, entry, placed, now)
        case _:
            return Entered(_queue(book, entry))


def _in_place_of_the_oldest(book: Book, entry: Enter, placed: int, now: float) -> Entered:
    """Queue a run, and end those that are too many with it, the oldest first."""
    row, limit = entry.row, entry.policy.limit
    lane, reason = _lane(row), f"run {row.id} takes its place"
    queued = sorted(book.queued(lane, 1000), key=lambda other: other.id)
    excess = placed + len(queued) + 1 - limit
    asked: list[tuple[str, str | None]] = []
    for other in book.placed(lane, max(0, min(excess, placed))):
        book.ask(other.id, "cancel", values.encode({"reason": reason}))
        asked.append((other.id, other.owner))
    cancelled = [_end(book, other, now, reason) for other in queued[: max(0, excess - len(asked))]]
    return Entered(_queue(book, entry), tuple(cancelled), tuple(asked))


def hold(book: Book, entries: Sequence[Hold], now: float) -> list[Entered]:
    """Carry out `Lanes.hold`."""
    return [_hold(book, entry, now) for entry in entries]


def _hold(book: Book, entry: Hold, now: float) -> Entered:
    row, policy = entry.row, entry.policy
    if (taken := _by_key(book, row)) is not None:
        return Entered(taken)
    before = book.held(_lane(row))
    about = values.decode(row.about) if row.about is not None else {}
    since = now
    cancelled: tuple[RunRow, ...] = ()
    if before is not None:
        since = min(now, (values.decode(before.about) if before.about is not None else {}).get(SINCE, now))
        cancelled = (_end(book, before, now, f"run {row.id} takes its place"),)
    wake_at = now + policy.wait if policy.max is None else min(now + policy.wait, since + policy.max)
    kept = msgspec.structs.replace(
        row,
        status="waiting",
        wake_at=wake_at,
        owner=None,
        started_at=None,
        about=values.encode({**about, SINCE: since}),
    )
    book.add(kept, entry.batch)
    return Entered(kept, cancelled)


def take(
    book: Book, lanes: Mapping[str, int], now: float, *, engine: str, adopts: bool, most: int
) -> list[RunRow]:
    """Carry out `Lanes.take`."""
    taken: list[RunRow] = []
    for lane, limit in lanes.items():
        free = limit - book.count_placed(lane)
        if free <= 0:
            continue
        for row in book.queued(lane, free) if adopts else _of_the_living(book, lane, engine, free):
            if free <= 0 or len(taken) >= most:
                break
            theirs = row.owner is not None and row.owner != engine and book.alive(row.owner)
            if theirs:
                free -= 1  # its owner takes the place
            elif row.owner == engine or adopts:
                free -= 1
                begun = {"status": "running", "owner": engine, "started_at": row.started_at or now}
                book.change(row.id, begun)
                taken.append(msgspec.structs.replace(row, **begun))
    return taken


def _of_the_living(book: Book, lane: str, engine: str, most: int) -> list[RunRow]:
    """Return queued runs that `engine` or another living one keeps for itself, whose turn comes first in front.

    What dead engines have left, however much, waits for one that adopts, and stands in nobody's way.
    """
    owners = book.owners_of_queued(lane)
    if engine not in owners:
        return []
    kept = [
        row
        for owner in owners
        if owner == engine or book.alive(owner)
        for row in book.queued_of(lane, owner, most)
    ]
    return sorted(kept, key=lambda row: (-row.priority, row.id))[:most]


def cancel(book: Book, run_id: str, now: float, reason: str) -> RunRow | None:
    """Carry out `Lanes.cancel`."""
    row = book.find(run_id)
    if row is None or row.lane is None or row.started_at is not None:
        return None
    if row.status == "waiting" and row.owner is not None and book.alive(row.owner):
        return None
    if row.status not in ("queued", "waiting", "paused"):
        return None
    return _end(book, row, now, reason)


def waits_its_turn(row: RunRow) -> bool:
    """Tell whether a run has not begun: it is queued, or held, or was paused while it was."""
    unbegun = row.lane is not None and row.started_at is None
    return unbegun and row.status in ("queued", "waiting", "paused")


def ends_unbegun(order: Order) -> bool:
    """Tell whether an order is the end of a run that has not begun, with no look at what it is made of."""
    return order.kind == "cancel" and order.due is None


def unbegun_changes(order: Order) -> dict[str, Any]:
    """Return what an order changes of a run that has not begun; whoever may begin it still may.

    One that is resumed is nobody's: the engine that takes it has it queued, or held, again.  One whose
    deadline has come begins to end, and needs no place for that.
    """
    if order.due is not None:
        return {**order.changes, "started_at": order.due, "lane": None, "owner": None}
    return {**order.changes, "owner": None} if order.kind == "resume" else dict(order.changes)


def asked_at(order: Order) -> float:
    """Return when somebody asked for a cancel: what he left for the journal says so."""
    return next(
        (
            record.at
            for record in records.decode(order.batch or b"\x90")
            if isinstance(record, records.CancelAsked)
        ),
        0.0,
    )


def _by_key(book: Book, row: RunRow) -> RunRow | None:
    return None if row.key is None else book.by_key(row.flow, row.key)


def _lane(row: RunRow) -> str:
    assert row.lane is not None
    return row.lane


def _queue(book: Book, entry: Enter) -> RunRow:
    owner = entry.row.owner if entry.owned else None
    started_at = entry.row.started_at if _begun(entry) else None
    return _put(book, entry, status="queued", owner=owner, started_at=started_at)


def _begun(entry: Enter) -> bool:
    """Tell whether a run goes on that has begun elsewhere: it is to end in order, whatever the policy."""
    return entry.known and entry.row.started_at is not None


def _put(book: Book, entry: Enter, **changes: Any) -> RunRow:
    """Add a run with some values in place of its own, or change the one that is there."""
    row = msgspec.structs.replace(entry.row, **changes)
    if entry.known:
        book.change(row.id, {"wake_at": None, "lane": row.lane, **changes})
    else:
        book.add(row, entry.batch)
    return row


def _end(book: Book, row: RunRow, now: float, reason: str) -> RunRow:
    changes = _ended(now, reason)
    book.change(row.id, changes)
    return msgspec.structs.replace(row, **changes)


def _ended(now: float, reason: str) -> dict[str, Any]:
    return {
        "status": "cancelled",
        "ended_at": now,
        "owner": None,
        "wake_at": None,
        "result": values.encode(failure("cancelled", reason)),
    }
