"""Which store a place means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.core.errors import NotFound
from flowbuilder.plugins.registry import made, provided
from flowbuilder.storage.api import LOG_BYTES
from flowbuilder.storage.place import is_url, scheme_of

if TYPE_CHECKING:
    from flowbuilder.storage.api import Store

MEMORY = ":memory:"


def make_store(place: str | Path, log_bytes: int = LOG_BYTES) -> Store:
    """Return the store at `place`, not yet open.

    Args:
        place: a file's path, `:memory:`, or a URL whose scheme a plug-in opens.
        log_bytes: what is kept of the log of one task.
    """
    if is_url(str(place)):
        url = str(place)
        plugged = made("stores", scheme_of(url), getattr(place, "parent", None))
        if plugged is None:
            known = ", ".join(f"{name}://" for name, each in provided("stores").items() if not each.why)
            raise NotFound(
                "store",
                url,
                f"no plug-in opens {scheme_of(url)}://" + (f"; there are {known}" if known else ""),
            )
        return plugged(url)  # type: ignore[no-any-return]
    # Imported here: a process that needs the one must not pay for the other.
    if place == MEMORY:
        from flowbuilder.storage.memory import MemoryStore

        return MemoryStore(log_bytes=log_bytes)
    from flowbuilder.storage.sqlite import SqliteStore

    return SqliteStore(Path(place), log_bytes)
