"""What came before a wait."""

from __future__ import annotations

from typing import Any

from flowbuilder.core import values
from flowbuilder.runtime.backlog import Asked, look
from flowbuilder.storage.api import Accept
from flowbuilder.storage.events import Event, Subscribe, Subscription
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing.store_under_test import Runs, commit


def test_what_met_the_many_waits_of_a_run_is_read_once_for_all_of_them() -> None:
    store = MemoryStore()
    store.open("engine")
    row = Runs().row(status="waiting", owner=None)
    waits = [Subscription(row.id, f"w[{n}]", f"go.n{n}") for n in range(1500)]
    commit(store, Accept(row), *map(Subscribe, waits))
    for n in (7, 1490):
        store.events().emit(Event(str(n), f"go.n{n}", values.encode(n), 0.0))
    reads: list[Any] = []
    events = store.events()
    subscriptions = events.subscriptions
    events.subscriptions = lambda **which: reads.append(which) or subscriptions(**which)  # type: ignore
    store.events = lambda: events  # type: ignore[method-assign]

    found = look(store, [Asked(each, None, known=True) for each in waits])

    assert {n: [each.id for each in came] for n, (came, _) in enumerate(found) if came} == {
        7: ["7"],
        1490: ["1490"],
    }
    assert len(reads) == 1
    store.close()
