"""Connections to a store file: how they are made, and a small stock of them for readers."""

from __future__ import annotations

import contextlib
import os
import threading
import urllib.parse
from typing import TYPE_CHECKING

import apsw

from flowbuilder.storage.sqlite.faults import as_store_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_MS = 30_000
"""How long one process waits while another writes; writes take milliseconds."""
_READ_WRITE = apsw.SQLITE_OPEN_READWRITE
_CREATE = _READ_WRITE | apsw.SQLITE_OPEN_CREATE


def connect(path: Path, *, create: bool = False) -> apsw.Connection:
    """Return a new connection; what it commits is flushed to the disk.

    Raises:
        apsw.Error: as SQLite has it; the caller knows what it was doing.
    """
    connection = apsw.Connection(str(path), flags=_CREATE if create else _READ_WRITE, statementcachesize=200)
    try:
        connection.set_busy_timeout(BUSY_MS)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # `checkpoints` does it
        connection.execute("PRAGMA journal_size_limit = 67108864")
    except BaseException:
        connection.close(True)
        raise
    return connection


def connect_reader(path: Path) -> apsw.Connection:
    """Return a new connection that only reads.

    It is opened for writing where that is allowed, since the first to open a
    file whose writer was killed has its log to put in order.  On a disk that
    nobody can write to, a file without a log cannot change and is read as it is.
    """
    try:
        connection = connect(path)
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        except BaseException:
            connection.close(True)
            raise
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        log = path.with_name(path.name + "-wal")
        if os.access(path.parent, os.W_OK) or (log.exists() and log.stat().st_size):
            raise
        place = f"file:{urllib.parse.quote(str(path))}?immutable=1"
        return apsw.Connection(place, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    return connection


class Readers:
    """Connections that only read, each used by one thread at a time, kept for the next one.

    Readers see whole groups: what was committed when their query began.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[apsw.Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def connection(self) -> Iterator[apsw.Connection]:
        """Lend a connection.

        Raises:
            StoreError: what SQLite raised within, translated.
        """
        try:
            connection = self._take()
            try:
                yield connection
            except apsw.Error:
                connection.close(True)
                raise
        except (apsw.Error, OSError) as error:
            raise as_store_error(error, self._path) from error
        self._give_back(connection)

    def close(self) -> None:
        """Close what is idle; what is lent is closed when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close(True)

    def _take(self) -> apsw.Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return connect_reader(self._path)

    def _give_back(self, connection: apsw.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close(True)
