"""The rows of runs: how they are written, found, listed and decoded."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.core.errors import StoreError
from flowbuilder.core.ids import base32
from flowbuilder.storage.api import RunFilter, RunRow
from flowbuilder.storage.sqlite import labels
from flowbuilder.storage.sqlite.bulk import Bulk
from flowbuilder.storage.sqlite.query import all_rows, first_row, first_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import apsw

FIELDS = RunRow.__struct_fields__
COLUMNS = ", ".join(FIELDS)
LIVE_SQL = "status IN ('queued', 'running', 'waiting', 'paused')"
_CHANGEABLE = frozenset(FIELDS) - {"id"}
_decode = msgspec.msgpack.Decoder(dict[str, str]).decode
_encode = msgspec.msgpack.Encoder().encode

_INSERT = f"INSERT INTO runs ({COLUMNS}, first_batch) VALUES "
_insert = Bulk(_INSERT, len(FIELDS) + 1)
_INSERT_KEYED = (
    f"{_INSERT}({','.join('?' * (len(FIELDS) + 1))}) "
    "ON CONFLICT (flow, key) WHERE key IS NOT NULL DO NOTHING RETURNING 1"
)
_RunRow: Callable[..., RunRow] = RunRow
_updates: dict[tuple[str, ...], Bulk] = {}


def insert(cursor: apsw.Cursor, rows: list[tuple[Any, ...]]) -> None:
    """Add new runs, given as columns."""
    _insert.execute(cursor, rows)


def fits_one(rows: list[tuple[Any, ...]]) -> bool:
    """Say whether so many new runs are one statement."""
    return _insert.fits_one(len(rows))


def insert_keyed(cursor: apsw.Cursor, rows: list[tuple[Any, ...]]) -> dict[str, str]:
    """Add runs with keys one by one; returns refused id → id of the run that has the key."""
    taken: dict[str, str] = {}
    for row in rows:
        if first_row(cursor, _INSERT_KEYED, row) is None:
            found = first_value(cursor, "SELECT id FROM runs WHERE flow = ? AND key = ?", (row[1], row[6]))
            taken[row[0]] = found
    return taken


def update(cursor: apsw.Cursor, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Set columns of runs; runs whose changes are of the same columns are one statement.

    Raises:
        StoreError: for a column that does not exist.
    """
    alike: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
    for run_id, values in changes.items():
        if "labels" in values:
            values = {**values, "labels": _encode(values["labels"]) if values["labels"] else None}
        alike[tuple(values)].append((run_id, *values.values()))
    for names, rows in alike.items():
        _update_of(names).execute(cursor, rows)


def _update_of(names: tuple[str, ...]) -> Bulk:
    bulk = _updates.get(names)
    if bulk is None:
        unknown = set(names) - _CHANGEABLE
        if unknown or not names:
            raise StoreError(f"a run has no column {', '.join(sorted(unknown)) or 'of no name'} to change")
        sets = ", ".join(f"{name} = new.column{at}" for at, name in enumerate(names, 2))
        bulk = Bulk(
            f"UPDATE runs SET {sets} FROM (VALUES ", len(names) + 1, ") AS new WHERE id = new.column1"
        )
        _updates[names] = bulk
    return bulk


def as_row(columns: tuple[Any, ...]) -> RunRow:
    """Return the run whose `COLUMNS` these are."""
    encoded = columns[15]
    return _RunRow(*columns[:15], _decode(encoded) if encoded else {}, *columns[16:19])


def find(cursor: apsw.Cursor, prefix: str) -> RunRow | None:
    """Return the run with this id, or the only one whose id begins with it."""
    if not prefix:
        return None
    found = all_rows(
        cursor,
        f"SELECT {COLUMNS} FROM runs WHERE id >= ? AND id < ? ORDER BY id LIMIT 2",
        (prefix, prefix + "\x7f"),
    )
    if len(found) == 1 or (found and found[0][0] == prefix):
        return as_row(found[0])
    return None


def find_by_key(cursor: apsw.Cursor, flow: str, key: str) -> RunRow | None:
    """Return the run that was started with this key."""
    found = first_row(cursor, f"SELECT {COLUMNS} FROM runs WHERE flow = ? AND key = ?", (flow, key))
    return as_row(found) if found else None


def listed(cursor: apsw.Cursor, which: RunFilter) -> list[RunRow]:
    """Return runs, newest first."""
    if not which.status:
        return _page(cursor, which, None)
    pages = [_page(cursor, which, status) for status in set(which.status)]
    rows = sorted((row for page in pages for row in page), key=lambda row: row.id, reverse=True)
    return rows[: which.limit]


def _page(cursor: apsw.Cursor, which: RunFilter, status: str | None) -> list[RunRow]:
    """One status at a time, so that each query walks one index in the order of ids."""
    source, terms, values = labels.terms(which.labels) if which.labels else ("", [], [])
    id = "label.run_id" if which.labels else "id"
    for term, value in (
        ("flow = ?", which.flow),
        ("status = ?", status),
        ("parent = ?", which.parent),
        (f"{id} < ?", which.before),
        (f"{id} >= ?", None if which.since is None else first_id(which.since)),
        (f"{id} < ?", None if which.until is None else first_id(which.until)),
    ):
        if value is not None:
            terms.append(term)
            values.append(value)
    if status is not None and status != "succeeded":
        terms.append("status <> 'succeeded'")  # lets the planner see that the partial index holds them
    where = f" WHERE {' AND '.join(terms)}" if terms else ""
    values.append(which.limit)
    query = f"SELECT {COLUMNS} FROM {source}runs{where} ORDER BY {id} DESC LIMIT ?"
    found = all_rows(cursor, query, tuple(values))
    return [as_row(columns) for columns in found]


def first_id(moment: float) -> str:
    """Return what ids of runs made at `moment` or later are not less than."""
    return base32(max(0, int(moment * 1000)), 10)
