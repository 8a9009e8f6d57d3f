"""Runs with a label are found through an index, however many runs there are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.storage.sqlite import runs as queries
from flowbuilder.storage.sqlite.connection import connect_reader

if TYPE_CHECKING:
    from pathlib import Path


class Explaining:
    """A cursor that says how a query would be carried out."""

    def __init__(self, cursor: object) -> None:
        self._cursor = cursor
        self.steps: list[str] = []

    def execute(self, statement: str, values: tuple[object, ...]) -> Explaining:
        self.steps = [row[3] for row in self._cursor.execute("EXPLAIN QUERY PLAN " + statement, values)]  # type: ignore[attr-defined]
        return self

    def fetchall(self) -> list[object]:
        return []


def test_a_list_by_labels_walks_the_index_of_labels_in_order(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    store.open("a")
    store.close()
    connection = connect_reader(tmp_path / "store.db")
    try:
        cursor = Explaining(connection.cursor())
        queries.listed(cursor, RunFilter(labels={"team": "a", "stage": "b"}, flow="f", since=1.0))  # type: ignore[arg-type]
    finally:
        connection.close()

    assert re.match(r"SEARCH label USING PRIMARY KEY \(name=\? AND value=\? AND run_id>\?\)", cursor.steps[0])
    assert not [step for step in cursor.steps if "SCAN" in step or "TEMP B-TREE" in step]
