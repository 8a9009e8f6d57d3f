"""Small things that outlive runs, by kind and key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbuilder.storage.api import Fact
from flowbuilder.storage.sqlite.query import all_rows, first_row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import apsw

TABLES = """
CREATE TABLE facts (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    expires_at REAL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE INDEX facts_to_expire ON facts (kind, expires_at) WHERE expires_at IS NOT NULL;
"""

_PUT = (
    "INSERT INTO facts VALUES (?, ?, ?, ?) ON CONFLICT (kind, key) "
    "DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at"
)
_DELETE = "DELETE FROM facts WHERE kind = ? AND key = ?"
_COLUMNS = "kind, key, value, expires_at"
_LAST = "\U0010ffff"
"""Comes behind every other character, in the order of UTF-8 too."""


def apply(cursor: apsw.Cursor, facts: Mapping[tuple[str, str], Fact | None]) -> None:
    """Carry out what a group says of facts."""
    for (kind, key), fact in facts.items():
        if fact is None:
            cursor.execute(_DELETE, (kind, key))
        else:
            cursor.execute(_PUT, (kind, key, fact.value, fact.expires_at))


class SqliteFacts:
    """Passes `storage.api.Facts`.

    Args:
        read: carries out a query on a connection for readers.
        write: carries out work within a transaction of the writer, and returns when it is durable.
        wake: wakes all engines of the store.
    """

    def __init__(self, read: Any, write: Any, wake: Callable[[], None]) -> None:
        self._read = read
        self._write = write
        self.announce = wake

    def get(self, kind: str, key: str) -> Fact | None:
        """Return a fact."""
        found: Fact | None = self._read(lambda cursor: _find(cursor, kind, key))
        return found

    def list(self, kind: str, *, prefix: str = "", after: str = "", limit: int = 1000) -> list[Fact]:
        """Return facts whose key begins with `prefix` and lies behind `after`, in the order of their keys."""
        found: list[Fact] = self._read(lambda cursor: _listed(cursor, kind, prefix, after, limit))
        return found

    def change(self, kind: str, key: str, change: Callable[[Fact | None], Fact | None]) -> Fact | None:
        """Replace a fact by what `change` makes of it, and return that."""

        def work(cursor: apsw.Cursor) -> Fact | None:
            fact = change(_find(cursor, kind, key))
            apply(cursor, {(kind, key): fact})
            return fact

        made: Fact | None = self._write(work)
        return made

    def change_together(
        self,
        names: Sequence[tuple[str, str]],
        change: Callable[[tuple[Fact | None, ...]], Sequence[Fact | None]],
    ) -> None:
        """Replace several facts by what `change` makes of them, all or none."""

        def work(cursor: apsw.Cursor) -> None:
            made = change(tuple(_find(cursor, kind, key) for kind, key in names))
            apply(cursor, dict(zip(names, made, strict=True)))

        self._write(work)

    def forget(self, kind: str, *, prefix: str = "", expired_at: float | None = None) -> int:
        """Delete facts of a kind, all or those that had expired at a moment; returns how many."""
        terms: list[str] = ["kind = ?"]
        values: list[Any] = [kind]
        if prefix:  # without one the planner would go through all keys, and past what has not expired
            terms.append("key >= ? AND key < ?")
            values += [prefix, prefix + _LAST]
        if expired_at is not None:
            terms.append("expires_at <= ?")
            values.append(expired_at)
        statement = f"DELETE FROM facts WHERE {' AND '.join(terms)}"

        def work(cursor: apsw.Cursor) -> int:
            cursor.execute(statement, values)
            return cursor.connection.changes()

        deleted: int = self._write(work)
        return deleted


def _find(cursor: apsw.Cursor, kind: str, key: str) -> Fact | None:
    found = first_row(cursor, f"SELECT {_COLUMNS} FROM facts WHERE kind = ? AND key = ?", (kind, key))
    return Fact(*found) if found else None


def _listed(cursor: apsw.Cursor, kind: str, prefix: str, after: str, limit: int) -> list[Fact]:
    found = all_rows(
        cursor,
        f"SELECT {_COLUMNS} FROM facts WHERE kind = ? AND key >= ? AND key < ? AND key > ? ORDER BY key LIMIT ?",
        (kind, prefix, prefix + _LAST, after, limit),
    )
    return [Fact(*columns) for columns in found]
