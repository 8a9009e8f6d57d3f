"""Engines that use a store, and which runs each owns.

An engine is a row and a locked file beside the store.  The lock dies with its
process, so that what a killed engine owned can be taken over at once, with no
lease to wait for; and it is not given up by one that merely hangs.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

from flowbuilder.storage.api import Engine, RunRow
from flowbuilder.storage.filelock import Presence, is_locked
from flowbuilder.storage.sqlite.lanes import NOT_QUEUED_SQL
from flowbuilder.storage.sqlite.query import all_rows, first_value
from flowbuilder.storage.sqlite.runs import COLUMNS, LIVE_SQL, as_row

if TYPE_CHECKING:
    from pathlib import Path

    import apsw

_TAKE = f"""
UPDATE runs SET owner = ?1, crashes = crashes + (?2 AND status = 'running')
WHERE id IN (SELECT id FROM runs WHERE owner = ?3 AND {LIVE_SQL} AND {NOT_QUEUED_SQL} ORDER BY id LIMIT ?4)
RETURNING {COLUMNS}
"""
_TAKE_UNOWNED = f"""
UPDATE runs SET owner = ?1
WHERE id IN (SELECT id FROM runs INDEXED BY runs_unowned
             WHERE owner IS NULL AND status IN ('queued', 'running') AND {NOT_QUEUED_SQL} ORDER BY id LIMIT ?2)
RETURNING {COLUMNS}
"""
_DUE = f"""
UPDATE runs SET owner = ?1
WHERE id IN (SELECT id FROM runs INDEXED BY runs_to_wake
             WHERE wake_at <= ?2 AND owner IS NULL AND status = 'waiting' ORDER BY wake_at LIMIT ?3)
RETURNING {COLUMNS}
"""


class Engines:
    """The engines of one store.

    Args:
        folder: where their locks lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def lock_of(self, engine: str) -> Path:
        """Return the file that an engine keeps locked."""
        return self._folder / f"{engine}.lock"

    def bell_of(self, engine: str) -> Path:
        """Return the socket on which an engine is woken."""
        return self._folder / f"{engine}.sock"

    def enter(self, engine: str) -> Presence:
        """Take an engine's lock; `register` may follow."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return Presence(self.lock_of(engine))

    def register(self, cursor: apsw.Cursor, engine: str) -> None:
        """Add the engine's row.

        What an engine of the same name left behind goes on under another
        name, with no lock: it is as dead as that engine is.
        """
        if first_value(cursor, "SELECT 1 FROM engines WHERE id = ?", (engine,)):
            late = f"{engine}~{time.time_ns()}"
            cursor.execute("UPDATE engines SET id = ? WHERE id = ?", (late, engine))
            cursor.execute(f"UPDATE runs SET owner = ? WHERE owner = ? AND {LIVE_SQL}", (late, engine))
        cursor.execute(
            "INSERT INTO engines VALUES (?, ?, ?, ?, NULL)",
            (engine, os.getpid(), socket.gethostname(), time.time()),
        )

    def leave(self, cursor: apsw.Cursor, engine: str) -> None:
        """Note that the engine ended in order: runs it leaves behind have not crashed."""
        cursor.execute("UPDATE engines SET left_at = ? WHERE id = ?", (time.time(), engine))
        self._remove_if_done(cursor, engine)

    def listed(self, cursor: apsw.Cursor) -> list[Engine]:
        """Return all that are registered."""
        found = all_rows(cursor, "SELECT id, pid, host, started_at, left_at FROM engines ORDER BY started_at")
        return [
            Engine(name, pid, host, started_at, left_at is None and self.alive(name))
            for name, pid, host, started_at, left_at in found
        ]

    def alive(self, engine: str) -> bool:
        """Say whether the process of an engine lives."""
        return is_locked(self.lock_of(engine))

    def take_over(self, cursor: apsw.Cursor, engine: str, limit: int) -> list[RunRow]:
        """Make `engine` the owner of live runs whose owner is dead."""
        taken: list[RunRow] = []
        for name, left_at in all_rows(cursor, "SELECT id, left_at FROM engines WHERE id <> ?", (engine,)):
            if self.alive(name):
                continue
            found = all_rows(cursor, _TAKE, (engine, left_at is None, name, limit - len(taken)))
            taken += map(as_row, found)
            if len(taken) >= limit:
                break
            self._remove_if_done(cursor, name)
        found = all_rows(cursor, _TAKE_UNOWNED, (engine, limit - len(taken)))
        return sorted(taken + [as_row(columns) for columns in found], key=lambda row: row.id)

    def claim(self, cursor: apsw.Cursor, engine: str, run_id: str) -> RunRow | None:
        """Make `engine` the owner of one live run, unless somebody else who lives owns it."""
        found = all_rows(
            cursor, f"SELECT owner FROM runs WHERE id = ? AND {LIVE_SQL} AND {NOT_QUEUED_SQL}", (run_id,)
        )
        if not found:
            return None
        owner = found[0][0]
        crashed = False
        if owner is not None and owner != engine:
            if self.alive(owner):
                return None
            left = all_rows(cursor, "SELECT 1 FROM engines WHERE id = ? AND left_at IS NOT NULL", (owner,))
            crashed = not left
        changed = all_rows(
            cursor,
            "UPDATE runs SET owner = ?1, crashes = crashes + (?2 AND status = 'running') "
            f"WHERE id = ?3 RETURNING {COLUMNS}",
            (engine, crashed, run_id),
        )
        return as_row(changed[0])

    def due(self, cursor: apsw.Cursor, engine: str, now: float, limit: int) -> list[RunRow]:
        """Make `engine` the owner of waiting runs that nobody owns and whose time has come."""
        found = [as_row(columns) for columns in all_rows(cursor, _DUE, (engine, now, limit))]
        return sorted(found, key=lambda row: (row.wake_at or 0.0, row.id))

    def _remove_if_done(self, cursor: apsw.Cursor, engine: str) -> None:
        """Forget an engine that is gone, once it owns nothing any more."""
        gone = all_rows(
            cursor,
            "DELETE FROM engines WHERE id = ?1 AND NOT EXISTS "
            f"(SELECT 1 FROM runs WHERE owner = ?1 AND {LIVE_SQL}) RETURNING 1",
            (engine,),
        )
        if gone:
            self.lock_of(engine).unlink(missing_ok=True)
            self.bell_of(engine).unlink(missing_ok=True)


def next_wake(cursor: apsw.Cursor) -> float | None:
    """Return the earliest moment at which a run that nobody owns is due."""
    found = all_rows(
        cursor,
        "SELECT min(wake_at) FROM runs INDEXED BY runs_to_wake "
        "WHERE wake_at IS NOT NULL AND owner IS NULL AND status = 'waiting'",
    )
    moment: float | None = found[0][0]
    return moment
