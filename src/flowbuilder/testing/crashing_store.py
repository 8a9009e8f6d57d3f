"""A store that dies, fails or dawdles where a test tells it to.

```python
store = CrashingStore(MemoryStore(), at=3)            # dies just before the third write
store = CrashingStore(MemoryStore(), at=3, after=True)  # just after it is on disk
store = CrashingStore(MemoryStore(), fails={2})       # the second group cannot be committed
```

To try every place where a run may die, count the writes of a whole run first
(`CrashingStore(store).writes`), and then have it die at each of them.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

from flowbuilder.core.errors import StoreError, StoreFull
from flowbuilder.storage.api import Accept, Append, Change, Log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from flowbuilder.storage.api import (
        Blobs,
        Command,
        Done,
        Engine,
        Fact,
        Facts,
        Order,
        RunFilter,
        RunRow,
        Steered,
        Steering,
        Store,
        TaskStatistics,
        Write,
    )
    from flowbuilder.storage.events import Event, EventFilter, Events, Subscription
    from flowbuilder.storage.lanes import Enter, Entered, Hold, Lanes, LaneState, Queued
    from flowbuilder.storage.liveness import Liveness

_PATIENCE = 30.0


class Crash(BaseException):
    """The process has died, as far as the test is concerned.

    A `BaseException`, so that no handler of the engine, and no flow, takes it
    for something that it may deal with.
    """


class CrashingStore:
    """Hands everything on to another store, until it dies.

    A write is whatever `submit` is called with; a group is what was submitted
    between two calls of `when_durable`.  Once it has crashed, the store does
    nothing any more and raises `Crash` from every call, so that an engine
    that limps on cannot leave traces.

    Args:
        store: where everything goes; open it through this one or on its own.
        at: the write to die at, from 1; 0 for none.
        after: die when the write is on disk, and not before it is handed on:
            it and the rest of its group, which every store keeps or loses as a whole.
        crash: called at that moment; the default raises `Crash`.  One that
            returns (because it only tells somebody) is followed by `Crash`.
        fails: groups that cannot be committed, counted from 1: `StoreFull`,
            and as every store does, nothing is kept before `lost` was called.
        delay: called with a group's number before the group is handed on;
            a slow disk is one that blocks here.  It is called on the thread
            that commits, so that the engine's loop goes on.
    """

    def __init__(
        self,
        store: Store,
        at: int = 0,
        after: bool = False,
        *,
        crash: Callable[[], None] | None = None,
        fails: Collection[int] = (),
        delay: Callable[[int], None] | None = None,
    ) -> None:
        self.store = store
        self.writes = 0
        """How many there have been."""
        self.groups = 0
        """How many times `when_durable` was called."""
        self.crashed = False
        self._at = at
        self._after = after
        self._crash = crash
        self._fails = frozenset(fails)
        self._delay = delay
        self._gathered: list[Write] = []
        self._failure: StoreError | None = None
        self._lost: set[str] = set()
        self._later: threading.Thread | None = None
        """Hands on the last group that was delayed."""

    # -- writing: where things go wrong ---------------------------------------------

    def submit(self, write: Write) -> None:
        """Count the write, and hand it on or die."""
        self._alive()
        self.writes += 1
        if self.writes == self._at and not self._after:
            self._die()
        self._accept(write)

    def hand_over(self, writes: Sequence[Write], done: Done, *, alone: bool = False) -> None:
        """Count the writes one by one, and hand them on or die."""
        for write in writes:
            self.submit(write)
        self.when_durable(done)

    def when_durable(self, done: Done) -> None:
        """Hand the group on, or have it fail."""
        self._alive()
        self.groups += 1
        if self._after and self.writes >= self._at > 0:
            self._hand_on()
            self._wait_for_disk()
            self._die()
        if self.groups in self._fails:
            self._failure = StoreFull("the disk is full", "this is a test")
        if self._failure is not None:
            self._drop()
            done(self._failure)
        elif self._delay is None:
            self._hand_on()
            self.store.when_durable(done)
        else:
            self._hand_on_later(done)

    def lost(self) -> frozenset[str]:
        """Return the runs that lost writes, and hand writes on again."""
        self._alive()
        if self._failure is not None:
            self._drop()
            self._failure = None
        found, self._lost = frozenset(self._lost), set()
        return found | self.store.lost()

    def _accept(self, write: Write) -> None:
        """Hand a write on at once, or keep it where its group may yet fail or be late."""
        if self._fails or self._delay is not None:
            self._gathered.append(write)
        else:
            self.store.submit(write)

    def _hand_on(self) -> None:
        gathered, self._gathered = self._gathered, []
        for write in gathered:
            self.store.submit(write)

    def _hand_on_later(self, done: Done) -> None:
        """Hand a group on from a thread, when its delay is over; groups keep their order."""
        gathered, self._gathered = self._gathered, []
        number, before, delay = self.groups, self._later, self._delay

        def hand_on() -> None:
            if delay is not None:
                delay(number)
            if before is not None:
                before.join()
            if self.crashed:
                return
            for write in gathered:
                self.store.submit(write)
            self.store.when_durable(done)

        self._later = threading.Thread(target=hand_on, daemon=True)
        self._later.start()

    def _drop(self) -> None:
        for write in self._gathered:
            if isinstance(write, Accept):
                self._lost.add(write.row.id)
            elif isinstance(write, (Append, Change, Log)):
                self._lost.add(write.run_id)
        self._gathered.clear()

    def _wait_for_disk(self) -> None:
        on_disk = threading.Event()
        self.store.when_durable(lambda error: on_disk.set())
        on_disk.wait(_PATIENCE)

    def _die(self) -> None:
        self.crashed = True
        self._gathered.clear()
        abandon = getattr(self.store, "abandon", None)
        if abandon is not None:
            abandon()
        if self._crash is not None:
            self._crash()
        raise Crash(f"at write {self._at}")

    def _alive(self) -> None:
        if self.crashed:
            raise Crash(f"this store died at write {self._at}")

    # -- everything else is handed on ------------------------------------------------

    def close(self) -> None:
        """Commit what has gathered and close the other store; one that has crashed stays as it is."""
        if self.crashed:
            return
        if self._later is not None:
            self._later.join()
        if self._failure is None:
            self._hand_on()
        if self._after and self.writes >= self._at > 0:
            self._wait_for_disk()
            self._die()
        self.store.close()

    def abandon(self) -> None:
        """Have the other store end as it does when its process is killed."""
        self._gathered.clear()
        cast("Any", self.store).abandon()

    def open(self, engine: str | None) -> None:
        """Open the other store."""
        self._alive()
        self.store.open(engine)

    def run(self, run_id: str) -> RunRow | None:
        """As the other store."""
        self._alive()
        return self.store.run(run_id)

    def run_by_key(self, flow: str, key: str) -> RunRow | None:
        """As the other store."""
        self._alive()
        return self.store.run_by_key(flow, key)

    def runs(self, which: RunFilter) -> list[RunRow]:
        """As the other store."""
        self._alive()
        return self.store.runs(which)

    def journal(self, run_id: str) -> list[bytes]:
        """As the other store."""
        self._alive()
        return self.store.journal(run_id)

    def put_flow(self, content_hash: str, name: str, definition: bytes) -> None:
        """As the other store."""
        self._alive()
        self.store.put_flow(content_hash, name, definition)

    def flow(self, content_hash: str) -> bytes | None:
        """As the other store."""
        self._alive()
        return self.store.flow(content_hash)

    def logs(self, run_id: str, task: str | None = None, after: int = 0) -> list[tuple[int, Log]]:
        """As the other store."""
        self._alive()
        return self.store.logs(run_id, task, after)

    def statistics(self, flow: str) -> dict[str, TaskStatistics]:
        """As the other store."""
        self._alive()
        return self.store.statistics(flow)

    def statistics_epoch(self, flow: str) -> int:
        """As the other store."""
        self._alive()
        return self.store.statistics_epoch(flow)

    def engines(self) -> list[Engine]:
        """As the other store."""
        self._alive()
        return self.store.engines()

    def take_over(self, limit: int = 1000) -> list[RunRow]:
        """As the other store."""
        self._alive()
        return self.store.take_over(limit)

    def claim(self, run_id: str) -> RunRow | None:
        """As the other store."""
        self._alive()
        return self.store.claim(run_id)

    def due(self, now: float, limit: int = 1000) -> list[RunRow]:
        """As the other store."""
        self._alive()
        return self.store.due(now, limit)

    def next_wake(self) -> float | None:
        """As the other store."""
        self._alive()
        return self.store.next_wake()

    def send(self, run_id: str, kind: str, payload: bytes) -> None:
        """As the other store."""
        self._alive()
        self.store.send(run_id, kind, payload)

    def receive(self) -> list[Command]:
        """As the other store."""
        self._alive()
        return self.store.receive()

    def settle(self, numbers: Iterable[int]) -> None:
        """As the other store."""
        self._alive()
        self.store.settle(numbers)

    def on_command(self, wake: Callable[[], None]) -> None:
        """As the other store."""
        self._alive()
        self.store.on_command(wake)

    def delete_runs(self, run_ids: Sequence[str]) -> int:
        """As the other store."""
        self._alive()
        return self.store.delete_runs(run_ids)

    def retain(self, *, older_than: float, keep: int | None = None, limit: int = 500) -> int:
        """As the other store."""
        self._alive()
        return self.store.retain(older_than=older_than, keep=keep, limit=limit)

    def sweep_blobs(self, grace: float) -> int:
        """As the other store."""
        self._alive()
        return self.store.sweep_blobs(grace)

    def blobs(self) -> Blobs:
        """As the other store."""
        self._alive()
        return self.store.blobs()

    def facts(self) -> Facts:
        """As the other store; each change counts as a write to die at."""
        self._alive()
        return _CountedFacts(self, self.store.facts())

    def lanes(self) -> Lanes:
        """As the other store; each change counts as a write to die at."""
        self._alive()
        return _CountedLanes(self, self.store.lanes())

    def liveness(self) -> Liveness:
        """As the other store."""
        self._alive()
        return self.store.liveness()

    def events(self) -> Events:
        """As the other store; each emission by itself counts as a write to die at."""
        self._alive()
        return _CountedEvents(self, self.store.events())

    def count_emission(self, events: Events, event: Event) -> int:
        """Emit, and count it as a write that is durable at once; or die before or after it."""
        self._alive()
        self.writes += 1
        if self.writes == self._at and not self._after:
            self._die()
        number = events.emit(event)
        if self.writes == self._at:
            self._die()
        return number

    def steering(self) -> Steering:
        """As the other store; each order counts as a write to die at."""
        self._alive()
        return _CountedSteering(self, self.store.steering())

    def count_change(self) -> None:
        """Count a write that is durable at once, or die in place of it."""
        self._alive()
        self.writes += 1
        if self.writes == self._at:
            self._die()


class _CountedFacts:
    """The facts of a store that may die."""

    def __init__(self, store: CrashingStore, facts: Facts) -> None:
        self._store = store
        self._facts = facts

    def get(self, kind: str, key: str) -> Fact | None:
        """As the other store."""
        self._store._alive()
        return self._facts.get(kind, key)

    def list(self, kind: str, *, prefix: str = "", after: str = "", limit: int = 1000) -> list[Fact]:
        """As the other store."""
        self._store._alive()
        return self._facts.list(kind, prefix=prefix, after=after, limit=limit)

    def change(self, kind: str, key: str, change: Callable[[Fact | None], Fact | None]) -> Fact | None:
        """As the other store, or die."""
        self._store.count_change()
        return self._facts.change(kind, key, change)

    def change_together(
        self,
        names: Sequence[tuple[str, str]],
        change: Callable[[tuple[Fact | None, ...]], Sequence[Fact | None]],
    ) -> None:
        """As the other store, or die."""
        self._store.count_change()
        self._facts.change_together(names, change)

    def forget(self, kind: str, *, prefix: str = "", expired_at: float | None = None) -> int:
        """As the other store, or die."""
        self._store.count_change()
        return self._facts.forget(kind, prefix=prefix, expired_at=expired_at)

    def announce(self) -> None:
        """As the other store."""
        self._store._alive()
        self._facts.announce()


class _CountedLanes:
    """The lanes of a store that may die."""

    def __init__(self, store: CrashingStore, lanes: Lanes) -> None:
        self._store = store
        self._lanes = lanes

    def enter(self, entries: Sequence[Enter], now: float) -> list[Entered]:
        """As the other store, or die."""
        self._store.count_change()
        return self._lanes.enter(entries, now)

    def hold(self, entries: Sequence[Hold], now: float) -> list[Entered]:
        """As the other store, or die."""
        self._store.count_change()
        return self._lanes.hold(entries, now)

    def take(self, lanes: Mapping[str, int], now: float, *, adopts: bool, most: int = 1000) -> list[RunRow]:
        """As the other store, or die."""
        self._store.count_change()
        return self._lanes.take(lanes, now, adopts=adopts, most=most)

    def cancel(self, run_id: str, now: float, reason: str) -> RunRow | None:
        """As the other store, or die."""
        self._store.count_change()
        return self._lanes.cancel(run_id, now, reason)

    def queued(self, most: int = 1000, after: str = "") -> list[Queued]:
        """As the other store."""
        self._store._alive()
        return self._lanes.queued(most, after)

    def count(self, lane: str) -> tuple[int, int]:
        """As the other store."""
        self._store._alive()
        return self._lanes.count(lane)

    def states(self, most: int = 1000) -> list[LaneState]:
        """As the other store."""
        self._store._alive()
        return self._lanes.states(most)


class _CountedEvents:
    """The events of a store that may die."""

    def __init__(self, store: CrashingStore, events: Events) -> None:
        self._store = store
        self._events = events

    def emit(self, event: Event) -> int:
        """As the other store, or die; in its place or, where the store dies after writes, behind it."""
        return self._store.count_emission(self._events, event)

    def last(self) -> int:
        """As the other store."""
        self._store._alive()
        return self._events.last()

    def find(self, which: EventFilter) -> list[Event]:
        """As the other store."""
        self._store._alive()
        return self._events.find(which)

    def subscriptions(
        self, *, name: str | None = None, run_id: str | None = None, limit: int = 1000
    ) -> list[Subscription]:
        """As the other store."""
        self._store._alive()
        return self._events.subscriptions(name=name, run_id=run_id, limit=limit)

    def forget(self, before: float, limit: int = 10_000) -> int:
        """As the other store, or die."""
        self._store.count_change()
        return self._events.forget(before, limit)


class _CountedSteering:
    """The steering of a store that may die."""

    def __init__(self, store: CrashingStore, steering: Steering) -> None:
        self._store = store
        self._steering = steering

    def steer(self, run_ids: Sequence[str], order: Order) -> Steered:
        """As the other store, or die."""
        self._store.count_change()
        return self._steering.steer(run_ids, order)

    def claim(self, run_ids: Sequence[str]) -> list[RunRow]:
        """As the other store."""
        self._store._alive()
        return self._steering.claim(run_ids)

    def overdue(self, now: float, limit: int = 1000) -> list[RunRow]:
        """As the other store."""
        self._store._alive()
        return self._steering.overdue(now, limit)

    def next_deadline(self) -> float | None:
        """As the other store."""
        self._store._alive()
        return self._steering.next_deadline()
