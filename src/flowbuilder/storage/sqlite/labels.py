"""Labels of runs, by name and value: what a list of the runs that have them is served by.

The rows of runs keep their labels too, all in one column; these are for finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.storage.sqlite.bulk import Bulk
from flowbuilder.storage.sqlite.query import all_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import apsw

TABLES = """
CREATE TABLE run_labels (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (name, value, run_id)
) WITHOUT ROWID;
CREATE INDEX run_labels_by_run ON run_labels (run_id);
"""

Label = tuple[str, str, str]
"""Name, value, the run that has it."""

_insert = Bulk("INSERT OR IGNORE INTO run_labels (name, value, run_id) VALUES ", 3)
_decode = msgspec.msgpack.Decoder(dict[str, str]).decode


def add(cursor: apsw.Cursor, labels: list[Label]) -> None:
    """Add labels of new runs."""
    _insert.execute(cursor, labels)


def replace(cursor: apsw.Cursor, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Give runs new labels, where changes of their rows say so."""
    for run_id, values in changes.items():
        if "labels" in values:
            cursor.execute("DELETE FROM run_labels WHERE run_id = ?", (run_id,))
            add(cursor, of_run(run_id, values["labels"]))


def of_run(run_id: str, labels: Mapping[str, str]) -> list[Label]:
    """Return a run's labels as rows."""
    return [(name, value, run_id) for name, value in labels.items()]


def forget_runs(cursor: apsw.Cursor, run_ids: str) -> None:
    """Delete the labels of runs that are deleted, given as a JSON list."""
    cursor.execute("DELETE FROM run_labels WHERE run_id IN (SELECT value FROM json_each(?))", (run_ids,))


def fill(cursor: apsw.Cursor) -> None:
    """Note the labels of runs that were there before the table was."""
    found = all_rows(cursor, "SELECT id, labels FROM runs WHERE labels IS NOT NULL")
    for run_id, labels in found:
        add(cursor, of_run(run_id, _decode(labels)))


def terms(labels: Mapping[str, str]) -> tuple[str, list[str], list[Any]]:
    """Return what a query of runs is made with to find those that have all of some labels.

    The first label's runs are gone through, in the order of their ids; each is then asked for the others.

    Returns:
        What stands in FROM before the runs, conditions, and the values of both in order.
    """
    (first, *others) = labels.items()
    conditions = ["label.name = ?", "label.value = ?", "runs.id = label.run_id"]
    values: list[Any] = [*first]
    for name, value in others:
        conditions.append(
            "EXISTS (SELECT 1 FROM run_labels WHERE name = ? AND value = ? AND run_id = label.run_id)"
        )
        values += [name, value]
    return "run_labels AS label CROSS JOIN ", conditions, values
