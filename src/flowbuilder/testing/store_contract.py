"""Every promise of `storage.api`, as tests.  A store passes by subclassing.

```python
class TestMyStore(StoreContract):
    def make(self) -> Store: ...
    def beside(self, store: Store) -> Store: ...
```
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from flowbuilder.core.ids import RunIds
from flowbuilder.storage.api import Accept, Append, Change, RunFilter, RunRow

if TYPE_CHECKING:
    from flowbuilder.core.errors import StoreError
    from flowbuilder.storage.api import Store

NOON = 1_790_000_000.0
"""A moment in 2026 that the runs of these tests are made at."""
_PATIENCE = 20.0
"""Seconds after which a `done` that was not called never will be."""


def commit(store: Store, *writes: Any) -> StoreError | None:
    """Submit writes and wait; returns what `done` was called with."""
    told: list[StoreError | None] = []
    called = threading.Event()

    def done(error: StoreError | None) -> None:
        told.append(error)
        called.set()

    for write in writes:
        store.submit(write)
    store.when_durable(done)
    assert called.wait(_PATIENCE), "`done` was never called"
    return told[0]


class Runs:
    """Makes rows for tests; each is newer than the one before."""

    def __init__(self, engine: str | None = "a") -> None:
        self._ids = RunIds(unique=1)
        self._engine = engine
        self._now = NOON

    def row(self, flow: str = "orders", status: str = "running", **more: Any) -> RunRow:
        """Return a new row, one second after the last."""
        self._now += 1.0
        more.setdefault("owner", self._engine)
        return RunRow(self._ids.make(self._now), flow, "hash", status, self._now, b"\x80", **more)  # type: ignore[arg-type]


class StoreContract:
    """What every store promises."""

    def make(self) -> Store:
        """Return a store at a new place, not yet open."""
        raise NotImplementedError

    def beside(self, store: Store) -> Store:
        """Return another store, not yet open, at the same place."""
        raise NotImplementedError

    # -- writing and reading back -------------------------------------------------

    def test_a_run_comes_back_as_it_was_accepted(self) -> None:
        store = self.make()
        store.open("a")
        row = Runs().row(key="k", priority=7, parent="p", labels={"team": "x"}, started_at=NOON)

        assert commit(store, Accept(row)) is None

        assert store.run(row.id) == row
        assert store.run(row.id[:24]) == row
        assert store.run_by_key("orders", "k") == row
        assert store.runs(RunFilter()) == [row]
        store.close()

    def test_batches_come_back_in_the_order_of_their_sequence(self) -> None:
        store = self.make()
        store.open("a")
        row = Runs().row()

        commit(store, Accept(row), Append(row.id, 0, b"zero"), Append(row.id, 1, b"one"))
        commit(store, Append(row.id, 2, b"two"))

        assert store.journal(row.id) == [b"zero", b"one", b"two"]
        store.close()

    def test_changes_reach_the_row_and_the_last_one_wins(self) -> None:
        store = self.make()
        store.open("a")
        row = Runs().row()
        commit(store, Accept(row))

        commit(
            store,
            Change(row.id, {"status": "paused", "crashes": 2}),
            Change(row.id, {"status": "succeeded", "result": b"\xc0", "ended_at": NOON}),
        )

        found = store.run(row.id)
        assert found is not None
        assert (found.status, found.crashes, found.result, found.ended_at) == ("succeeded", 2, b"\xc0", NOON)
        store.close()

    def test_a_version_of_a_flow_is_kept_once(self) -> None:
        store = self.make()
        store.open("a")

        store.put_flow("h", "orders", b"first")
        store.put_flow("h", "orders", b"second")

        assert store.flow("h") == b"first"
        assert store.flow("other") is None
        store.close()
