"""The writer's own promises: nobody waits for ever, and an unknown column is nobody's loss but its group's."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from flowbuilder.core.errors import StoreError
from flowbuilder.storage.api import Accept, Append, Change
from flowbuilder.storage.events import Emit, Event, EventFilter, Subscribe, Subscription
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.storage.sqlite.engines import Engines
from flowbuilder.testing.store_under_test import Runs, Waiting, commit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def test_whoever_comes_after_the_end_is_told_so(path: Path) -> None:
    store = SqliteStore(path)
    store.open("a")
    commit(store)
    submit, when_durable = store.submit, store.when_durable
    store.close()

    done = Waiting()
    submit(Accept(Runs().row()))
    when_durable(done)

    assert "is closed" in str(done.outcome())
    with pytest.raises(StoreError):
        store.submit(Accept(Runs().row()))


@pytest.mark.parametrize("values", [{"id": "x"}, {"nothing": 1}, {"status = 'failed', id": 1}, {}])
def test_a_change_that_makes_no_sense_fails_its_group(path: Path, values: dict[str, object]) -> None:
    store = SqliteStore(path)
    store.open("a")
    row, other = Runs().row(), Runs(unique=2).row()
    commit(store, Accept(row))

    error = commit(store, Accept(other), Change(row.id, values))

    assert isinstance(error, StoreError)
    assert store.lost() == {row.id, other.id}
    assert store.run(other.id) is None
    assert commit(store, Change(row.id, {"status": "failed"})) is None
    found = store.run(row.id)
    assert found is not None
    assert found.status == "failed"
    store.close()


def test_a_value_that_no_column_holds_fails_its_group_and_not_the_writer(path: Path) -> None:
    store = SqliteStore(path)
    store.open("a")

    error = commit(store, Append("r", 1, object()))  # type: ignore[arg-type]

    assert isinstance(error, StoreError)
    assert store.lost() == {"r"}
    assert commit(store, Append("r", 1, b"data")) is None
    store.close()


def test_many_threads_may_write_beside_the_loop(path: Path) -> None:
    store = SqliteStore(path)
    store.open("a")
    threads = [
        threading.Thread(target=lambda n=n: [store.put_flow(f"{n}-{m}", "f", b"x") for m in range(20)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    rows = [Runs(unique=n).row() for n in range(50)]
    outcomes = [commit(store, Accept(row), Append(row.id, 0, b"x")) for row in rows]
    for thread in threads:
        thread.join()

    assert outcomes == [None] * 50
    assert all(store.flow(f"{n}-{m}") == b"x" for n in range(4) for m in range(20))
    store.close()


def test_an_engine_that_listens_and_leaves_nothing_behind_closes(path: Path) -> None:
    store = SqliteStore(path)
    store.open("a")
    store.on_command(lambda: None)

    store.close()

    assert list(path.with_name("store.db.engines").iterdir()) == []


def test_an_engine_is_woken_in_a_folder_with_a_long_name(tmp_path: Path) -> None:
    path = tmp_path / ("long" * 30) / "store.db"
    store = SqliteStore(path)
    store.open("a")
    row = Runs().row()
    commit(store, Accept(row))
    woken = threading.Event()
    store.on_command(woken.set)

    store.send(row.id, "cancel", b"")

    assert woken.wait(30)
    store.close()


def test_a_done_that_fails_is_nobody_elses_loss(path: Path) -> None:
    store = SqliteStore(path)
    store.open("a")

    def loop_is_closed(error: StoreError | None) -> None:
        raise RuntimeError("Event loop is closed")

    store.submit(Accept(Runs().row()))
    store.when_durable(loop_is_closed)

    assert commit(store, Accept(Runs(unique=2).row())) is None
    store.close()


def test_what_nobody_waits_for_is_committed_all_the_same(path: Path) -> None:
    store, reader = SqliteStore(path), SqliteStore(path)
    store.open("a")
    reader.open(None)
    row = Runs().row()
    on_disk = threading.Event()

    store.submit(Accept(row))
    watcher = threading.Thread(target=wait_for, args=(lambda: reader.run(row.id), on_disk))
    watcher.start()

    assert on_disk.wait(30)
    watcher.join()
    reader.close()
    store.close()


def wait_for(condition: Callable[[], object], met: threading.Event) -> None:
    """Look again and again, for a bounded time: nothing tells a reader of another process."""
    for _ in range(100_000):
        if condition():
            met.set()
            return


def test_a_group_is_kept_whatever_keeps_the_store_from_ringing_and_the_next_one_rings(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(path)
    store.open("a")
    woken = threading.Event()
    store.on_command(woken.set)
    commit(store)

    def too_many_files(*_: object) -> bool:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Engines, "alive", too_many_files)
        row = Runs().row()
        subscription = Subscription(row.id, "hold", "paid")
        assert commit(store, Accept(row), Subscribe(subscription)) is None
        assert commit(store, Emit(Event("e1", "paid", b"\xc0", 1.0))) is None
    assert not woken.is_set()
    assert [event.id for event in store.events().find(EventFilter())] == ["e1"]

    commit(store, Append(row.id, 0, b"data"), Change(row.id, {"priority": 3}))
    assert woken.wait(30)
    store.close()
