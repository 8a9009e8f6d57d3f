"""What a memory store holds, apart from who has it open.

Plain on purpose: dictionaries and loops.  The tests hold it beside the SQLite
store as the oracle of what the protocol means.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from flowbuilder.core.errors import StoreError
from flowbuilder.core.ids import base32
from flowbuilder.storage.api import (
    LIVE,
    LOG_BYTES,
    Accept,
    Append,
    Change,
    Command,
    Compact,
    Engine,
    Fact,
    Forget,
    Keep,
    Log,
    RunFilter,
    RunRow,
    Statistic,
    Write,
)
from flowbuilder.storage.blobs import MemoryBlobs
from flowbuilder.storage.events import Emit, News, Subscribe, Take, Unsubscribe
from flowbuilder.storage.memory import events
from flowbuilder.storage.sketch import Sketch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_FIELDS = frozenset(RunRow.__struct_fields__) - {"id"}


class Place:
    """The contents of a memory store; any number of `MemoryStore`s may share one."""

    def __init__(self) -> None:
        self.log_bytes = LOG_BYTES
        """What is kept of one task's log; the oldest lines go first."""
        self.lock = threading.RLock()
        """Held by whoever looks or writes."""
        self.runs: dict[str, RunRow] = {}
        self.keys: dict[tuple[str, str], str] = {}
        self.journals: dict[str, dict[int, bytes]] = defaultdict(dict)
        self.flows: dict[str, tuple[str, bytes]] = {}
        self.logs: dict[str, list[tuple[int, Log]]] = defaultdict(list)
        self.log_sizes: dict[tuple[str, str], int] = defaultdict(int)
        """Of a run's task: the bytes of its lines."""
        self.dropped: dict[tuple[str, str], tuple[int, int]] = {}
        """Of a run's task: how many lines were dropped, and the number of the last."""
        self.sketches: dict[str, dict[str, Sketch]] = defaultdict(dict)
        self.epochs: dict[str, int] = defaultdict(int)
        self.engines: dict[str, Engine] = {}
        self.left: set[str] = set()
        """Engines that ended in order but left runs behind."""
        self.commands: dict[int, Command] = {}
        self.bells: dict[str, Callable[[], None]] = {}
        self.blobs = MemoryBlobs()
        self.facts: dict[tuple[str, str], Fact] = {}
        """By kind and key."""
        self.board = events.Board()
        self._numbers = 0

    def number(self) -> int:
        """Return a number greater than any before."""
        self._numbers += 1
        return self._numbers

    def apply(self, writes: Sequence[Write], taken: dict[str, str]) -> bool:
        """Carry writes out in order; notes runs whose key belongs to another in `taken`.

        Tells whether anybody is to be woken.

        Raises:
            StoreError: a write makes no sense; then none of them is carried out.
        """
        for write in writes:
            if isinstance(write, Change):
                _check(write)
        news: list[News] = []
        for write in writes:
            match write:
                case Accept(row):
                    self._accept(row, taken)
                case Append(run_id, sequence, data):
                    if run_id not in taken:
                        self.journals[run_id][sequence] = data
                case Compact(run_id, through, data):
                    self._compact(run_id, through, data)
                case Change(run_id, values):
                    self._change(run_id, values)
                case Log():
                    if write.run_id not in taken:
                        self._log(write)
                case Statistic():
                    self._count(write)
                case Keep(fact):
                    self.facts[fact.kind, fact.key] = fact
                case Forget(kind, key):
                    self.facts.pop((kind, key), None)
                case Emit() | Subscribe() | Unsubscribe() | Take():
                    news.append(write)
        return events.apply(self, news) if news else False

    def ring(self) -> None:
        """Wake all engines."""
        for wake in list(self.bells.values()):
            wake()

    def delete(self, run_id: str) -> bool:
        """Delete an ended run with all that belongs to it; says whether it did."""
        row = self.runs.get(run_id)
        if row is None or row.status in LIVE:
            return False
        del self.runs[run_id]
        if row.key is not None:
            del self.keys[row.flow, row.key]
        self.journals.pop(run_id, None)
        self.logs.pop(run_id, None)
        for place in [place for place in self.log_sizes if place[0] == run_id]:
            del self.log_sizes[place]
            self.dropped.pop(place, None)
        for number in [number for number, command in self.commands.items() if command.run_id == run_id]:
            del self.commands[number]
        events.forget_run(self.board, run_id)
        return True

    def _accept(self, row: RunRow, taken: dict[str, str]) -> None:
        if row.key is not None:
            holder = self.keys.setdefault((row.flow, row.key), row.id)
            if holder != row.id:
                taken[row.id] = holder
                return
        self.runs[row.id] = msgspec.structs.replace(row)

    def _compact(self, run_id: str, through: int, data: bytes) -> None:
        batches = self.journals.get(run_id, {})
        if through in batches:
            later = {number: batch for number, batch in batches.items() if number > through}
            self.journals[run_id] = {through: data, **later}

    def _change(self, run_id: str, values: dict[str, object]) -> None:
        row = self.runs.get(run_id)
        if row is not None:
            self.runs[run_id] = msgspec.structs.replace(row, **values)

    def _log(self, line: Log) -> None:
        lines = self.logs[line.run_id]
        lines.append((self.number(), line))
        size = self.log_sizes[line.run_id, line.task] + _size(line)
        while size > self.log_bytes:
            at = next(at for at, (_, kept) in enumerate(lines) if kept.task == line.task)
            number, oldest = lines.pop(at)
            size -= _size(oldest)
            count, _ = self.dropped.get((line.run_id, line.task), (0, 0))
            self.dropped[line.run_id, line.task] = (count + 1, number)
        self.log_sizes[line.run_id, line.task] = size

    def _count(self, statistic: Statistic) -> None:
        sketch = self.sketches[statistic.flow].setdefault(statistic.task, Sketch(buckets={}))
        one = Sketch(buckets={})
        one.add(statistic)
        sketch.merge(one)
        if sketch.rebase():
            self.epochs[statistic.flow] += 1


def select(rows: Iterable[RunRow], which: RunFilter) -> list[RunRow]:
    """Return copies of the runs that a filter asks for, newest first."""
    found = [
        row
        for row in rows
        if (which.flow is None or row.flow == which.flow)
        and (not which.status or row.status in which.status)
        and (which.parent is None or row.parent == which.parent)
        and which.labels.items() <= row.labels.items()
        and (which.before is None or row.id < which.before)
        and (which.since is None or row.id >= _first_id(which.since))
        and (which.until is None or row.id < _first_id(which.until))
    ]
    found.sort(key=lambda row: row.id, reverse=True)
    return [msgspec.structs.replace(row) for row in found[: which.limit]]


def _check(change: Change) -> None:
    unknown = change.values.keys() - _FIELDS
    if unknown or not change.values:
        raise StoreError(f"a run has no column {', '.join(sorted(unknown)) or 'of no name'} to change")


def _first_id(moment: float) -> str:
    return base32(max(0, int(moment * 1000)), 10)


def _size(line: Log) -> int:
    return len(line.message) + len(line.data or b"") + 64
