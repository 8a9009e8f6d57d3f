"""Arrow tables: kept as Arrow IPC files among the blobs, and read back without a copy."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbuilder.tasks.references import ARROW, hash_of, path_of, put_file

if TYPE_CHECKING:
    from flowbuilder.tasks.api import Call


async def keep(call: Call, table: Any) -> dict[str, Any]:
    """Keep a table and return the reference to it, which is what a flow sees."""
    kept: dict[str, Any] = await call.services.in_thread(lambda: keep_here(call, table))
    return kept


def keep_here(call: Call, table: Any) -> dict[str, Any]:
    """As `keep`, on this thread."""
    import pyarrow  # an extra

    handle, name = tempfile.mkstemp(suffix=".arrow", prefix="flowbuilder-")
    os.close(handle)
    path = Path(name)
    try:
        with pyarrow.OSFile(name, "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        blob, size = put_file(call, path)
    finally:
        path.unlink(missing_ok=True)
    return {ARROW: blob, "columns": table.column_names, "row_count": table.num_rows, "bytes": size}


def open_table(path: str) -> Any:
    """Return the table in a file; its columns are the file's pages, mapped into memory."""
    import pyarrow  # an extra

    return pyarrow.ipc.open_file(pyarrow.memory_map(path)).read_all()


class TableFile:
    """A table that is opened where it is used: in another process it arrives as the table itself."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def open(self) -> Any:
        """Return the table."""
        return open_table(self._path)

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return open_table, (self._path,)


class Opening:
    """A function that is given tables for table files; equal to the function in all else."""

    __slots__ = ("__wrapped__",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.__wrapped__ = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Open the files, and call the function."""
        opened = [_opened(value) for value in args]
        return self.__wrapped__(*opened, **{name: _opened(value) for name, value in kwargs.items()})

    def __hash__(self) -> int:
        return hash(self.__wrapped__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opening) and other.__wrapped__ == self.__wrapped__

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__wrapped__, name)
        return (lambda: Opening(found())) if name == "load" else found


def _opened(value: Any) -> Any:
    if type(value) is TableFile:
        return value.open()
    if type(value) is dict:
        return {key: inner.open() if type(inner) is TableFile else inner for key, inner in value.items()}
    return value


def has_references(args: list[Any] | dict[str, Any]) -> bool:
    """Tell whether an argument is a reference, or a mapping of some."""
    for value in args.values() if type(args) is dict else args:
        if type(value) is dict and (
            hash_of(value) is not None or any(hash_of(inner) is not None for inner in value.values())
        ):
            return True
    return False


def resolved(call: Call, value: Any) -> Any:
    """Return an argument with paths for files and table files for tables."""
    if type(value) is not dict:
        return value
    blob = hash_of(value)
    if blob is None:
        return {
            key: resolved(call, inner) if hash_of(inner) is not None else inner
            for key, inner in value.items()
        }
    path = path_of(call, blob)
    return TableFile(path) if ARROW in value else path


def is_table(value: Any) -> bool:
    """Tell whether a value is a pyarrow table; imports nothing for it."""
    return type(value).__name__ == "Table" and type(value).__module__.startswith("pyarrow")
