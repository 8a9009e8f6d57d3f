"""Keeps written room at the end of the log, so that a lone commit overwrites and does not lengthen.

A flush of a file that has become longer writes the file system's own records
too, and takes two to three times as long as one that only wrote over blocks
that were there (benchmarks/store.py).  SQLite lengthens its log page by page
until it starts it anew; so when the writer has nothing to do, zeros are put
behind what is in use.  They are never taken for records: each record carries
a checksum that continues the one before.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import apsw

if TYPE_CHECKING:
    from pathlib import Path

LOOK_EVERY_BYTES = 256 * 1024
"""Bytes that are committed between two looks, about."""
_ENOUGH = 3 * LOOK_EVERY_BYTES
_STEP = 1024 * 1024
_MOST = 6 * 1024 * 1024
"""A log that long is started anew before it is full."""
_HEADER, _FRAME = 32, 4096 + 24
_NOOP = getattr(apsw, "SQLITE_CHECKPOINT_NOOP", None)
_BLOCK = bytes(64 * 1024)


def keep_room(connection: apsw.Connection, path: Path) -> None:
    """Lengthen the log of the file at `path` where it is nearly used up.

    To be called on the thread that commits, between two commits.  The write
    lock is held meanwhile, so that no process writes where the zeros go.

    Raises:
        apsw.Error, OSError: there is no room, or no lock; nothing is amiss.
    """
    if _NOOP is None:
        return  # this SQLite cannot say how much of its log is in use
    used = _used(connection)
    log = f"{path}-wal"
    if not used or used + _ENOUGH < os.stat(log).st_size or used > _MOST:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        _lengthen(log)
    finally:
        connection.execute("ROLLBACK")


def _used(connection: apsw.Connection) -> int:
    pages, carried = connection.wal_checkpoint(mode=_NOOP or 0)
    if pages <= 0 or pages == carried:
        return 0  # the next commit starts at the front
    return _HEADER + pages * _FRAME


def _lengthen(log: str) -> None:
    # The locks of SQLite lie on other files: closing this one gives up none of them.
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
    try:
        for _ in range(_STEP // len(_BLOCK)):
            os.write(handle, _BLOCK)
        getattr(os, "fdatasync", os.fsync)(handle)
    finally:
        os.close(handle)
