"""Which store a place means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.storage.api import LOG_BYTES

if TYPE_CHECKING:
    from flowbuilder.storage.api import Store

MEMORY = ":memory:"


def make_store(place: str | Path, log_bytes: int = LOG_BYTES) -> Store:
    """Return the store at `place`, not yet open.

    Args:
        place: a file's path, or `:memory:`.
        log_bytes: what is kept of the log of one task.
    """
    # Imported here: a process that needs the one must not pay for the other.
    if place == MEMORY:
        from flowbuilder.storage.memory import MemoryStore

        return MemoryStore(log_bytes=log_bytes)
    from flowbuilder.storage.sqlite import SqliteStore

    return SqliteStore(Path(place), log_bytes)
