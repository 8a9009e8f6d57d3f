"""Full, read-only, damaged, of a later release, or with a disk that fails: the store says so and keeps its word."""

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from flowbuilder.core.errors import NotFound, StoreCorrupt, StoreError, StoreFull, StoreReadOnly, StoreTooNew
from flowbuilder.storage.api import Accept, Append, Fact, Keep, RunFilter
from flowbuilder.storage.events import Emit, Event, EventFilter, Subscribe, Subscription
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.store_under_test import Runs, Waiting, commit


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@contextlib.contextmanager
def opened(path: Path, engine: str | None = "a") -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    store.open(engine)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """Have every write of this process fail that makes a file longer than 64 KiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# -- a full disk --------------------------------------------------------------------


def test_a_full_disk_fails_the_group_and_all_behind_it_and_work_goes_on_when_there_is_room(
    path: Path,
) -> None:
    with opened(path) as store:
        runs = Runs()
        kept, full, behind, later = (runs.row() for _ in range(4))
        assert commit(store, Accept(kept), Append(kept.id, 0, b"zero")) is None

        with no_room():
            first = commit(store, Accept(full), Append(full.id, 0, os.urandom(200_000)))
            second = commit(store, Accept(behind), Append(kept.id, 1, b"one"))
        still = commit(store, Append(kept.id, 1, b"one"))
        lost = store.lost()
        after = commit(store, Accept(later), Append(kept.id, 1, b"one again"))

        assert isinstance(first, StoreFull)
        assert first.retryable
        assert "full" in str(first)
        assert isinstance(second, StoreFull)
        assert isinstance(still, StoreFull)
        assert lost == {kept.id, full.id, behind.id}
        assert after is None
        assert {row.id for row in store.runs(RunFilter())} == {kept.id, later.id}
        assert store.journal(kept.id) == [b"zero", b"one again"]
        assert store.lost() == frozenset()


def test_of_a_run_whose_subscription_was_lost_nothing_is_kept_before_it_is_read_again(path: Path) -> None:
    with opened(path) as store:
        runs = Runs()
        waits, other = runs.row(), runs.row()
        commit(store, Accept(waits), Accept(other))

        with no_room():
            long = Subscribe(Subscription(waits.id, "a", "paid" * 50_000))
            first = commit(store, long, Keep(Fact("k", "a", b"lost")))
        behind = commit(store, Append(waits.id, 0, b"rests on it"))
        lost = store.lost()
        after = commit(store, Subscribe(Subscription(waits.id, "a", "paid")), Append(other.id, 0, b"zero"))

        assert isinstance(first, StoreFull)
        assert isinstance(behind, StoreFull)
        assert lost == {waits.id}
        assert after is None
        assert store.journal(waits.id) == []
        assert store.facts().get("k", "a") is None


def test_facts_of_nobody_that_are_lost_stop_no_run(path: Path) -> None:
    with opened(path) as store:
        row = Runs().row()
        with no_room():
            first = commit(
                store, Keep(Fact("k", "a", os.urandom(200_000))), Emit(Event("1", "paid", b"\xc0", 1.0))
            )

        assert isinstance(first, StoreFull)
        assert commit(store, Accept(row)) is None
        assert store.lost() == frozenset()
        assert store.facts().get("k", "a") is None
        assert store.events().find(EventFilter()) == []


def test_writes_that_were_submitted_while_a_commit_failed_are_lost_with_it(path: Path) -> None:
    with opened(path) as store:
        rows = [Runs(unique=n).row() for n in range(200)]
        outcomes = []
        with no_room():
            for row in rows:
                outcomes.append(Waiting())
                store.submit(Accept(row))
                store.submit(Append(row.id, 0, os.urandom(10_000)))
                store.when_durable(outcomes[-1])
            errors = [outcome.outcome() for outcome in outcomes]
        lost = store.lost()

        kept = {row.id for row in store.runs(RunFilter(limit=1000))}
        assert any(errors)
        assert kept == {row.id for row, error in zip(rows, errors, strict=True) if error is None}
        assert lost == {row.id for row, error in zip(rows, errors, strict=True) if error is not None}


def test_a_rare_write_that_fails_does_not_hold_up_the_others(path: Path) -> None:
    with opened(path) as store:
        with no_room(), pytest.raises(StoreFull):
            store.put_flow("h", "f", os.urandom(200_000))

        store.put_flow("h", "f", b"small")
        assert commit(store, Accept(Runs().row())) is None

        assert store.flow("h") == b"small"


def test_a_blob_on_a_full_disk_leaves_nothing_behind(path: Path) -> None:
    with opened(path) as store:
        with no_room(), pytest.raises(StoreFull):
            store.blobs().put(os.urandom(200_000))

        files = [found for found in path.with_name("store.db.blobs").rglob("*") if found.is_file()]
        assert [found.name for found in files] == [".lock"] or not files


_ON_SMALL_DISK = """
import sys, threading
from pathlib import Path
from flowbuilder.storage.api import Accept, Append
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.store_under_test import Runs, commit

