"""Which store a place means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.storage.api import LOG_BYTES

if TYPE_CHECKING:
    from flowbuilder.storage.api import Store

MEMORY = ":memory:"


def open_store(place: str | Path, engine: str | None) -> Store:
    """Return the store at `place`, open: a file's path, or `:memory:`.

    With an engine the file is made where it is missing; without, it is
    opened for readers, cheaply and beside running engines.

    Raises:
        StoreError, NotFound: as `Store.open` does.
    """
    store = make_store(place)
    store.open(engine)
    return store


def make_store(place: str | Path, log_bytes: int = LOG_BYTES) -> Store:
    """Return the store at `place`, not yet open; it keeps so much of each task's log."""
    # Imported here: a process that needs the one must not pay for the other.
    if place == MEMORY:
        from flowbuilder.storage.memory import MemoryStore

        return MemoryStore(log_bytes=log_bytes)
    from flowbuilder.storage.sqlite import SqliteStore

    return SqliteStore(Path(place), log_bytes)
