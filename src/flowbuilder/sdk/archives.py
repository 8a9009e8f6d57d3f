"""Runs in a file: written by `runs export`, brought into any store by `runs import`.

An archive is self-contained: rows, journals, logs, the versions of flows and
large outputs.  It is a line that says what it is, and then one frame after the
other (`frames.py`).  What is referred to stands before what refers to it, so
that neither side holds more than one run in memory; the last frame says how
many runs there were.
"""

from __future__ import annotations

import contextlib
import secrets as chance
import threading
import time
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder import __version__
from flowbuilder.core import records
from flowbuilder.core.errors import ArchiveError, StoreCorrupt, StoreError
from flowbuilder.core.ids import RUN_ID, base32
from flowbuilder.sdk.frames import END, HEAD, FrameWriter, read_frames
from flowbuilder.storage.api import LIVE, Accept, Append, Log, RunRow
from flowbuilder.storage.blobs import names_in
from flowbuilder.storage.factory import make_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from flowbuilder.storage.api import Store

MAGIC: Final = b"FLOWBUILDER RUNS\n"
FORMAT: Final = 1
"""The format that this release writes, and the newest that it reads."""
_LOGS: Final = 1000
"""Log lines that make one frame."""


class Imported(msgspec.Struct):
    """What became of the runs of an archive, by id."""

    brought: list[str] = []
    paused: list[str] = []
    """Those of them that had not ended, and wait for a `runs resume`."""
    known: list[str] = []
    """They are in the store already, and were left as they are."""
    without_key: list[str] = []
    """Those brought whose key belongs to another run here: they have none now."""


# -- writing ------------------------------------------------------------------------


def export_runs(store: Store, run_ids: Iterable[str], file: IO[bytes]) -> int:
    """Write runs to a file; returns how many.

    Raises:
        StoreError: something of them cannot be read; the file is no whole archive then.
    """
    frames = FrameWriter(file, MAGIC)
    flows: set[str] = set()
    blobs: set[str] = set()
    count = 0
    frames.put(HEAD, {"format": FORMAT, "release": __version__, "made_at": time.time()})
    for run_id in run_ids:
        row = store.run(run_id)
        if row is None:
            continue  # it was deleted meanwhile
        _export_run(store, row, frames, flows, blobs)
        count += 1
    frames.put(END, count)
    return count


def _export_run(store: Store, row: RunRow, frames: FrameWriter, flows: set[str], blobs: set[str]) -> None:
    if row.flow_hash not in flows:
        flows.add(row.flow_hash)
        if (definition := store.flow(row.flow_hash)) is not None:
            frames.put("flow", [row.flow_hash, row.flow, definition])
    journal = store.journal(row.id)
    for batch in journal:
        for record in records.decode(batch):
            name = getattr(record, "blob", None)
            if name is not None and name not in blobs:
                blobs.add(name)
                frames.put("blob", [name, store.blobs().get(name)])
    for data in (row.inputs, row.result, row.about, *journal):
        for name in names_in(data or b""):
            if name not in blobs:
                _put_if_kept(store, name, blobs, frames)
    frames.put("run", msgspec.to_builtins(row, builtin_types=(bytes,)))
    for batch in journal:
        frames.put("batch", batch)
    lines: list[Any] = []
    for _, line in store.logs(row.id):
        lines.append([line.task, line.at, line.level, line.message, line.data])
        if len(lines) == _LOGS:
            frames.put("logs", lines)
            lines = []
    if lines:
        frames.put("logs", lines)
    frames.put("whole", row.id)


def _put_if_kept(store: Store, name: str, blobs: set[str], frames: FrameWriter) -> None:
    """Write the blob of a name, if that is one: any text may look like it."""
    with contextlib.suppress(StoreCorrupt):
        frames.put("blob", [name, store.blobs().get(name)])
        blobs.add(name)


# -- reading ------------------------------------------------------------------------


