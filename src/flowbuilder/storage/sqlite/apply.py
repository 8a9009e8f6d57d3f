"""Commits a group: the one place where a transaction is made.

A group that is a single statement needs no transaction around it; that is
what a lone run that ends at once comes to.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import apsw

from flowbuilder.storage.api import LOG_BYTES
from flowbuilder.storage.sqlite import events, facts, journal, labels, logs, runs
from flowbuilder.storage.sqlite.checkpoints import EVERY_BYTES, Checkpoints, Left
from flowbuilder.storage.sqlite.connection import BUSY_MS, connect
from flowbuilder.storage.sqlite.faults import as_store_error
from flowbuilder.storage.sqlite.log_room import LOOK_EVERY_BYTES, keep_room
from flowbuilder.storage.sqlite.turns import Turns
from flowbuilder.storage.sqlite.writer import Contended

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from flowbuilder.storage.sqlite.group import Batch, Columns, Group, Job
    from flowbuilder.storage.sqlite.statistics import Tally

_COMMIT_BYTES, _ROW_BYTES = 12_000, 150
"""What a commit and a row take in the log beside the data, about."""
_BRIEFLY_MS = 5
"""How long we wait for another process that writes before we ask that turns be taken."""
_REFUSED = 10_000
"""Refused runs that are remembered, in case that more is submitted for them."""


class SqliteCommitter:
    """Writes groups to the file at `path` through a connection that it opens when it needs one."""

    def __init__(
        self,
        path: Path,
        tally: Tally,
        log_bytes: int = LOG_BYTES,
        ring: Callable[[apsw.Cursor], None] | None = None,
    ) -> None:
        self._path = path
        self._tally = tally
        self._log_bytes = log_bytes
        self._connection: apsw.Connection | None = None
        self._given_up: apsw.Connection | None = None
        """What the last failure happened to."""
        self._cursor: apsw.Cursor | None = None
        self._ring = ring
        """Wakes all engines, after a commit with events in it; after the next, where that failed."""
        self._wake = False
        self._refused: dict[str, str] = {}
        self._checkpoints = Checkpoints(path)
        self._turns = Turns(path)
        self._uncarried = 0
        """Bytes committed since the last round of checkpoints, about."""
        self._looked = 0
        """What that was when the room in the log was last looked at."""
        self._wait: float | None = None
        """What `idle` last returned."""

    def commit(self, group: Group, *, patient: bool = True) -> dict[str, str]:
        """Commit all of the group, or raise and keep nothing of it; `Contended` if it is not `patient`."""
        try:
            cursor = self._cursor or self._open()
            return self._commit(cursor.connection, cursor, group, patient)
        except apsw.Error as error:
            raise as_store_error(error, self._path, self._connection) from error

    def between(self) -> None:
        """Have the log carried over where it has grown."""
        if self._uncarried >= EVERY_BYTES:
            self._uncarried = self._looked = 0
            self._checkpoints.ask()
        if self._checkpoints.left is Left.TOO_MUCH and self._connection is not None:
            self._checkpoints.finish(self._connection)

    @property
    def contended(self) -> bool:
        """Whether a commit may take long: another process was in the way, or the file is still to be opened."""
        return self._cursor is None or self._turns.needed

    def _commit(
        self, connection: apsw.Connection, cursor: apsw.Cursor, group: Group, patient: bool
    ) -> dict[str, str]:
        if self._refused:
            group.drop(group.runs() & self._refused.keys())
        if group.statistics:
            self._tally.add(group.statistics)
            group.statistics = []
        rows, keyed, batches = group.melt()
        self._uncarried += _COMMIT_BYTES + _size(rows) + _size(batches)
        if not self._turns.needed:
            try:
                return self._write(cursor, group, rows, keyed, batches)
            except apsw.BusyError:
                if connection.in_transaction:
                    raise
                self._turns.contend()  # it has not begun, and may be done again
                if not patient:
                    raise Contended from None
        connection.set_busy_timeout(BUSY_MS)
        try:
            with self._turns.ours():
                return self._write(cursor, group, rows, keyed, batches)
        finally:
            connection.set_busy_timeout(_BRIEFLY_MS)

    def _write(
        self,
        cursor: apsw.Cursor,
        group: Group,
        rows: list[Columns],
        keyed: list[Columns],
        batches: list[Batch],
    ) -> dict[str, str]:
        if not (
            keyed
            or group.changes
            or group.logs
            or group.facts
            or group.labels
            or group.news
            or group.jobs
            or group.compacts
            or self._tally.wait() == 0.0
        ):
            if not rows and not batches:
                return {}
            if not batches and runs.fits_one(rows):
                runs.insert(cursor, rows)
                return {}
            if not rows and journal.fits_one(batches):
                journal.append(cursor, batches)
                return {}
        cursor.execute("BEGIN IMMEDIATE")
        taken = runs.insert_keyed(cursor, keyed) if keyed else {}
        if taken:
            self._remember(taken)
            group.drop(taken)
            batches = [batch for batch in batches if batch[0] not in taken]
        self._fill(cursor, group, rows, batches)
        if self._tally.wait() == 0.0:
            self._tally.write(cursor)
        cursor.execute("COMMIT")
        self._tally.committed()
        if self._wake and self._ring is not None:
            # the group is on disk: whatever keeps us from ringing must not tell that it is lost
            with contextlib.suppress(Exception):
                self._ring(cursor)
                self._wake = False
        return taken

    @property
    def has_upkeep(self) -> bool:
        """Whether the log is to be looked at, or statistics have come since `idle` looked for them."""
        return (
            self._uncarried - self._looked >= LOOK_EVERY_BYTES
            or self._checkpoints.left is not Left.NOTHING
            or (self._wait is None and self._tally.wait() is not None)
        )

    def idle(self) -> float | None:
        """Write the statistics when their time has come, and see to the log."""
        self.between()
        self._see_to_the_log()
        self._wait = self._write_statistics()
        return self._wait

    def _write_statistics(self) -> float | None:
        """Write them if it is time; returns seconds until it is, or None."""
        wait = self._tally.wait()
        if wait != 0.0:
            return wait
        try:
            cursor = self._cursor or self._open()
            cursor.execute("BEGIN IMMEDIATE")
            self._tally.write(cursor)
            cursor.execute("COMMIT")
        except apsw.BusyError:
            self._turns.contend()
            self._tally.postpone()
            return self._tally.wait()
        except apsw.Error:
            self.abandon()
            return self._tally.wait()
        self._tally.committed()
        return None

    def _see_to_the_log(self) -> None:
        connection = self._connection
        if connection is None:
            return
        if self._checkpoints.left is not Left.NOTHING:
            self._checkpoints.finish(connection)
        if self._uncarried - self._looked >= LOOK_EVERY_BYTES:
            self._looked = self._uncarried
            with contextlib.suppress(apsw.Error, OSError):  # the next commit says it, if it must be said
                keep_room(connection, self._path)

    def settle(self, cursor: apsw.Cursor) -> None:
        """Write the statistics within the transaction that is open."""
        self._tally.write(cursor)

    def abandon(self) -> None:
        """Give the connection up after a failure; the next group gets a new one.

        The old one stays until the new one has attached itself: were it the
        last to close, the next to open would recover the log, and might find
        there, whole, the very group that we said is lost.
        """
        self._tally.postpone()
        if self._connection is not None:
            _close(self._given_up)
            self._given_up, self._connection, self._cursor = self._connection, None, None
            with contextlib.suppress(apsw.Error):
                if self._given_up.in_transaction:
                    self._given_up.execute("ROLLBACK")

    def close(self) -> None:
        """Close the connections; SQLite rolls back what is open."""
        self._checkpoints.close()
        self._turns.close()
        _close(self._connection)
        _close(self._given_up)
        self._connection = self._given_up = self._cursor = None

    def _fill(
        self,
        cursor: apsw.Cursor,
        group: Group,
        rows: list[Columns],
        batches: list[Batch],
    ) -> None:
        if rows:
            runs.insert(cursor, rows)
        if batches:
            journal.append(cursor, batches)
        if group.labels:
            labels.add(cursor, group.labels)
        if group.compacts:
            journal.compact(cursor, group.compacts)
        if group.changes:
            runs.update(cursor, group.changes)
            labels.replace(cursor, group.changes)
        if group.logs:
            logs.append(cursor, group.logs, self._log_bytes)
        if group.facts:
            facts.apply(cursor, group.facts)
        if group.news:
            self._wake = events.apply(cursor, group.news) or self._wake
        for job in group.jobs:
            self._carry_out(cursor, job)

    def _carry_out(self, cursor: apsw.Cursor, job: Job) -> None:
        """Run a job; what it raises is its caller's alone, unless the store itself failed."""
        cursor.execute("SAVEPOINT job")
        try:
            job.result = job.work(cursor)
        except apsw.Error:
            raise
        except Exception as error:
            job.error = error
            cursor.execute("ROLLBACK TO job")
        cursor.execute("RELEASE job")

    def _remember(self, taken: dict[str, str]) -> None:
        self._refused.update(taken)
        while len(self._refused) > _REFUSED:
            del self._refused[next(iter(self._refused))]

    def _open(self) -> apsw.Cursor:
        self._connection = connect(self._path)
        self._connection.set_busy_timeout(_BRIEFLY_MS)
        self._cursor = self._connection.cursor()
        if self._given_up is not None:
            self._cursor.execute("SELECT 1 FROM format").fetchall()
            _close(self._given_up)
            self._given_up = None
        return self._cursor


def _size(rows: Sequence[tuple[Any, ...]]) -> int:
    """Return what rows take in the log, about: the last column is the one that may be large."""
    return sum([_ROW_BYTES + len(row[-1] or b"") for row in rows])


def _close(connection: apsw.Connection | None) -> None:
    if connection is not None:
        with contextlib.suppress(apsw.Error):  # the last one to close checkpoints, and that may fail as well
            connection.close(True)
