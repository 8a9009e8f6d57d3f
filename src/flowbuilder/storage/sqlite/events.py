"""Events and subscriptions: an event finds those who wait for it by the values that it has.

A subscription is a row (name, member, digest).  For an event we look which
members are asked for under its name, and look its own values up; nothing is
scanned, however many wait for other values.  Its values under those members
are kept too, so that whoever waits later finds it in the same way.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.core.errors import NotFound, RunEnded
from flowbuilder.storage.events import (
    ANY,
    Emit,
    Event,
    EventFilter,
    Subscription,
    Take,
    Unsubscribe,
    asks_for,
    digest_at,
    held,
)
from flowbuilder.storage.sqlite.query import all_rows, first_row, first_value
from flowbuilder.storage.sqlite.runs import LIVE_SQL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import apsw

    from flowbuilder.storage.events import News

TABLES = """
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    run_id TEXT,
    name TEXT NOT NULL,
    payload BLOB NOT NULL,
    at REAL NOT NULL,
    source TEXT NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX events_by_name ON events (name, number) WHERE run_id IS NULL;
CREATE INDEX events_by_run ON events (run_id, name, number) WHERE run_id IS NOT NULL;
CREATE INDEX events_by_age ON events (at) WHERE run_id IS NULL OR taken;
CREATE TABLE subscriptions (
    run_id TEXT NOT NULL,
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    signal INTEGER NOT NULL,
    member TEXT NOT NULL,
    digest TEXT NOT NULL,
    after INTEGER NOT NULL,
    woken INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, path)
) WITHOUT ROWID;
CREATE TABLE asked_members (
    name TEXT NOT NULL,
    member TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (name, member)
) WITHOUT ROWID;
CREATE TABLE event_values (
    name TEXT NOT NULL,
    member TEXT NOT NULL,
    digest TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (name, member, digest, number)
) WITHOUT ROWID;
CREATE INDEX event_values_by_number ON event_values (number);
CREATE INDEX subscriptions_by_value ON subscriptions (name, member, digest) WHERE NOT signal;
CREATE INDEX subscriptions_woken ON subscriptions (name, after) WHERE woken;
"""

_COLUMNS = "id, name, payload, at, source, run_id, number"
_WAITS = "run_id, path, name, signal, member, digest, after"
_INSERT = (
    "INSERT INTO events (id, run_id, name, payload, at, source) VALUES (?, ?, ?, ?, ?, ?) RETURNING number"
)
_SUBSCRIBE = (
    f"INSERT INTO subscriptions ({_WAITS}, woken) VALUES (?, ?, ?, ?, ?, ?, ?, 0) "
    "ON CONFLICT (run_id, path) DO UPDATE SET name = excluded.name, signal = excluded.signal, "
    "member = excluded.member, digest = excluded.digest, after = excluded.after, woken = 0"
)
_WAKE = "UPDATE runs SET wake_at = 0.0 WHERE id = ? AND owner IS NULL AND status = 'waiting'"
_WAKE_ALL = (
    "UPDATE runs SET wake_at = 0.0 WHERE id IN (SELECT value FROM json_each(?)) "
    "AND owner IS NULL AND status = 'waiting'"
)
_ASKED = "SELECT run_id, path FROM subscriptions WHERE NOT signal AND name = ? AND member = ? AND digest = ?"
_ASKED_ANY = (
    "SELECT run_id, path FROM subscriptions WHERE NOT signal AND name = ? AND member = ? AND ? IS NOT NULL"
)
_MARK = "UPDATE subscriptions SET woken = ? WHERE run_id = ? AND path = ? AND woken = 0"
_FORGET_MEMBERS = (
    "DELETE FROM asked_members WHERE "
    "NOT EXISTS (SELECT 1 FROM subscriptions AS s WHERE NOT s.signal AND s.name = asked_members.name) "
    "AND NOT EXISTS (SELECT 1 FROM events AS e WHERE e.run_id IS NULL AND e.name = asked_members.name)"
)
_PAGE = 1000
_MANY = 64
"""Events behind a new subscription that are looked at one by one: where there are more, the run looks itself."""


def apply(cursor: apsw.Cursor, news: Sequence[News]) -> bool:
    """Carry out what a group says of events; tells whether anybody is to be woken.

    Subscriptions come last: those of the group see its events as any later one would.
    """
    wake = False
    for item in news:
        kind = type(item)
        if kind is Unsubscribe:
            cursor.execute(
                "DELETE FROM subscriptions WHERE run_id = ? AND path = ?",
                (item.run_id, item.path),  # type: ignore[union-attr]
            )
        elif kind is Take:
            _take(cursor, item)  # type: ignore[arg-type]
        elif kind is Emit:
            event = item.event  # type: ignore[union-attr]
            if event.run_id is None or _live(cursor, event.run_id):
                wake = insert(cursor, event) is not None or wake
    for subscription in held(news):
        wake = _subscribe(cursor, subscription) or wake
    return wake


def emit(cursor: apsw.Cursor, event: Event) -> int:
    """Keep an event, or find its first emission; returns the number."""
    if event.run_id is not None and not _live(cursor, event.run_id):
        if first_value(cursor, "SELECT 1 FROM runs WHERE id = ?", (event.run_id,)) is None:
            raise NotFound("run", event.run_id)
        raise RunEnded(event.run_id)
    number = insert(cursor, event)
    if number is None:
        number = first_value(cursor, "SELECT number FROM events WHERE id = ?", (event.id,))
    return int(number)


def insert(cursor: apsw.Cursor, event: Event) -> int | None:
    """Keep an event and make due whom it finds in the store; None where its id is known already."""
    if first_row(cursor, "SELECT 1 FROM events WHERE id = ?", (event.id,)) is not None:
        return None  # before a number is spent on it
    found = first_row(
        cursor, _INSERT, (event.id, event.run_id, event.name, event.payload, event.at, event.source)
    )
    assert found is not None
    number: int = found[0]
    waiting = _signalled(cursor, event) if event.run_id is not None else _matched(cursor, event, number)
    if waiting:
        cursor.executemany(_MARK, [(number, run_id, path) for run_id, path in waiting])
        cursor.execute(_WAKE_ALL, (json.dumps(list({run_id for run_id, _ in waiting})),))
    return number


def forget_runs(cursor: apsw.Cursor, run_ids: str) -> None:
    """Delete what belongs to runs, given as a JSON list."""
    cursor.execute("DELETE FROM subscriptions WHERE run_id IN (SELECT value FROM json_each(?))", (run_ids,))
    cursor.execute("DELETE FROM events WHERE run_id IN (SELECT value FROM json_each(?))", (run_ids,))


class SqliteEvents:
    """Passes `storage.events.Events`.

    Args:
        read: carries out a query on a connection for readers.
        write: carries out work within a transaction of the writer, and returns when it is durable.
        ring: wakes all engines.
    """

    def __init__(self, read: Any, write: Any, ring: Callable[[], None]) -> None:
        self._read = read
        self._write = write
        self._ring = ring

    def emit(self, event: Event) -> int:
        """Keep an event durably and wake whom it concerns."""
        number: int = self._write(lambda cursor: emit(cursor, event))
        self._ring()
        return number

    def last(self) -> int:
        """Return the number of the newest event or signal."""
        number: int = self._read(_last)
        return number

    def find(self, which: EventFilter) -> list[Event]:
        """List events, or what signals a run has not taken, oldest first."""
        found: list[Event] = self._read(lambda cursor: _found(cursor, which))
        return found

    def subscriptions(
        self, *, name: str | None = None, run_id: str | None = None, limit: int = 1000
    ) -> list[Subscription]:
        """List who waits: for a name, or of a run."""
        terms, given = ["1"], []
        if name is not None:
            terms.append("name = ?")
            given.append(name)
        if run_id is not None:
            terms.append("run_id = ?")
            given.append(run_id)
        statement = f"SELECT {_WAITS}, woken FROM subscriptions WHERE {' AND '.join(terms)} ORDER BY run_id, path LIMIT ?"
        rows = self._read(lambda cursor: all_rows(cursor, statement, (*given, limit)))
        return [_subscription(row) for row in rows]

    def forget(self, before: float, limit: int = 10_000) -> int:
        """Delete events from before a moment, and signals that were taken."""
        deleted: int = self._write(lambda cursor: _forget(cursor, before, limit))
        return deleted


# -- whom an event finds ---------------------------------------------------------


def _signalled(cursor: apsw.Cursor, event: Event) -> list[tuple[str, str]]:
    return all_rows(
        cursor,
        "SELECT run_id, path FROM subscriptions WHERE run_id = ? AND signal AND name = ?",
        (event.run_id, event.name),
    )


def _matched(cursor: apsw.Cursor, event: Event, number: int) -> list[tuple[str, str]]:
    """Return who waits for the values that an event has, and keep those for whoever waits later."""
    found = all_rows(cursor, _ASKED, (event.name, "", ""))
    members = all_rows(cursor, "SELECT member FROM asked_members WHERE name = ?", (event.name,))
    value = event.value() if members else None
    for (asked,) in members:
        assert value is not None
        wanted = digest_at(value, asked)
        if wanted:
            cursor.execute(
                "INSERT INTO event_values VALUES (?, ?, ?, ?)", (event.name, asked, wanted, number)
            )
            found += all_rows(cursor, _ASKED if wanted != ANY else _ASKED_ANY, (event.name, asked, wanted))
    return found


def _subscribe(cursor: apsw.Cursor, new: Subscription) -> bool:
    """Keep a subscription; where what it asks for has come already, its run is due."""
    cursor.execute(
        _SUBSCRIBE, (new.run_id, new.path, new.name, new.signal, new.member, new.digest, new.after)
    )
    if new.member and not new.signal:
        cursor.execute(
            "INSERT INTO asked_members VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (new.name, new.member, _last(cursor)),
        )
    whose, of = ("run_id = ?", (new.run_id,)) if new.signal else ("run_id IS NULL", ())
    rows = all_rows(
        cursor,
        f"SELECT {_COLUMNS} FROM events WHERE {whose} AND name = ? AND number > ? AND NOT taken "
        "ORDER BY number LIMIT ?",
        (*of, new.name, new.after, _MANY),
    )
    met = next((row[-1] for row in rows if asks_for(new, Event(*row))), 0)
    if not met and len(rows) == _MANY:
        met = rows[-1][-1] + 1
    if not met:
        return False
    cursor.execute(_MARK, (met, new.run_id, new.path))
    cursor.execute(_WAKE, (new.run_id,))
    return True


def _take(cursor: apsw.Cursor, item: Take) -> None:
    """Mark signals as taken; their ids stay for a while, so that they cannot be sent twice."""
    cursor.execute(
        "UPDATE events SET taken = 1, payload = x'c0' "
        "WHERE number IN (SELECT value FROM json_each(?)) AND run_id = ?",
        (json.dumps(item.numbers), item.run_id),
    )


def _live(cursor: apsw.Cursor, run_id: str) -> bool:
    return bool(first_value(cursor, f"SELECT 1 FROM runs WHERE id = ? AND {LIVE_SQL}", (run_id,)))


def _last(cursor: apsw.Cursor) -> int:
    return first_value(cursor, "SELECT seq FROM sqlite_sequence WHERE name = 'events'") or 0


def _found(cursor: apsw.Cursor, which: EventFilter) -> list[Event]:
    """Return events, by the index of their values where one is asked for."""
    if not which.member:
        return _listed(cursor, which)
    (name,) = which.names
    statement = "SELECT since FROM asked_members WHERE name = ? AND member = ?"
    kept = first_value(cursor, statement, (name, which.member))
    found: list[Event] = []
    if kept is None or which.after < kept:  # from before anybody asked for this member
        found = _looked_through(cursor, which, kept)
    if kept is not None and len(found) < which.limit:
        since = " AND at >= ?" if which.since is not None else ""
        rows = all_rows(
            cursor,
            f"SELECT {_COLUMNS} FROM events WHERE number IN (SELECT number FROM event_values "
            f"WHERE name = ? AND member = ? AND digest IN (?, '{ANY}') AND number > ?){since} ORDER BY number LIMIT ?",
            (
                name,
                which.member,
                which.digest,
                max(which.after, kept),
                *(() if which.since is None else (which.since,)),
                which.limit - len(found),
            ),
        )
        found += [Event(*row) for row in rows]
    return found


def _looked_through(cursor: apsw.Cursor, which: EventFilter, until: int | None) -> list[Event]:
    """Return those with a value by looking at each, up to a number."""
    after = which.after
    found: list[Event] = []
    plain = msgspec.structs.replace(which, member="", limit=_PAGE)
    while True:
        page = _listed(cursor, msgspec.structs.replace(plain, after=after))
        for event in page:
            if until is not None and event.number > until:
                return found
            if digest_at(event.value(), which.member) in (which.digest, ANY):
                found.append(event)
                if len(found) == which.limit:
                    return found
        if len(page) < _PAGE:
            return found
        after = page[-1].number


def _listed(cursor: apsw.Cursor, which: EventFilter) -> list[Event]:
    terms: list[str] = ["number > ?"]
    given: list[Any] = [which.after]
    if which.everything:
        terms.append("NOT taken")
    elif which.run_id is None:
        terms.append("run_id IS NULL")
    else:
        terms.append("run_id = ? AND NOT taken")
        given.append(which.run_id)
    if which.names:
        terms.append("name IN (SELECT value FROM json_each(?))")
        given.append(json.dumps(which.names))
    if which.since is not None:
        terms.append("at >= ?")
        given.append(which.since)
    rows = all_rows(
        cursor,
        f"SELECT {_COLUMNS} FROM events WHERE {' AND '.join(terms)} ORDER BY number LIMIT ?",
        (*given, which.limit),
    )
    return [Event(*row) for row in rows]


def _forget(cursor: apsw.Cursor, before: float, limit: int) -> int:
    gone = [
        number
        for (number,) in all_rows(
            cursor,
            "SELECT number FROM events WHERE (run_id IS NULL OR taken) "
            "AND at < ? AND NOT EXISTS (SELECT 1 FROM subscriptions AS s WHERE s.woken AND s.name = events.name "
            "AND s.after < events.number) ORDER BY at LIMIT ?",
            (before, limit),
        )
    ]
    numbers = (json.dumps(gone),)
    cursor.execute("DELETE FROM event_values WHERE number IN (SELECT value FROM json_each(?))", numbers)
    cursor.execute("DELETE FROM events WHERE number IN (SELECT value FROM json_each(?))", numbers)
    if gone:
        cursor.execute(_FORGET_MEMBERS)
    return len(gone)


def _subscription(row: tuple[Any, ...]) -> Subscription:
    run_id, path, name, signal, asked, wanted, after, woken = row
    return Subscription(run_id, path, name, bool(signal), asked, wanted, after, woken)
