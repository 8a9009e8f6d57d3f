"""Store files are made once, migrated forwards, and left alone when anything is wrong."""

import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest

from flowbuilder.core.errors import StoreError, StoreTooNew
from flowbuilder.storage.api import Accept, RunFilter
from flowbuilder.storage.sqlite import SqliteStore, format
from flowbuilder.storage.sqlite.schema import FORMAT
from flowbuilder.testing.store_under_test import Runs, commit

NEXT = {FORMAT: "ALTER TABLE flows ADD COLUMN note TEXT; CREATE TABLE notes (a)"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def columns(path: Path, table: str) -> set[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def test_a_new_file_has_the_current_format(path: Path) -> None:
    format.prepare(path)

    assert format.check(path) == FORMAT


def test_many_engines_may_make_a_new_store_at_once(path: Path) -> None:
    stores = [SqliteStore(path) for _ in range(8)]
    start = threading.Barrier(len(stores))
    problems: list[BaseException] = []

    def open_one(number: int) -> None:
        start.wait()
        try:
            stores[number].open(f"engine-{number}")
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=open_one, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert len(stores[0].engines()) == len(stores)
    for store in stores:
        store.close()


def test_an_older_file_is_migrated_after_a_backup(path: Path) -> None:
    store = SqliteStore(path)
    store.open("a")
    row = Runs().row(status="succeeded")
    commit(store, Accept(row))
    store.close()

    format.prepare(path, migrations=NEXT, current=FORMAT + 1)
    format.prepare(path, migrations=NEXT, current=FORMAT + 1)

    backup = path.with_name(f"store.db.format-{FORMAT}.bak")
    assert "note" in columns(path, "flows")
    assert "note" not in columns(backup, "flows")
    with pytest.raises(StoreTooNew):
        SqliteStore(path).open("a")
    old = SqliteStore(backup)
    old.open(None)
    assert old.runs(RunFilter()) == [row]
    old.close()


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    format.prepare(path)
    broken = {FORMAT: "ALTER TABLE flows ADD COLUMN note TEXT; SELECT * FROM nowhere"}

    with pytest.raises(StoreError):
        format.prepare(path, migrations=broken, current=FORMAT + 1)

    assert "note" not in columns(path, "flows")
    assert format.check(path) == FORMAT


def test_every_format_up_to_the_current_one_can_be_migrated() -> None:
    assert sorted(format.MIGRATIONS) == list(range(1, FORMAT))


def test_processes_that_migrate_at_once_do_it_once(path: Path) -> None:
    format.prepare(path)
    start = threading.Barrier(4)
    problems: list[BaseException] = []

    def migrate() -> None:
        start.wait()
        try:
            format.prepare(path, migrations=NEXT, current=FORMAT + 1)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []
    assert "note" in columns(path, "flows")
