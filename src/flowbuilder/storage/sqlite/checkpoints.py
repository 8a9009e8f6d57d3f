"""Carrying the log over into the file, beside the writer and not in its way.

SQLite would have the commit that makes the log long do it, and whoever waits
for that commit would wait for two more flushes and thousands of pages.  Here a
thread of its own does it in passive mode, which holds up nobody.

The log starts anew only when a commit finds all of it carried over, and the
thread is always a little behind.  So the writer itself carries over the little
that is left: when it has nothing else to do, or when the log has grown long.
"""

from __future__ import annotations

import contextlib
import enum
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

import apsw

from flowbuilder.storage.sqlite.connection import connect

if TYPE_CHECKING:
    from pathlib import Path

EVERY_BYTES = 4 * 1024 * 1024
"""Bytes that are committed between two rounds, about."""
_LONG_BYTES = 64 * 1024 * 1024
"""A log of this length is to be started anew soon."""
_PAGE_BYTES = 4096


class Left(enum.Enum):
    """What the last round has left to do for the writer."""

    NOTHING = enum.auto()
    A_LITTLE = enum.auto()
    """To be carried over when there is time."""
    TOO_MUCH = enum.auto()
    """The log is long: to be carried over before the next commit."""


class Checkpoints:
    """Carries over the log of the file at `path`; the thread starts with the first call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bell: SimpleQueue[bool] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self.left = Left.NOTHING

    def ask(self) -> None:
        """Have a round made, soon; returns at once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="flowbuilder-checkpoints", daemon=True)
            self._thread.start()
        if self._bell.empty():
            self._bell.put(True)

    def finish(self, connection: apsw.Connection) -> None:
        """Carry over what is left, on the thread that commits, between two commits."""
        self.left = Left.NOTHING
        # A disk that fails here fails at the next commit too, which can say so.
        with contextlib.suppress(apsw.Error):
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._bell.put(False)
            self._thread.join()

    def _run(self) -> None:
        connection: apsw.Connection | None = None
        try:
            while self._bell.get():
                try:
                    if connection is None:
                        connection = connect(self._path)
                    pages, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                    self.left = Left.TOO_MUCH if pages * _PAGE_BYTES >= _LONG_BYTES else Left.A_LITTLE
                except apsw.Error:
                    if connection is not None:
                        connection.close(True)
                    connection = None
        finally:
            if connection is not None:
                with contextlib.suppress(apsw.Error):
                    connection.close(True)