folder = Path(sys.argv[1])
ballast = folder / "ballast"
ballast.write_bytes(b"x" * 400_000)
store = SqliteStore(folder / "store.db")
store.open("a")
runs, kept, error = Runs(), [], None
while error is None:
    row = runs.row()
    error = commit(store, Accept(row), Append(row.id, 0, b"y" * 5_000))
    if error is None:
        kept.append(row)
assert type(error).__name__ == "StoreFull", error
assert store.lost() == {row.id}
ballast.unlink()
last = runs.row()
assert commit(store, Accept(last)) is None
for row in [*kept, last]:
    assert store.run(row.id) == row
assert store.run(error and "0" * 26) is None
store.close()
print("kept", len(kept) > 10)
"""


def test_a_disk_that_really_fills_up_is_survived(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=2m none {tmp_path} && exec {sys.executable} - {tmp_path}"
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*command, f"mount -t tmpfs none {tmp_path}"], capture_output=True).returncode
    ):
        pytest.skip("no file system can be mounted here")

    done = subprocess.run([*command, mount], input=_ON_SMALL_DISK, capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr) == ("kept True\n", "")


# -- a disk that fails -----------------------------------------------------------------


class FailingDisk(apsw.VFS):
    """A disk whose flushes fail while it is told so."""

    def __init__(self) -> None:
        self.failing = False
        super().__init__("failing", "", makedefault=True)

    def xOpen(self, name: object, flags: list[int]) -> apsw.VFSFile:
        return FailingFile(self, name, flags)


class FailingFile(apsw.VFSFile):
    def __init__(self, disk: FailingDisk, name: object, flags: list[int]) -> None:
        super().__init__("unix", name, flags)  # type: ignore[arg-type]
        self._disk = disk

    def xSync(self, flags: int) -> None:
        if self._disk.failing:
            raise apsw.IOError("the disk is on fire")
        super().xSync(flags)


@pytest.fixture
def disk() -> Iterator[FailingDisk]:
    usual = apsw.vfs_names()[0]
    disk = FailingDisk()
    try:
        yield disk
    finally:
        apsw.set_default_vfs(usual)
        disk.unregister()


def test_a_flush_that_fails_is_not_repeated_but_the_file_is_read_again(path: Path, disk: FailingDisk) -> None:
    with opened(path) as store:
        runs = Runs()
        kept, lost, later = runs.row(), runs.row(), runs.row()
        commit(store, Accept(kept))
        disk.failing = True
        error = commit(store, Accept(lost))
        disk.failing = False

        assert isinstance(error, StoreError)
        assert not isinstance(error, StoreFull)
        assert store.lost() == {lost.id}
        assert commit(store, Accept(later)) is None
        assert {row.id for row in store.runs(RunFilter())} == {kept.id, later.id}


# -- what cannot be written ----------------------------------------------------------------


needs_rights = pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")


@needs_rights
def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        with pytest.raises(StoreReadOnly):
            SqliteStore(path).open("a")
    finally:
        path.parent.chmod(0o700)


_ON_READ_ONLY_DISK = """
import sys
from pathlib import Path
from flowbuilder.core.errors import StoreReadOnly
from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.sqlite import SqliteStore
path = Path(sys.argv[1]) / "store.db"
for place in (path, path.with_name("new.db")):
    try:
        SqliteStore(place).open("a")
    except StoreReadOnly as error:
        print("read-only", place.name, "cannot be written" in str(error))
