"""A store under test: how it is made, and what tests of stores share."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from flowbuilder.core.ids import RunIds
from flowbuilder.storage.api import RunRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.core.errors import StoreError
    from flowbuilder.storage.api import Store

NOON = 1_790_000_000.0
"""A moment in 2026, after which the runs of these tests are made, one a second."""
PATIENCE = 30.0
"""Seconds after which what has not happened never will."""


class Waiting:
    """A `done` that remembers what it was called with."""

    def __init__(self) -> None:
        self._called = threading.Event()
        self._error: StoreError | None = None

    def __call__(self, error: StoreError | None) -> None:
        """Be called by the store."""
        self._error = error
        self._called.set()

    def outcome(self) -> StoreError | None:
        """Wait for the call; returns its error."""
        assert self._called.wait(PATIENCE), "`done` was never called"
        return self._error


def commit(store: Store, *writes: Any) -> StoreError | None:
    """Submit writes and wait until they are durable; returns what `done` was called with."""
    for write in writes:
        store.submit(write)
    done = Waiting()
    store.when_durable(done)
    return done.outcome()


class Runs:
    """Makes rows for tests; each is a second newer than the one before."""

    def __init__(self, owner: str | None = "a", unique: int = 1) -> None:
        self._ids = RunIds(unique)
        self._owner = owner
        self.now = NOON

    def row(self, flow: str = "orders", status: str = "running", **more: Any) -> RunRow:
        """Return a new row."""
        self.now += 1.0
        more.setdefault("owner", self._owner)
        run_id = self._ids.make(self.now)
        return RunRow(run_id, flow, "hash", status, self.now, b"\x80", **more)  # type: ignore[arg-type]


def ids_of(rows: list[RunRow]) -> set[str]:
    """Return the ids of rows."""
    return {row.id for row in rows}


class StoreUnderTest:
    """How a store that is tested is made; a contract is a subclass with tests."""

    def make(self) -> Store:
        """Return a store at a place of its own, not yet open; the same place within one test."""
        raise NotImplementedError

    def beside(self, store: Store) -> Store:
        """Return another store, not yet open, at the same place."""
        raise NotImplementedError

    def kill(self, store: Store) -> None:
        """Have a store end as it does when its process is killed."""
        raise NotImplementedError

    @contextlib.contextmanager
    def opened(self, store: Store | None = None, engine: str | None = "a") -> Iterator[Store]:
        """Lend an open store and close it."""
        store = store or self.make()
        store.open(engine)
        try:
            yield store
        finally:
            store.close()
