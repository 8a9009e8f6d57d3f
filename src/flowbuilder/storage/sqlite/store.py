"""The SQLite store: puts the parts together; each part says what it holds."""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from flowbuilder.core.errors import NotFound, StoreError
from flowbuilder.storage.api import LOG_BYTES
from flowbuilder.storage.blobs import FileBlobs
from flowbuilder.storage.sqlite import (
    commands,
    engines,
    events,
    facts,
    flows,
    format,
    journal,
    lanes,
    liveness,
    logs,
    runs,
    statistics,
    steering,
    upkeep,
)
from flowbuilder.storage.sqlite.apply import SqliteCommitter
from flowbuilder.storage.sqlite.connection import Readers
from flowbuilder.storage.sqlite.schema import FORMAT
from flowbuilder.storage.sqlite.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import apsw

    from flowbuilder.storage.api import Command, Done, Engine, Log, RunFilter, RunRow, TaskStatistics, Write
    from flowbuilder.storage.filelock import Presence

T = TypeVar("T")


class SqliteStore:
    """A store in one file, with its blobs and its engines' locks in folders beside it.

    Args:
        path: the file; made on `open` where it is missing.
        log_bytes: what is kept of the log of one task.
    """

    def __init__(self, path: str | Path, log_bytes: int = LOG_BYTES) -> None:
        self._log_bytes = log_bytes
        self.path = Path(path).absolute()
        self._engines = engines.Engines(self.path.with_name(self.path.name + ".engines"))
        self._blobs = FileBlobs(self.path.with_name(self.path.name + ".blobs"))
        self._engine: str | None = None
        self._presence: Presence | None = None
        self._bell: commands.Bell | None = None
        self._readers: Readers | None = None
        self._writer: Writer | None = None
        self._starting = threading.Lock()
        self._delivered: set[int] = set()
        self._retention = upkeep.Retention()

    # -- opening and closing ---------------------------------------------------

    def open(self, engine: str | None) -> None:
        """Open the store; without an engine a file that is missing is not made.

        Raises:
            StoreTooNew, StoreCorrupt, StoreReadOnly, StoreFull: the file is as it was.
            NotFound: there is no file, and no engine to make it for.
        """
        if self._readers is not None:
            raise StoreError(f"the store {self.path} is open already")
        if engine is None:
            self._open_for_readers()
            return
        format.prepare(self.path)
        self._readers = Readers(self.path)
        try:
            self._presence = self._engines.enter(engine)
            self._write(lambda cursor: self._engines.register(cursor, engine))
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise StoreError(
                    f"the engine '{engine}' cannot register with the store {self.path}: {error}"
                ) from error
            raise
        self._engine = engine

    def close(self) -> None:
        """Commit what has gathered, give up the engine's lock, close the files."""
        engine = self._engine
        if engine is not None and self._writer is not None:
            self._settle_statistics()
            # Where this fails it counts as crashed, and its runs are taken over all the same.
            with contextlib.suppress(StoreError):
                self._write(lambda cursor: self._engines.leave(cursor, engine))
        writer = self._release()
        if writer is not None:
            writer.close()
        presence, self._presence = self._presence, None
        if presence is not None:
            presence.leave()

    def abandon(self) -> None:
        """Stop as a killed process does: what has gathered is not kept, the lock is free, runs stay as they are.

        For tests of recovery; what is being committed at this moment is waited for.
        """
        writer = self._release()
        if writer is not None:
            writer.abandon()
        presence, self._presence = self._presence, None
        if presence is not None:
            presence.forget()

    def _release(self) -> Writer | None:
        """Let go of all but the lock; returns the writer, for the caller to end."""
        bell, self._bell = self._bell, None
        if bell is not None:
            bell.close()
        readers, self._readers = self._readers, None
        if readers is not None:
            readers.close()
        writer, self._writer = self._writer, None
        if writer is not None:
            del self.submit, self.when_durable
        self._engine = None
        self._delivered.clear()
        return writer

    def _open_for_readers(self) -> None:
        try:
            version = format.check(self.path)
        except FileNotFoundError:
            raise NotFound("store", str(self.path), "a run makes it") from None
        if version != FORMAT:
            format.prepare(self.path)
        self._readers = Readers(self.path)

    # -- writing -----------------------------------------------------------------

    def submit(self, write: Write) -> None:
        """Add a write to the group that is gathering."""
        self._started().submit(write)

    def when_durable(self, done: Done) -> None:
        """Call `done` when all that was submitted before is on disk, or is lost."""
        self._started().demand(done)

    def hand_over(self, writes: Sequence[Write], done: Done, *, alone: bool = False) -> None:
        """Submit all, and call `done` when that is on disk, or is lost."""
        self._started().hand_over([*writes, done], alone=alone)

    def lost(self) -> frozenset[str]:
        """Return the runs that lost writes, and keep writes from here on again."""
        return self._started().lost()

    def _started(self) -> Writer:
        """Return the writer; readers that never write never start one."""
        writer = self._writer
        if writer is not None:
            return writer
        with self._starting:
            if self._writer is None:
                if self._readers is None:
                    raise StoreError(f"the store {self.path} is not open")
                self._writer = Writer(
                    SqliteCommitter(self.path, statistics.Tally(), self._log_bytes, self._ring), self.path
                )
                # hot: the loop's own calls go to the writer without a step between
                self.submit = self._writer.submit  # type: ignore
                self.when_durable = self._writer.demand  # type: ignore
            return self._writer

    def _write(self, work: Callable[[apsw.Cursor], T]) -> T:
        return self._started().call(work)

    # -- reading -------------------------------------------------------------------

    def run(self, run_id: str) -> RunRow | None:
        """Return a run by its id or by an unambiguous prefix of it."""
        return self._read(lambda cursor: runs.find(cursor, run_id))

    def run_by_key(self, flow: str, key: str) -> RunRow | None:
        """Return the run that was started with this key."""
        return self._read(lambda cursor: runs.find_by_key(cursor, flow, key))

    def runs(self, which: RunFilter) -> list[RunRow]:
        """List runs, newest first."""
        return self._read(lambda cursor: runs.listed(cursor, which))

    def journal(self, run_id: str) -> list[bytes]:
        """Return the batches of a run's journal in order."""
        return self._read(lambda cursor: journal.read(cursor, run_id))

    def put_flow(self, content_hash: str, name: str, definition: bytes) -> None:
        """Keep a version of a flow."""
        if self.flow(content_hash) is None:
            self._write(lambda cursor: flows.put(cursor, content_hash, name, definition))

    def flow(self, content_hash: str) -> bytes | None:
        """Return a kept version of a flow."""
        return self._read(lambda cursor: flows.find(cursor, content_hash))

    def logs(self, run_id: str, task: str | None = None, after: int = 0) -> list[tuple[int, Log]]:
        """Return log lines in order, each with its number; those behind `after`."""
        return self._read(lambda cursor: logs.read(cursor, run_id, task, after))

    def statistics(self, flow: str) -> dict[str, TaskStatistics]:
        """Return what is known of a flow's tasks, by task path."""
        self._settle_statistics()
        return self._read(lambda cursor: statistics.read(cursor, flow))

    def statistics_epoch(self, flow: str) -> int:
        """Return a number that changes when statistics have changed by an order of magnitude."""
        self._settle_statistics()
        return self._read(lambda cursor: statistics.epoch(cursor, flow))

    # -- several engines -------------------------------------------------------------

    def engines(self) -> list[Engine]:
        """List registered engines and whether they live."""
        return self._read(self._engines.listed)

    def take_over(self, limit: int = 1000) -> list[RunRow]:
        """Make this engine the owner of live runs whose owner is dead."""
        engine = self._owner()
        return self._write(lambda cursor: self._engines.take_over(cursor, engine, limit))

    def claim(self, run_id: str) -> RunRow | None:
        """Make this engine the owner of a live run that nobody else alive owns."""
        engine = self._owner()
        return self._write(lambda cursor: self._engines.claim(cursor, engine, run_id))

    def due(self, now: float, limit: int = 1000) -> list[RunRow]:
        """Claim waiting runs that nobody owns and whose `wake_at` has come."""
        engine = self._owner()
        earliest = self.next_wake()
        if earliest is None or earliest > now:
            return []
        return self._write(lambda cursor: self._engines.due(cursor, engine, now, limit))

    def next_wake(self) -> float | None:
        """Return the earliest `wake_at` of a waiting run that nobody owns."""
        return self._read(engines.next_wake)

    def send(self, run_id: str, kind: str, payload: bytes) -> None:
        """Leave a command for the owner of a run, and wake it; where there is none, all that listen."""
        self._ring_owner(self._write(lambda cursor: commands.send(cursor, run_id, kind, payload)))

    def _ring_owner(self, owner: str | None) -> None:
        """Wake the owner of a run that has a command; where there is none, all engines."""
        for name in (
            [owner] if owner is not None else [engine.id for engine in self.engines() if engine.alive]
        ):
            commands.ring(self._engines.bell_of(name))

    def receive(self) -> list[Command]:
        """Return commands for runs of this engine, each once until `settle`d."""
        engine = self._owner()
        if not self._read(commands.pending):
            return []
        found = self._write(lambda cursor: commands.receive(cursor, engine))
        fresh = [command for command in found if command.number not in self._delivered]
        self._delivered.update(command.number for command in fresh)
        return fresh

    def settle(self, numbers: Iterable[int]) -> None:
        """Forget commands that were carried out."""
        carried_out = tuple(numbers)
        self._write(lambda cursor: commands.settle(cursor, carried_out))
        self._delivered.difference_update(carried_out)

    def on_command(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, on any thread, when a command for this engine has arrived."""
        engine = self._owner()
        if hasattr(socket, "AF_UNIX"):  # elsewhere the engine finds commands when it looks for them
            self._bell = commands.Bell(self._engines.bell_of(engine), wake)

    # -- upkeep --------------------------------------------------------------------------

    def delete_runs(self, run_ids: Sequence[str]) -> int:
        """Delete ended runs with all that belongs to them."""
        self._retention = upkeep.Retention()  # what it counted no longer holds
        return self._delete(run_ids)

    def retain(self, *, older_than: float, keep: int | None = None, limit: int = 500) -> int:
        """Delete a step's worth of ended runs by age and count; 0 when nothing is left to delete."""
        return self._delete(self._read(lambda cursor: self._retention.step(cursor, older_than, keep, limit)))

    def sweep_blobs(self, grace: float) -> int:
        """Delete large values that no journal has referred to for `grace` seconds."""
        names: set[str] | None = None

        def referred(name: str) -> bool:
            nonlocal names
            if names is None:
                names = upkeep.blob_names(self._read)
            return name in names

        return self._blobs.sweep(referred, grace)

    def blobs(self) -> FileBlobs:
        """Return the store's blobs."""
        return self._blobs

    def facts(self) -> facts.SqliteFacts:
        """Return what the store keeps beyond runs."""
        return facts.SqliteFacts(self._read, self._write, self._wake_all)

    def _wake_all(self) -> None:
        """Wake all engines that live."""
        for engine in self.engines():
            if engine.alive:
                commands.ring(self._engines.bell_of(engine.id))

    def lanes(self) -> lanes.SqliteLanes:
        """Return who has a place to run, and who waits for one."""
        return lanes.SqliteLanes(self._read, self._write, self._engines.alive, self._ring_owner, self._engine)

    def liveness(self) -> liveness.SqliteLiveness:
        """Return what looks over all live runs."""
        return liveness.SqliteLiveness(
            self._read, self._write, lambda: [engine.id for engine in self.engines() if engine.alive]
        )

    def events(self) -> events.SqliteEvents:
        """Return the store's events, and who waits for them."""
        return events.SqliteEvents(self._read, self._write, lambda: self._read(self._ring))

    def steering(self) -> steering.SqliteSteering:
        """Return what acts on many runs at once, wherever they are."""
        return steering.SqliteSteering(self._read, self._write, self._engines, self._owner)

    # -- within ----------------------------------------------------------------------------

    def _read(self, query: Callable[[apsw.Cursor], T]) -> T:
        readers = self._readers
        if readers is None:
            raise StoreError(f"the store {self.path} is not open")
        with readers.connection() as connection:
            return query(connection.cursor())

    def _ring(self, cursor: apsw.Cursor) -> None:
        """Wake all engines: something has come that may concern any of them."""
        for engine in self._engines.listed(cursor):
            if engine.alive:
                commands.ring(self._engines.bell_of(engine.id))

    def _delete(self, run_ids: Sequence[str]) -> int:
        deleted = 0
        for start in range(0, len(run_ids), upkeep.STEP):
            part = run_ids[start : start + upkeep.STEP]
            deleted += self._write(functools.partial(upkeep.delete, run_ids=part))
        return deleted

    def _settle_statistics(self) -> None:
        """Have what this process counted written, so that it is read."""
        if self._writer is not None:
            with contextlib.suppress(StoreError):  # they wait for better times; what is kept can be read
                self._writer.flush()

    def _owner(self) -> str:
        if self._engine is None:
            raise StoreError(f"the store {self.path} was opened for reading only: no engine is registered")
        return self._engine
