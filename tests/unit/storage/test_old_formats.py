"""Stores of every release can be opened, and carried on, by this one.

`formats/<version>.sql` is what a release with that format wrote: one run that
succeeded, one that was running when its engine died, one that sleeps.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flowbuilder.storage.api import Accept, RunFilter
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.storage.sqlite.format import prepare
from flowbuilder.storage.sqlite.schema import FORMAT
from flowbuilder.testing.store_under_test import NOON, Runs, commit

FORMATS = Path(__file__).with_name("formats")


def test_there_is_a_store_of_every_format() -> None:
    assert {int(path.stem) for path in FORMATS.glob("*.sql")} == set(range(1, FORMAT + 1))


def schema_of(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        )
        return {" ".join(sql.split()) for (sql,) in found}


def test_whoever_changes_the_tables_counts_the_format_up(tmp_path: Path) -> None:
    new, kept = tmp_path / "new.db", tmp_path / "kept.db"
    prepare(new)
    with closing(sqlite3.connect(kept)) as old:
        old.executescript((FORMATS / f"{FORMAT}.sql").read_text())

    assert schema_of(new) == schema_of(kept)


@pytest.mark.parametrize("version", range(1, FORMAT + 1))
def test_a_store_of_an_older_release_is_carried_on(version: int, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript((FORMATS / f"{version}.sql").read_text())
        old.execute("PRAGMA journal_mode = wal")
    store = SqliteStore(path)

    store.open("b")

    asleep, live, ended = store.runs(RunFilter())
    assert (ended.status, ended.key, ended.labels) == ("succeeded", "k", {"team": "x"})
    assert (ended.result, ended.ended_at) == (b"\x81\xa1n\x01", NOON + 2)
    assert store.journal(ended.id) == [b"\x90", b"\x91\x01"]
    assert store.runs(RunFilter(labels={"team": "x"})) == [ended]
    assert store.run_by_key("orders", "k") == ended
    assert [(row.id, row.crashes) for row in store.take_over()] == [(live.id, 1)]
    assert store.journal(live.id) == [b"\x92\x01\x02"]
    assert [line.message for _, line in store.logs(live.id)] == ["fetched"]
    assert [command.kind for command in store.receive()] == ["cancel"]
    assert asleep.parent == ended.id
    assert [row.id for row in store.due(NOON + 60)] == [asleep.id]
    assert store.flow("hash") == b"\x80"
    assert store.statistics("orders")["fetch"].executions == 1
    assert commit(store, Accept(Runs("b", unique=9).row())) is None
    store.close()
