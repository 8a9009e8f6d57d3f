"""Deleting runs: by name, by age, by count; in steps that hold up no writer."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from flowbuilder.storage.blobs import names_in
from flowbuilder.storage.sqlite import events, labels
from flowbuilder.storage.sqlite.query import all_rows, first_value
from flowbuilder.storage.sqlite.runs import LIVE_SQL, first_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import apsw

STEP = 100
"""Runs that are deleted in one transaction: a millisecond or two in which others wait."""
_GONE = "(SELECT value FROM json_each(?))"
_OF_RUNS = (
    f"DELETE FROM journal WHERE run_id IN {_GONE}",
    f"DELETE FROM logs WHERE run_id IN {_GONE}",
    f"DELETE FROM log_sizes WHERE run_id IN {_GONE}",
    f"DELETE FROM commands WHERE run_id IN {_GONE}",
    f"DELETE FROM runs WHERE id IN {_GONE}",
)


def delete(cursor: apsw.Cursor, run_ids: Sequence[str]) -> int:
    """Delete ended runs with all that belongs to them; returns how many there were."""
    asked = (json.dumps(list(run_ids)),)
    ended = [
        row[0]
        for row in all_rows(cursor, f"SELECT id FROM runs WHERE id IN {_GONE} AND NOT {LIVE_SQL}", asked)
    ]
    for statement in _OF_RUNS:
        cursor.execute(statement, (json.dumps(ended),))
    events.forget_runs(cursor, json.dumps(ended))
    labels.forget_runs(cursor, json.dumps(ended))
    return len(ended)


def blob_names(read: Callable[[Callable[[apsw.Cursor], Any]], Any]) -> set[str]:
    """Return the names of all blobs that anything kept refers to; reads step by step, so that no log grows."""
    names: set[str] = set()
    place: tuple[Any, ...]
    for statement, place in (
        (
            "SELECT rowid, inputs, result, about, first_batch FROM runs WHERE rowid > ? "
            "ORDER BY rowid LIMIT 5000",
            (-1,),
        ),
        ("SELECT number, payload FROM events WHERE number > ? ORDER BY number LIMIT 5000", (-1,)),
        (
            "SELECT run_id, sequence, data FROM journal WHERE (run_id, sequence) > (?, ?) "
            "ORDER BY run_id, sequence LIMIT 5000",
            ("", -1),
        ),
        (
            "SELECT kind, key, value FROM facts WHERE (kind, key) > (?, ?) ORDER BY kind, key LIMIT 5000",
            ("", ""),
        ),
    ):
        while rows := read(functools.partial(_some, statement=statement, place=place)):
            for row in rows:
                for data in row[len(place) :]:
                    names.update(names_in(data or b""))
            place = rows[-1][: len(place)]
    return names


def _some(cursor: apsw.Cursor, *, statement: str, place: tuple[Any, ...]) -> list[Any]:
    return list(all_rows(cursor, statement, place))


class Retention:
    """Finds runs that are to go, step by step.

    Counting the newest runs takes as long as there are many to keep, so what
    was found is kept for the next steps: as runs only end, the newest that was
    to go then is still to go.
    """

    def __init__(self) -> None:
        self._newest: tuple[int, str] | None = None
        """(keep, id of the newest run that is one too many)."""

    def step(self, cursor: apsw.Cursor, older_than: float, keep: int | None, limit: int) -> list[str]:
        """Return ended runs that ended before `older_than` or are not among the newest `keep`, oldest first."""
        if keep is not None and self._newest is not None and self._newest[0] == keep:
            found = _expired(cursor, older_than, self._newest[1], limit)
            if found:
                return found
        newest = "" if keep is None else _one_too_many(cursor, keep)
        self._newest = None if keep is None else (keep, newest)
        return _expired(cursor, older_than, newest, limit)


def _one_too_many(cursor: apsw.Cursor, keep: int) -> str:
    """Return the newest ended run that is not among the newest `keep`, or ""."""
    statement = f"SELECT id FROM runs WHERE NOT {LIVE_SQL} ORDER BY id DESC LIMIT 1 OFFSET ?"
    return first_value(cursor, statement, (keep,)) or ""


def _expired(cursor: apsw.Cursor, older_than: float, newest: str, limit: int) -> list[str]:
    # A run ends after it was made: those made later than both limits need no look.
    found = all_rows(
        cursor,
        f"SELECT id FROM runs WHERE id < max(?1, ?2 || ' ') AND NOT {LIVE_SQL} "
        "AND (ended_at < ?3 OR id <= ?2) ORDER BY id LIMIT ?4",
        (first_id(older_than), newest, older_than, limit),
    )
    return [run_id for (run_id,) in found]
