"""Commands for the owner of a run: rows, and a datagram that wakes the owner.

The datagram only saves waiting: a command is a row, and whoever comes to own
its run receives it, also after a crash.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from typing import TYPE_CHECKING

from flowbuilder.core.errors import NotFound
from flowbuilder.storage.api import Command
from flowbuilder.storage.sqlite.query import all_rows
from flowbuilder.storage.sqlite.runs import LIVE_SQL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import apsw

_PATH_BYTES = 100
"""What fits into the address of a local socket everywhere."""


def send(cursor: apsw.Cursor, run_id: str, kind: str, payload: bytes) -> str | None:
    """Leave a command; returns the run's owner.  A run that has ended needs none."""
    found = all_rows(cursor, f"SELECT owner, {LIVE_SQL} FROM runs WHERE id = ?", (run_id,))
    if not found:
        raise NotFound("run", run_id)
    owner, live = found[0]
    if live:
        cursor.execute(
            "INSERT INTO commands (run_id, kind, payload) VALUES (?, ?, ?)", (run_id, kind, payload)
        )
    return str(owner) if owner is not None else None


def pending(cursor: apsw.Cursor) -> bool:
    """Say whether there are any commands at all, for anybody."""
    return bool(all_rows(cursor, "SELECT EXISTS (SELECT 1 FROM commands)")[0][0])


def receive(cursor: apsw.Cursor, engine: str) -> list[Command]:
    """Return commands for runs of an engine; runs that nobody owns become its own.

    Commands for runs that have ended meanwhile are deleted.
    """
    cursor.execute(
        "UPDATE runs SET owner = ? WHERE id IN (SELECT run_id FROM commands) "
        f"AND owner IS NULL AND {LIVE_SQL} AND (lane IS NULL OR started_at IS NOT NULL "
        "OR status NOT IN ('queued', 'waiting'))",
        (engine,),
    )
    cursor.execute(
        "DELETE FROM commands WHERE NOT EXISTS "
        f"(SELECT 1 FROM runs WHERE runs.id = commands.run_id AND {LIVE_SQL})"
    )
    found = all_rows(
        cursor,
        "SELECT number, run_id, kind, payload FROM commands JOIN runs ON runs.id = run_id "
        "WHERE owner = ? AND (lane IS NULL OR status <> 'queued') ORDER BY number",
        (engine,),
    )
    return [Command(*columns) for columns in found]


def settle(cursor: apsw.Cursor, numbers: Iterable[int]) -> None:
    """Delete commands that were carried out."""
    cursor.execute(
        "DELETE FROM commands WHERE number IN (SELECT value FROM json_each(?))", (json.dumps(list(numbers)),)
    )


class Bell:
    """A local socket on which an engine is woken; the thread behind it sleeps until then."""

    def __init__(self, path: Path, wake: Callable[[], None]) -> None:
        self._path = path
        self._wake = wake
        self._closing = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path.unlink(missing_ok=True)
        with _address(path) as address:
            self._socket.bind(address)
        self._thread = threading.Thread(target=self._listen, name="flowbuilder-bell", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and remove the socket."""
        self._closing = True
        with contextlib.suppress(
            OSError
        ):  # some systems say that it is not connected, and wake it all the same
            self._socket.shutdown(socket.SHUT_RDWR)
        while self._thread.is_alive():  # a ring may be lost: somebody removed the socket's file
            ring(self._path)
            self._thread.join(0.05)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _listen(self) -> None:
        while True:
            if not self._socket.recv(16) or self._closing:
                return
            self._wake()


def ring(path: Path) -> None:
    """Wake the engine whose socket this is; does nothing where nobody listens."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.setblocking(False)
        with _address(path) as address:
            bell.sendto(b"!", address)


@contextlib.contextmanager
def _address(path: Path) -> Iterator[str]:
    """Lend an address for a socket at `path`, however long its folder's name is."""
    if len(os.fsencode(path)) <= _PATH_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
