"""Versions of flows, each kept once by its content hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.storage.sqlite.query import first_row

if TYPE_CHECKING:
    import apsw


def put(cursor: apsw.Cursor, content_hash: str, name: str, definition: bytes) -> None:
    """Keep a version; does nothing where it is kept already."""
    cursor.execute(
        "INSERT INTO flows VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (content_hash, name, definition)
    )


def find(cursor: apsw.Cursor, content_hash: str) -> bytes | None:
    """Return a kept version."""
    found = first_row(cursor, "SELECT definition FROM flows WHERE content_hash = ?", (content_hash,))
    return found[0] if found else None