reader = SqliteStore(path)
reader.open(None)
print(len(reader.runs(RunFilter())))
reader.close()
"""


def test_a_store_on_a_read_only_disk_is_read_and_not_written(path: Path) -> None:
    with opened(path) as store:
        commit(store, Accept(Runs().row()))
    folder = path.parent
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    remount = f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder}"
    if shutil.which("unshare") is None or subprocess.run([*command, remount], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")

    done = subprocess.run(
        [*command, f"{remount} && exec {sys.executable} - {folder}"],
        input=_ON_READ_ONLY_DISK,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (done.stdout, done.stderr) == ("read-only store.db True\nread-only new.db True\n1\n", "")


def test_a_folder_that_is_no_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError):
        SqliteStore(tmp_path / "file" / "store.db").open("a")
    with pytest.raises(StoreError, match="it is a folder"):
        SqliteStore(tmp_path).open("a")


def test_reading_where_there_is_no_store_makes_none(path: Path) -> None:
    with pytest.raises(NotFound):
        SqliteStore(path).open(None)

    assert list(path.parent.iterdir()) == []


# -- what is damaged ----------------------------------------------------------------------------


def filled(path: Path) -> list[str]:
    """Make a store of some size; returns its runs."""
    with opened(path) as store:
        runs = Runs()
        rows = [runs.row(status="succeeded") for _ in range(300)]
        commit(store, *(write for row in rows for write in (Accept(row), Append(row.id, 1, b"x" * 2_000))))
    return [row.id for row in rows]


@pytest.mark.parametrize("engine", ["b", None])
def test_random_bytes_are_no_store(path: Path, engine: str | None) -> None:
    path.write_bytes(os.urandom(100_000))

    with pytest.raises(StoreCorrupt):
        SqliteStore(path).open(engine)

    assert path.stat().st_size == 100_000


@pytest.mark.parametrize("engine", ["b", None])
def test_a_file_that_was_cut_short_is_damaged(path: Path, engine: str | None) -> None:
    filled(path)
    os.truncate(path, path.stat().st_size // 2)

    with pytest.raises(StoreCorrupt, match="damaged"):
        SqliteStore(path).open(engine)


def test_a_file_of_no_bytes_is_a_new_store(path: Path) -> None:
    path.touch()

    with opened(path) as store:
        assert commit(store, Accept(Runs().row())) is None


def test_another_programs_database_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (a)")
    other.close()
    before = path.read_bytes()

    with pytest.raises(StoreCorrupt, match="no store of FlowBuilder"):
        SqliteStore(path).open("a")

    assert path.read_bytes() == before


def test_bytes_that_rot_in_the_middle_are_found_when_they_are_read(path: Path) -> None:
    run_ids = filled(path)
    size = path.stat().st_size
    with path.open("r+b") as file:
        for page in range(4, size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 512)

    def read_all() -> None:
        with opened(path, None) as store:
            for run_id in run_ids:
                store.journal(run_id)

    with pytest.raises(StoreCorrupt, match="damaged"):
        read_all()


def test_a_log_that_was_cut_short_loses_only_what_was_never_acknowledged(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    with opened(path) as store:
        runs = Runs()
        early, late = runs.row(), runs.row()
        commit(store, Accept(early))
        whole = path.with_name("store.db-wal").stat().st_size
        commit(store, Accept(late))
        for name in ("store.db", "store.db-wal"):
            shutil.copy(path.with_name(name), copy / name)
    os.truncate(copy / "store.db-wal", whole + 2_000)

    with opened(copy / "store.db", "b") as again:
        assert again.run(early.id) == early
        assert again.run(late.id) is None


# -- other formats ---------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["b", None])
def test_a_store_of_a_later_release_is_left_alone(path: Path, engine: str | None) -> None:
    filled(path)
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        other.execute("INSERT INTO format VALUES (999, 0.0)")

    with pytest.raises(StoreTooNew, match="has format 999"):
        SqliteStore(path).open(engine)


def test_many_threads_may_read_while_the_writer_writes(path: Path) -> None:
    with opened(path) as store:
        runs = Runs()
        problems: list[BaseException] = []
        stop = threading.Event()

        def read() -> None:
            try:
                while not stop.is_set():
                    for row in store.runs(RunFilter(limit=5)):
                        assert store.journal(row.id) == [b"zero", b"one"]
            except BaseException as problem:
                problems.append(problem)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(100):
            row = runs.row()
            assert commit(store, Accept(row), Append(row.id, 0, b"zero"), Append(row.id, 1, b"one")) is None
        stop.set()
        for thread in threads:
            thread.join()

        assert problems == []
