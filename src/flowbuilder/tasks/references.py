"""References: what stands in a flow's values for a file that is kept among the blobs.

`{"$file": hash, "name": "report.pdf", "bytes": 12}` is a file, `{"$arrow":
hash, …}` a table in the Arrow IPC format.  The blob is kept as long as a
journal names it.  Where a task needs the file itself, it gets a path to read
from, which nobody may write to.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core.sealed import FILE_MAGIC

if TYPE_CHECKING:
    from flowbuilder.tasks.api import Call

FILE: Final = "$file"
ARROW: Final = "$arrow"
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_WRITTEN: Final = ('{"$file":', '{"$arrow":')


def hash_of(value: Any) -> str | None:
    """Return the blob that a value refers to; None where it is no reference."""
    if type(value) is not dict:
        return None
    found = value.get(FILE) or value.get(ARROW)
    return found if isinstance(found, str) and _HASH.fullmatch(found) else None


def written_hash(text: str) -> str | None:
    """Return the blob that a text refers to, if it is a reference written as JSON."""
    if not text.startswith(_WRITTEN):
        return None
    try:
        return hash_of(msgspec.json.decode(text))
    except msgspec.DecodeError:
        return None


def path_of(call: Call, blob: str) -> Path:
    """Return a path from which the content of a blob can be read; may block."""
    found: Path = call.services.blobs().path(blob)
    with found.open("rb") as file:
        if file.read(len(FILE_MAGIC)) != FILE_MAGIC:
            return found
    return call.services.opened_file(call, found)


def put_file(call: Call, path: Path) -> tuple[str, int]:
    """Keep what is in a file among the blobs, encrypted if the task is sensitive; return its name and its size."""
    if call.sensitive:
        return call.services.put_sealed(path)
    kept: tuple[str, int] = call.services.blobs().put_file(path)
    return kept


def with_paths(call: Call, value: Any) -> Any:
    """Return a value with a path, as text, in place of each reference."""
    if type(value) is dict:
        blob = hash_of(value)
        if blob is not None:
            return str(path_of(call, blob))
        return {key: with_paths(call, inner) for key, inner in value.items()}
    if type(value) is list:
        return [with_paths(call, inner) for inner in value]
    if type(value) is str and (blob := written_hash(value)) is not None:
        return str(path_of(call, blob))
    return value


async def keep_file(call: Call, path: Path) -> dict[str, Any]:
    """Keep a file among the blobs, and return the reference to it.

    Raises:
        OSError: the file cannot be read.
    """

    def keep() -> dict[str, Any]:
        blob, size = put_file(call, path)
        return {FILE: blob, "name": path.name, "bytes": size}

    kept: dict[str, Any] = await call.services.in_thread(keep)
    return kept
