"""Looking over a store file on demand: every page of it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

from flowbuilder.storage.sqlite import format
from flowbuilder.storage.sqlite.connection import connect_reader
from flowbuilder.storage.sqlite.faults import as_store_error

if TYPE_CHECKING:
    from pathlib import Path

_MOST = 20
"""Findings that are worth showing; a damaged file can have millions."""


def look_over(path: Path) -> tuple[int, list[str]]:
    """Return a store's format, and what SQLite finds wrong with its file: nothing, if all is well.

    Takes time that grows with the file; engines go on beside it.

    Raises:
        StoreError: it cannot be opened at all.
    """
    version = format.check(path)
    try:
        connection = connect_reader(path)
        try:
            found = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({_MOST})")]
        finally:
            connection.close(True)
    except apsw.Error as error:
        raise as_store_error(error, path) from error
    return version, [] if found == ["ok"] else found
