"""Bringing the runs of an archive into a store (`archives.py` says what is in one).

The whole file is looked at before anything is brought in: a damaged one, or
one with a run that cannot be carried, changes nothing.
"""

from __future__ import annotations

import hashlib
import secrets as chance
import shutil
import tempfile
import threading
import time
from typing import IO, TYPE_CHECKING, Any

import msgspec

from flowbuilder.core import records
from flowbuilder.core.errors import ArchiveError, StoreError
from flowbuilder.core.ids import RUN_ID, base32
from flowbuilder.runtime.encryption import key_of
from flowbuilder.sdk.archives import FORMAT, MAGIC
from flowbuilder.sdk.frames import HEAD, read_frames
from flowbuilder.sdk.moving import (
    at_rest,
    awaited_children,
    moved_journal,
    sealed_in,
    up_to,
)
from flowbuilder.storage.api import LIVE, Accept, Append, Fact, Keep, Log, RunRow
from flowbuilder.storage.events import Emit, Event, Subscribe, Subscription
from flowbuilder.storage.factory import make_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flowbuilder.storage.api import Store, Write


class Imported(msgspec.Struct):
    """What became of the runs of an archive, by id."""

    brought: list[str] = []
    paused: list[str] = []
    """Those of them that had not ended, and wait for a `runs resume`."""
    known: list[str] = []
    """They are in the store already, and were left as they are."""
    without_key: list[str] = []
    """Those brought whose key belongs to another run here: they have none now."""


class _Run(msgspec.Struct):
    """A run, as its frames tell."""

    row: RunRow
    journal: list[bytes] = []
    signals: list[Any] = []
    unheard: list[Any] = []
    waits: list[Any] = []
    facts: list[Any] = []
    logs: list[Any] = []


def import_runs(
    path: str | Path,
    file: IO[bytes],
    *,
    live: bool = False,
    has_key: Callable[[bytes], bool] | None = None,
) -> Imported:
    """Bring the runs of an archive into a store, under the ids that they have.

    Each run comes whole or not at all; what the store has already is left as
    it is, so that it may be done again.  Runs that had not ended are paused,
    unless `live` lets the next engine carry them on: the store that they come
    from may do so, too.

    Args:
        path: the store's file; made where there is none.
        file: the archive.
        live: have runs carried on that had not ended.
        has_key: tells whether a key by which something was sealed is known here, by its id.

    Raises:
        ArchiveError: it is none, of a newer format, or damaged, or a run cannot be carried; nothing was
            brought in.
        StoreError: the store cannot take it; what was brought in before that stays.
    """
    if not file.seekable():
        with tempfile.TemporaryFile() as aside:
            shutil.copyfileobj(file, aside)
            aside.seek(0)
            return import_runs(path, aside, live=live, has_key=has_key)
    begins = file.tell()
    survey = _Survey(has_key)
    _each(file, survey.flow, survey.blob, survey.run)
    store = make_store(path)
    store.open(base32(chance.randbits(60), 12))
    try:
        survey.refuse(store)
        file.seek(begins)
        bringing = _Bringing(store, live)
        _each(file, store.put_flow, bringing.blob, bringing.run, bringing.begin)
        if live and bringing.done.brought:
            store.facts().announce()  # whoever is there may carry them on
        return bringing.done
    finally:
        store.close()


