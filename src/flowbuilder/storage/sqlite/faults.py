"""What SQLite's errors mean to us: each becomes a `StoreError` that says what to do."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import apsw

from flowbuilder.core.errors import StoreCorrupt, StoreError, StoreFull, StoreReadOnly

if TYPE_CHECKING:
    from pathlib import Path


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def as_store_error(error: BaseException, path: Path, connection: apsw.Connection | None = None) -> StoreError:
    """Return what `error`, raised while the store at `path` was used, comes to.

    SQLite calls a failed write a failed write; what the system said of it is
    known to the connection.
    """
    if isinstance(error, StoreError):
        return error
    if isinstance(error, OSError):
        return _of_system(error, path)
    if not isinstance(error, apsw.Error):
        return StoreError(f"the store {path} failed: {type(error).__name__}: {error}")
    if isinstance(error, apsw.FullError):
        return full(path)
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return damaged(path, str(error))
    if isinstance(error, (apsw.ReadOnlyError, apsw.PermissionsError, apsw.AuthError)):
        return read_only(path)
    if isinstance(error, apsw.CantOpenError):
        return _cannot_open(path)
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return _Busy(f"another process holds the store {path}", "try again")
    if isinstance(error, apsw.IOError):
        return _of_io(error, path, connection.system_errno if connection is not None else 0)
    return StoreError(f"the store {path} failed: {error}")


class _Busy(StoreError):
    """Somebody else wrote for so long that we gave up waiting."""

    retryable = True


def damaged(path: Path, what: str) -> StoreCorrupt:
    """Return the error for a file that is damaged, or no store."""
    return StoreCorrupt(
        f"the store {path} is damaged: {what}",
        "restore it from a backup, or save what can be read with `sqlite3 FILE .recover`",
    )


def full(path: Path) -> StoreFull:
    """Return the error for a disk without room."""
    return StoreFull(
        f"the disk that holds the store {path} is full", "free some space; nothing acknowledged is lost"
    )


def read_only(path: Path) -> StoreReadOnly:
    """Return the error for a file or folder that cannot be written."""
    return StoreReadOnly(
        f"the store {path} cannot be written",
        "make the file and its folder writable, or choose another store",
    )


def _cannot_open(path: Path) -> StoreError:
    if not path.parent.is_dir():
        return StoreError(f"the store {path} cannot be opened: there is no folder {path.parent}")
    if path.is_dir():
        return StoreError(f"the store {path} cannot be opened: it is a folder", "name a file in it")
    return read_only(path)


def _of_io(error: apsw.Error, path: Path, number: int) -> StoreError:
    """Tell a full disk from a broken one: SQLite reports both as failed writes."""
    code = getattr(error, "extendedresult", 0)
    if code in (apsw.SQLITE_IOERR_SHORT_READ, apsw.SQLITE_IOERR_CORRUPTFS):
        return damaged(path, str(error))
    if number in _NO_ROOM or code in (
        apsw.SQLITE_IOERR_SHMSIZE,
        apsw.SQLITE_IOERR_TRUNCATE,
    ):
        return full(path)
    return StoreError(f"the disk that holds the store {path} failed: {error}", "look at the system's log")


def _of_system(error: OSError, path: Path) -> StoreError:
    if error.errno in _NO_ROOM:
        return full(path)
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return read_only(path)
    return StoreError(f"the store {path} failed: {error}")