def import_runs(path: str | Path, file: IO[bytes], *, live: bool = False) -> Imported:
    """Bring the runs of an archive into a store, under the ids that they have.

    Each run comes whole or not at all; what the store has already is left as
    it is.  Runs that had not ended are paused, unless `live` lets the next
    engine carry them on: the store that they come from may do so, too.

    Raises:
        ArchiveError: it is none, of a newer format, or damaged; what was brought in before that stays.
        StoreError: the store cannot take it.
    """
    frames = read_frames(file, MAGIC)
    kind, head = next(frames, ("", None))
    if kind != HEAD or not isinstance(head, dict):
        raise ArchiveError("this is no archive of runs")
    if head.get("format", 0) > FORMAT:
        raise ArchiveError(
            f"the archive is of format {head.get('format')}, made by release {head.get('release')}; "
            f"this release reads formats up to {FORMAT}"
        )
    store = make_store(path)
    store.open(base32(chance.randbits(60), 12))
    try:
        return _Import(store, live).take(frames)
    finally:
        store.close()


class _Import:
    """Takes in frames, run by run."""

    def __init__(self, store: Store, live: bool) -> None:
        self._store = store
        self._live = live
        self._done = Imported([], [], [], [])
        self._row: RunRow | None = None
        self._batches: list[bytes] = []
        self._logs: list[Any] = []

    def take(self, frames: Iterator[tuple[str, Any]]) -> Imported:
        """Take all frames; returns what became of the runs."""
        try:
            for kind, what in frames:
                if kind == END:
                    return self._done
                self._frame(kind, what)
        except (msgspec.ValidationError, TypeError, ValueError, KeyError) as error:
            raise self._damaged(str(error)) from None
        except ArchiveError as error:
            raise self._damaged(str(error)) from None
        raise self._damaged("it ends in the midst")

    def _damaged(self, why: str) -> ArchiveError:
        count = len(self._done.brought)
        return ArchiveError(
            f"the archive is damaged: {why}; {count} run{'s' * (count != 1)} before that were brought in"
        )

    def _frame(self, kind: str, what: Any) -> None:
        match kind:
            case "flow":
                self._store.put_flow(*what)
            case "blob":
                name, data = what
                if self._store.blobs().put(data) != name:
                    raise ArchiveError(f"the output {name[:12]}… is not what it was")
            case "run":
                self._row = msgspec.convert(what, RunRow)
                self._batches, self._logs = [], []
                if RUN_ID.fullmatch(self._row.id) is None:
                    raise ArchiveError("there is a run without an id")
            case "batch":
                records.decode(what)
                self._batches.append(what)
            case "logs":
                self._logs += what
            case "whole":
                self._bring()

    def _bring(self) -> None:
        row, self._row = self._row, None
        if row is None:
            raise ArchiveError("a run is missing")
        known = self._store.run(row.id)
        if known is not None and known.id == row.id:
            self._done.known.append(row.id)
            return
        if self._store.flow(row.flow_hash) is None:
            raise ArchiveError(f"the flow of run {row.id} is missing")
        row = msgspec.structs.replace(row, owner=None, crashes=0)
        if row.key is not None and self._store.run_by_key(row.flow, row.key) is not None:
            row = msgspec.structs.replace(row, key=None)
            self._done.without_key.append(row.id)
        if row.status in LIVE:
            row = self._at_rest(row)
        self._commit(row)
        self._done.brought.append(row.id)

    def _at_rest(self, row: RunRow) -> RunRow:
        """Return a run that had not ended as it is to stand here."""
        if self._live:
            return msgspec.structs.replace(row, status="queued", wake_at=None)
        if row.status != "paused":
            self._batches.append(records.encode([records.Paused(time.time(), "imported")]))
        self._done.paused.append(row.id)
        return msgspec.structs.replace(row, status="paused", wake_at=None)

    def _commit(self, row: RunRow) -> None:
        store = self._store
        done = threading.Event()
        failed: list[StoreError | None] = []

        def told(error: StoreError | None) -> None:
            failed.append(error)
            done.set()

        store.submit(Accept(row))
        for sequence, batch in enumerate(self._batches):
            store.submit(Append(row.id, sequence, batch))
        for task, at, level, message, data in self._logs:
            store.submit(Log(row.id, task, at, level, message, data))
        store.when_durable(told)
        done.wait()
        if failed[0] is not None:
            raise failed[0]
