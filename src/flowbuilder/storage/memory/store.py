"""The memory store: the protocol over a `Place`.

There is no thread: `when_durable` carries out what has gathered and calls
`done` before it returns.  What was submitted and never waited for is carried
out by the next call of anything else.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING

import msgspec

from flowbuilder.core.errors import NotFound, StoreError
from flowbuilder.storage.api import (
    LIVE,
    Command,
    Done,
    Engine,
    KeyTaken,
    Log,
    RunFilter,
    RunRow,
    TaskStatistics,
    Write,
)
from flowbuilder.storage.blobs import names_in
from flowbuilder.storage.memory.events import MemoryEvents
from flowbuilder.storage.memory.facts import MemoryFacts
from flowbuilder.storage.memory.lanes import MemoryLanes
from flowbuilder.storage.memory.liveness import MemoryLiveness
from flowbuilder.storage.memory.place import Place, select
from flowbuilder.storage.memory.steering import MemorySteering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from flowbuilder.storage.blobs import MemoryBlobs


class MemoryStore:
    """A store in memory; what it holds outlives `close` and is gone with the process.

    Args:
        place: the contents of another memory store, to share them with it.
        log_bytes: what is kept of one task's log; that of the place otherwise.
    """

    def __init__(self, place: Place | None = None, log_bytes: int | None = None) -> None:
        self.place = place or Place()
        if log_bytes is not None:
            self.place.log_bytes = log_bytes
        self._engine: str | None = None
        self._open = False
        self._gathered: list[Write] = []
        self._taken: dict[str, str] = {}
        """Runs that were refused, with the holders of their keys."""
        self._told: set[str] = set()
        self._delivered: set[int] = set()

    # -- opening and closing ---------------------------------------------------

    def open(self, engine: str | None) -> None:
        """Open the store; `engine` registers as owner of runs."""
        with self.place.lock:
            if self._open:
                raise StoreError("the store in memory is open already")
            if engine is not None:
                known = self.place.engines.get(engine)
                if known is not None and known.alive:
                    raise StoreError(f"the engine '{engine}' is registered already")
                self._bury(engine)
                self.place.engines[engine] = Engine(
                    engine, os.getpid(), socket.gethostname(), time.time(), True
                )
            self._engine = engine
            self._open = True

    def close(self) -> None:
        """Carry out what has gathered and leave."""
        with self.place.lock:
            if self._open:
                self._flush()
            if self._engine is not None:
                self.place.left.add(self._engine)
            self._depart()

    def abandon(self) -> None:
        """Stop as a killed process does: what has gathered is not kept, runs stay as they are."""
        with self.place.lock:
            self._gathered.clear()
            self._depart()

    def _depart(self) -> None:
        place, engine = self.place, self._engine
        self._engine, self._open = None, False
        if engine is not None:
            place.engines[engine] = msgspec.structs.replace(place.engines[engine], alive=False)
            place.bells.pop(engine, None)
            self._forget_if_done(engine)

    def _bury(self, engine: str) -> None:
        """Let what an engine of the same name left behind go on under another name."""
        place = self.place
        dead = place.engines.pop(engine, None)
        if dead is None:
            return
        late = f"{engine}~{place.number()}"
        place.engines[late] = msgspec.structs.replace(dead, id=late)
        if engine in place.left:
            place.left.remove(engine)
            place.left.add(late)
        for row in place.runs.values():
            if row.owner == engine and row.status in LIVE:
                row.owner = late

    # -- writing -----------------------------------------------------------------

    def submit(self, write: Write) -> None:
        """Add a write to the group that is gathering."""
        self._gathered.append(write)

    def hand_over(self, writes: Sequence[Write], done: Done, *, alone: bool = False) -> None:
        """Submit all, and carry out what has gathered."""
        self._gathered += writes
        self.when_durable(done)

    def when_durable(self, done: Done) -> None:
        """Carry out what has gathered, and call `done`."""
        with self.place.lock:
            try:
                self._flush()
            except StoreError as error:
                failure: StoreError | None = error
            else:
                failure = None
                fresh = {run_id: holder for run_id, holder in self._taken.items() if run_id not in self._told}
                if fresh:
                    self._told.update(fresh)
                    failure = KeyTaken(fresh)
        done(failure)

    def lost(self) -> frozenset[str]:
        """Return nothing: memory loses no group."""
        return frozenset()

    def _flush(self) -> None:
        # One list for good, as another thread may be appending to it.
        count = len(self._gathered)
        gathered = self._gathered[:count]
        del self._gathered[:count]
        if self.place.apply(gathered, self._taken):
            self.place.ring()

    # -- reading -------------------------------------------------------------------

    def run(self, run_id: str) -> RunRow | None:
        """Return a run by its id or by an unambiguous prefix of it."""
        with self._reading() as place:
            row = place.runs.get(run_id)
            if row is None and run_id:
                found = [other for name, other in place.runs.items() if name.startswith(run_id)]
                row = found[0] if len(found) == 1 else None
            return msgspec.structs.replace(row) if row else None

    def run_by_key(self, flow: str, key: str) -> RunRow | None:
        """Return the run that was started with this key."""
        with self._reading() as place:
            run_id = place.keys.get((flow, key))
            return msgspec.structs.replace(place.runs[run_id]) if run_id else None

    def runs(self, which: RunFilter) -> list[RunRow]:
        """List runs, newest first."""
        with self._reading() as place:
            return select(place.runs.values(), which)

    def journal(self, run_id: str) -> list[bytes]:
        """Return the batches of a run's journal in order."""
        with self._reading() as place:
            return [data for _, data in sorted(place.journals.get(run_id, {}).items())]

    def put_flow(self, content_hash: str, name: str, definition: bytes) -> None:
        """Keep a version of a flow."""
        with self._reading() as place:
            place.flows.setdefault(content_hash, (name, definition))

    def flow(self, content_hash: str) -> bytes | None:
        """Return a kept version of a flow."""
        with self._reading() as place:
            found = place.flows.get(content_hash)
            return found[1] if found else None

    def logs(self, run_id: str, task: str | None = None, after: int = 0) -> list[tuple[int, Log]]:
        """Return log lines in order, each with its number; those behind `after`."""
        with self._reading() as place:
            lines = [
                (number, line)
                for number, line in place.logs.get(run_id, ())
                if number > after and (task is None or line.task == task)
            ]
            for (of_run, name), (count, last) in place.dropped.items():
                if of_run == run_id and last > after and (task is None or name == task):
                    lines.append((last, _notice(run_id, name, count, lines)))
            return sorted(lines, key=lambda line: line[0])

    def statistics(self, flow: str) -> dict[str, TaskStatistics]:
        """Return what is known of a flow's tasks, by task path."""
        with self._reading() as place:
            return {task: sketch.summary() for task, sketch in place.sketches.get(flow, {}).items()}

    def statistics_epoch(self, flow: str) -> int:
        """Return a number that changes when statistics have changed by an order of magnitude."""
        with self._reading() as place:
            return place.epochs.get(flow, 0)

    # -- several engines -------------------------------------------------------------

    def engines(self) -> list[Engine]:
        """List registered engines and whether they live."""
        with self._reading() as place:
            return sorted(place.engines.values(), key=lambda engine: engine.started_at)

    def take_over(self, limit: int = 1000) -> list[RunRow]:
        """Make this engine the owner of live runs whose owner is dead, or that nobody drives."""
        engine = self._owner()
        with self._reading() as place:
            dead = {name for name, known in place.engines.items() if not known.alive}
            taken: list[RunRow] = []
            for row in sorted(place.runs.values(), key=lambda row: row.id):
                if len(taken) >= limit:
                    break
                nobody = row.owner is None and row.status in ("queued", "running")
                if row.status in LIVE and not _is_queued(row) and (nobody or row.owner in dead):
                    taken.append(self._own(row, engine))
            for name in dead:
                self._forget_if_done(name)
            return taken

    def claim(self, run_id: str) -> RunRow | None:
        """Make this engine the owner of a live run that nobody else alive owns."""
        engine = self._owner()
        with self._reading() as place:
            row = place.runs.get(run_id)
            if row is None or row.status not in LIVE or _is_queued(row):
                return None
            if row.owner not in (None, engine) and self._alive(row.owner):
                return None
            return self._own(row, engine)

    def due(self, now: float, limit: int = 1000) -> list[RunRow]:
        """Claim waiting runs that nobody owns and whose `wake_at` has come."""
        engine = self._owner()
        with self._reading():
            found = [(wake_at, row) for wake_at, row in self._sleeping() if wake_at <= now]
            found.sort(key=lambda pair: (pair[0], pair[1].id))
            return [self._own(row, engine) for _, row in found[:limit]]

    def next_wake(self) -> float | None:
        """Return the earliest `wake_at` of a waiting run that nobody owns."""
        with self._reading():
            return min((wake_at for wake_at, _ in self._sleeping()), default=None)

    def send(self, run_id: str, kind: str, payload: bytes) -> None:
        """Leave a command for the owner of a run, and wake it; where there is none, all that listen."""
        with self._reading() as place:
            row = place.runs.get(run_id)
            if row is None:
                raise NotFound("run", run_id)
            if row.status in LIVE:
                number = place.number()
                place.commands[number] = Command(number, run_id, kind, payload)
            wakes = [wake for name, wake in place.bells.items() if row.owner in (None, name)]
        for wake in wakes:
            wake()

    def receive(self) -> list[Command]:
        """Return commands for runs of this engine, each once until `settle`d."""
        engine = self._owner()
        with self._reading() as place:
            fresh = []
            for number, command in sorted(place.commands.items()):
                row = place.runs.get(command.run_id)
                if row is None or row.status not in LIVE:
                    del place.commands[number]
                    continue
                if _waits_its_turn(row):
                    continue
                if row.owner is None:
                    self._own(row, engine)
                if row.owner == engine and number not in self._delivered:
                    fresh.append(command)
                    self._delivered.add(number)
            return fresh

    def settle(self, numbers: Iterable[int]) -> None:
        """Forget commands that were carried out."""
        with self._reading() as place:
            for number in numbers:
                place.commands.pop(number, None)
                self._delivered.discard(number)

    def on_command(self, wake: Callable[[], None]) -> None:
        """Have `wake` called when a command for this engine has arrived."""
        self.place.bells[self._owner()] = wake

    # -- upkeep --------------------------------------------------------------------------

    def delete_runs(self, run_ids: Sequence[str]) -> int:
        """Delete ended runs with all that belongs to them."""
        with self._reading() as place:
            return sum(place.delete(run_id) for run_id in run_ids)

    def retain(self, *, older_than: float, keep: int | None = None, limit: int = 500) -> int:
        """Delete a step's worth of ended runs by age and count; 0 when nothing is left to delete."""
        with self._reading() as place:
            ended = sorted(row.id for row in place.runs.values() if row.status not in LIVE)
            many = set(ended[: max(0, len(ended) - keep)] if keep is not None else ())
            old = {run_id for run_id in ended if (place.runs[run_id].ended_at or older_than) < older_than}
            return sum(place.delete(run_id) for run_id in sorted(many | old)[:limit])

    def sweep_blobs(self, grace: float) -> int:
        """Delete large values that nothing has referred to for `grace` seconds."""
        with self._reading() as place:
            kept = {
                name
                for batches in place.journals.values()
                for batch in batches.values()
                for name in names_in(batch)
            }
            kept |= {name for fact in place.facts.values() for name in names_in(fact.value)}
            kept |= {name for event in place.board.events.values() for name in names_in(event.payload)}
            for row in place.runs.values():
                for data in (row.inputs, row.result, row.about):
                    kept.update(names_in(data or b""))
            return place.blobs.sweep(kept.__contains__, grace)

    def blobs(self) -> MemoryBlobs:
        """Return the store's blobs."""
        return self.place.blobs

    def facts(self) -> MemoryFacts:
        """Return what the store keeps beyond runs."""
        return MemoryFacts(self._reading)

    def lanes(self) -> MemoryLanes:
        """Return who has a place to run, and who waits for one."""
        return MemoryLanes(self._reading, self._ring_owner, self._engine)

    def _ring_owner(self, owner: str | None) -> None:
        """Wake the owner of a run that has a command; where there is none, all engines."""
        for name, wake in list(self.place.bells.items()):
            if owner in (None, name):
                wake()

    def liveness(self) -> MemoryLiveness:
        """Return what looks over all live runs."""
        return MemoryLiveness(self._reading)

    def events(self) -> MemoryEvents:
        """Return the store's events, and who waits for them."""
        return MemoryEvents(self._reading, self.place.ring)

    def steering(self) -> MemorySteering:
        """Return what acts on many runs at once, wherever they are."""
        return MemorySteering(self._reading, self.claim)

    # -- within ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Place]:
        with self.place.lock:
            if not self._open:
                raise StoreError("the store in memory is not open")
            self._flush()
            yield self.place

    def _sleeping(self) -> list[tuple[float, RunRow]]:
        return [
            (row.wake_at, row)
            for row in self.place.runs.values()
            if row.wake_at is not None and row.owner is None and row.status == "waiting"
        ]

    def _own(self, row: RunRow, engine: str) -> RunRow:
        """Change the owner; a run that ran in an engine that died has one more crash."""
        crashed = row.owner not in (None, engine) and row.owner not in self.place.left
        row.crashes += crashed and row.status == "running"
        row.owner = engine
        return msgspec.structs.replace(row)

    def _alive(self, engine: str | None) -> bool:
        known = self.place.engines.get(engine or "")
        return known is not None and known.alive

    def _forget_if_done(self, engine: str) -> None:
        """Forget an engine that is gone, once it owns nothing any more."""
        if not any(row.owner == engine and row.status in LIVE for row in self.place.runs.values()):
            del self.place.engines[engine]
            self.place.left.discard(engine)

    def _owner(self) -> str:
        if self._engine is None:
            raise StoreError("the store in memory was opened for reading only: no engine is registered")
        return self._engine


def _is_queued(row: RunRow) -> bool:
    """Tell whether a run waits for a place in a lane."""
    return row.lane is not None and row.status == "queued"


def _waits_its_turn(row: RunRow) -> bool:
    """Tell whether a run waits for a place, or for another start that takes its own."""
    held = row.status == "waiting" and row.started_at is None and row.owner is None
    return _is_queued(row) or (row.lane is not None and held)


def _notice(run_id: str, task: str, count: int, lines: list[tuple[int, Log]]) -> Log:
    at = next((line.at for _, line in lines if line.task == task), 0.0)
    message = f"{count:,} earlier lines were dropped: the log was longer than `limits.log_bytes`"
    return Log(run_id, task, at, "warning", message)
