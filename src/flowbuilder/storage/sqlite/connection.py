"""Connections to a store file: how they are made, and a small stock of them for readers."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import apsw

from flowbuilder.storage.sqlite.faults import as_store_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BUSY_MS = 30_000
"""How long one process waits while another writes; writes take milliseconds."""
_READ_WRITE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI
_CREATE = _READ_WRITE | apsw.SQLITE_OPEN_CREATE
_READ = apsw.SQLITE_OPEN_READONLY


def connect(path: Path, *, create: bool = False, readonly: bool = False) -> apsw.Connection:
    """Return a new connection; one that writes flushes each commit to the disk.

    Raises:
        apsw.Error: as SQLite has it; the caller knows what it was doing.
    """
    flags = _READ if readonly else _CREATE if create else _READ_WRITE
    connection = apsw.Connection(str(path), flags=flags, statementcachesize=200)
    try:
        connection.set_busy_timeout(_BUSY_MS)
        if not readonly:
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        connection.close()
        raise
    return connection


class Readers:
    """Connections that only read, each used by one thread at a time, kept for the next one.

    Readers see whole groups: what was committed when their query began.
    """

    def __init__(self, path: Path, *, readonly: bool) -> None:
        self._path = path
        self._readonly = readonly
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
        connection = connect(self._path, readonly=self._readonly)
        if not self._readonly:
            # A connection that may write can also open a file whose WAL nobody has open.
            connection.execute("PRAGMA query_only = ON")
        return connection

    def _give_back(self, connection: apsw.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close(True)