def _each(
    file: IO[bytes],
    flow: Callable[[str, str, bytes], None],
    blob: Callable[[str, bytes], None],
    run: Callable[[_Run], None],
    begin: Callable[[float], None] = lambda made_at: None,
) -> None:
    """Go through an archive, and hand on what is in it.

    Raises:
        ArchiveError: it is none, of a newer format, or damaged.
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
    begin(head.get("made_at") or time.time())
    try:
        _read(frames, flow, blob, run)
    except (msgspec.ValidationError, msgspec.DecodeError, TypeError, ValueError, KeyError) as error:
        raise ArchiveError(f"the archive is damaged: {error}; nothing was brought in") from None
    except ArchiveError as error:
        raise ArchiveError(f"the archive is damaged: {error}; nothing was brought in") from None


def _read(
    frames: Iterator[tuple[str, Any]],
    flow: Callable[[str, str, bytes], None],
    blob: Callable[[str, bytes], None],
    run: Callable[[_Run], None],
) -> None:
    now: _Run | None = None
    for kind, what in frames:
        match kind:
            case "flow":
                flow(*what)
                continue
            case "blob":
                blob(*what)
                continue
            case "run":
                now = _Run(msgspec.convert(what, RunRow))
                if RUN_ID.fullmatch(now.row.id) is None:
                    raise ArchiveError("there is a run without an id")
                continue
            case "end":
                return
        if now is None:
            raise ArchiveError("a run is missing")
        match kind:
            case "batch":
                records.decode(what)
                now.journal.append(what)
            case "signal":
                now.signals.append(what)
            case "event":
                now.unheard.append(what)
            case "wait":
                now.waits.append(what)
            case "fact":
                now.facts.append(what)
            case "logs":
                now.logs += what
            case "whole":
                run(now)
                now = None
            case _:
                raise ArchiveError(f"nobody here knows what '{kind}' is")
    raise ArchiveError("it ends in the midst")


class _Survey:
    """Looks at a whole archive before anything of it is brought in."""

    def __init__(self, has_key: Callable[[bytes], bool] | None) -> None:
        self._has_key = has_key
        self._flows: set[str] = set()
        self._flow_of: dict[str, str] = {}
        self._children: dict[str, list[str]] = {}
        """By live run those that it waits for."""
        self._locked: dict[str, str] = {}
        """Live runs with something sealed by a key that is not here, with its id."""

    def flow(self, content_hash: str, _name: str, _definition: bytes) -> None:
        self._flows.add(content_hash)

    def blob(self, name: str, data: bytes) -> None:
        if hashlib.sha256(data).hexdigest() != name:
            raise ArchiveError(f"the output {name[:12]}… is not what it was")

    def run(self, run: _Run) -> None:
        row = run.row
        self._flow_of[row.id] = row.flow_hash
        if row.status not in LIVE:
            return
        self._children[row.id] = awaited_children(run.journal)
        if self._has_key is not None:
            for sealed in sealed_in(row, run.journal):
                if not self._has_key(key_of(sealed)):
                    self._locked[row.id] = key_of(sealed).hex()

    def refuse(self, store: Store) -> None:
        """Refuse an archive with runs that cannot be carried; names all of them.

        Raises:
            ArchiveError: there are such.
        """
        wrong: list[str] = []
        for run_id, flow in self._flow_of.items():
            known = store.run(run_id)
            if known is not None and known.id == run_id:
                continue
            if flow not in self._flows and store.flow(flow) is None:
                wrong.append(f"run {run_id}: the version of its flow is missing")
            wrong += [
                f"run {run_id} waits for run {child}, which is neither in the archive nor here"
                for child in self._children.get(run_id, ())
                if child not in self._flow_of and store.run(child) is None
            ]
            if run_id in self._locked:
                wrong.append(
                    f"run {run_id} has sensitive values that were encrypted by the key "
                    f"{self._locked[run_id]}, which is not here"
                )
        if wrong:
            raise ArchiveError("\n  ".join(["nothing was brought in:", *wrong]))


class _Bringing:
    """Brings run after run into a store."""

    def __init__(self, store: Store, live: bool) -> None:
        self._store = store
        self._live = live
        self._after = 0
        self.done = Imported([], [], [], [])

    def begin(self, made_at: float) -> None:
        """Have what runs wait for begin where the archive was made."""
        self._after = up_to(self._store, made_at)

    def blob(self, _name: str, data: bytes) -> None:
        """Keep a large output."""
        self._store.blobs().put(data)

    def run(self, run: _Run) -> None:
        """Bring a run, unless it is here."""
        row, store, done = run.row, self._store, self.done
        known = store.run(row.id)
        if known is not None and known.id == row.id:
            done.known.append(row.id)
            return
        row = msgspec.structs.replace(row, owner=None, crashes=0)
        if row.key is not None and store.run_by_key(row.flow, row.key) is not None:
            row = msgspec.structs.replace(row, key=None)
            done.without_key.append(row.id)
        journal = run.journal
        if row.status in LIVE:
            journal = moved_journal(journal, self._after, run.unheard)
            row, more = at_rest(row, time.time(), live=self._live)
            journal += more
            if row.status == "paused":
                done.paused.append(row.id)
        self._commit(self._writes(run, row, journal))
        done.brought.append(row.id)

    def _writes(self, run: _Run, row: RunRow, journal: list[bytes]) -> Iterator[Write]:
        yield Accept(row)
        for sequence, batch in enumerate(journal):
            yield Append(row.id, sequence, batch)
        for task, at, level, message, data in run.logs:
            yield Log(row.id, task, at, level, message, data)
        for id, name, payload, at, source in run.signals:
            yield Emit(Event(id, name, payload, at, source, row.id))
        for path, name, signal, member, digest in run.waits:
            yield Subscribe(Subscription(row.id, path, name, signal, member, digest, self._after))
        for kind, key, value, expires_at in run.facts:
            yield Keep(Fact(kind, key, value, expires_at))

    def _commit(self, writes: Iterator[Write]) -> None:
        done = threading.Event()
        failed: list[StoreError | None] = []

        def told(error: StoreError | None) -> None:
            failed.append(error)
            done.set()

        for write in writes:
            self._store.submit(write)
        self._store.when_durable(told)
        done.wait()
        if failed[0] is not None:
            raise failed[0]
