"""The store that dies on demand, on which the tests of recovery rest."""

import threading

import pytest

from flowbuilder.core.errors import StoreFull
from flowbuilder.storage.api import Accept, Append
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing.crashing_store import Crash, CrashingStore
from flowbuilder.testing.store_under_test import Runs, Waiting, commit


@pytest.mark.parametrize("after", [False, True], ids=["before-write", "after-write"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_it_dies_at_the_write_it_was_told(at: int, after: bool) -> None:
    memory = MemoryStore()
    store = CrashingStore(memory, at, after=after)
    store.open("a")
    row = Runs().row()

    def write_three() -> None:
        for write in (Accept(row), Append(row.id, 0, b"zero"), Append(row.id, 1, b"one")):
            commit(store, write)

    with pytest.raises(Crash):
        write_three()

    later = MemoryStore(memory.place)
    later.open("b")
    kept = (later.run(row.id) is not None) + len(later.journal(row.id))
    assert kept == at - 1 + after


def test_after_it_has_died_nothing_works() -> None:
    store = CrashingStore(MemoryStore(), at=1)
    store.open("a")
    with pytest.raises(Crash):
        store.submit(Append("r", 0, b""))

    with pytest.raises(Crash):
        store.journal("r")
    with pytest.raises(Crash):
        store.when_durable(Waiting())


def test_its_crash_tells_whoever_wants_to_know() -> None:
    told: list[str] = []
    store = CrashingStore(MemoryStore(), at=1, crash=lambda: told.append("died"))
    store.open("a")

    with pytest.raises(Crash):
        store.submit(Append("r", 0, b""))

    assert told == ["died"]


def test_a_group_that_fails_takes_what_is_submitted_behind_it() -> None:
    store = CrashingStore(MemoryStore(), fails={2})
    store.open("a")
    runs = Runs()
    kept, failed, behind, later = (runs.row() for _ in range(4))

    outcomes = [commit(store, Accept(row)) for row in (kept, failed, behind)]
    lost = store.lost()
    again = commit(store, Accept(later))

    assert outcomes[0] is None
    assert isinstance(outcomes[1], StoreFull)
    assert isinstance(outcomes[2], StoreFull)
    assert lost == {failed.id, behind.id}
    assert again is None
    assert [store.run(row.id) is not None for row in (kept, failed, behind, later)] == [
        True,
        False,
        False,
        True,
    ]


def test_a_slow_disk_holds_up_whoever_waits_for_it_and_nobody_else() -> None:
    gate = threading.Event()
    store = CrashingStore(MemoryStore(), delay=lambda number: assert_set(gate))
    store.open("a")
    row = Runs().row()
    done = Waiting()

    store.submit(Accept(row))
    store.when_durable(done)
    assert store.run(row.id) is None
    gate.set()

    assert done.outcome() is None
    assert store.run(row.id) == row
    store.close()


def assert_set(gate: threading.Event) -> None:
    assert gate.wait(30)
