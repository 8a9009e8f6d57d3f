"""Runs in a file: written by `runs export`, brought into any store by `runs import`.

An archive is self-contained: rows, journals, logs, the versions of flows and
large outputs, the runs that a run has started; and of one that has not ended,
what it waits for, the signals that it has not taken, the events that its waits
have not looked at, and what is open to be decided.  Caches, limits and kept
values belong to a store, and stay there.

It is a line that says what it is, and then one frame after the other
(`frames.py`).  What is referred to stands before what refers to it, so that
neither side holds more than one run in memory; the last frame says how many
runs there were.  `importing.py` reads it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder import __version__
from flowbuilder.core import records
from flowbuilder.core.approvals import KIND as APPROVALS
from flowbuilder.core.errors import Conflict, StoreCorrupt
from flowbuilder.sdk.frames import END, HEAD, FrameWriter
from flowbuilder.storage.api import LIVE, RunFilter, RunRow
from flowbuilder.storage.blobs import names_in
from flowbuilder.storage.events import Event, EventFilter, Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowbuilder.storage.api import Store

MAGIC: Final = b"FLOWBUILDER RUNS\n"
FORMAT: Final = 1
"""The format that this release writes, and the newest that it reads."""
PAGE: Final = 1000
"""Log lines that make one frame; runs, events and facts that are read at once."""
TRIES: Final = 20
"""How often a run that is at work is read until it has stood still meanwhile."""
MANY: Final = 1_000_000
"""More than one run waits for."""


def export_runs(store: Store, run_ids: Iterable[str], file: IO[bytes]) -> int:
    """Write runs to a file, and those that they have started; returns how many.

    Raises:
        Conflict: one of them cannot be carried as it is at this moment; the file is no whole archive then.
        StoreError: something of them cannot be read; neither is it.
    """
    frames = FrameWriter(file, MAGIC)
    flows: set[str] = set()
    blobs: set[str] = set()
    count = 0
    frames.put(HEAD, {"format": FORMAT, "release": __version__, "made_at": time.time()})
    for run_id in _with_children(store, run_ids):
        found = _read(store, run_id)
        if found is None:
            continue  # it was deleted meanwhile
        _export_run(store, found, frames, flows, blobs)
        count += 1
    frames.put(END, count)
    return count


# -- reading a run as it stands ----------------------------------------------------------


class _Found(msgspec.Struct):
    """All of a run that lies in a store, as it stood at one moment."""

    row: RunRow
    journal: list[bytes]
    signals: Sequence[Event] = ()
    waits: Sequence[Subscription] = ()
    unheard: Sequence[tuple[str, Event]] = ()
    """Events that have come for a wait, by its path, which has not looked at them."""
    facts: Sequence[Any] = ()


def _with_children(store: Store, run_ids: Iterable[str]) -> Iterator[str]:
    """Yield ids, those of the runs that a run has started before its own; each once."""
    seen: set[str] = set()
    for wanted in run_ids:
        stack: list[tuple[str, Iterator[str]]] = []
        if wanted not in seen:
            seen.add(wanted)
            stack.append((wanted, _children(store, wanted)))
        while stack:
            run_id, children = stack[-1]
            child = next((child for child in children if child not in seen), None)
            if child is None:
                stack.pop()
                yield run_id
            else:
                seen.add(child)
                stack.append((child, _children(store, child)))


def _children(store: Store, run_id: str) -> Iterator[str]:
    before = None
    while page := store.runs(RunFilter(parent=run_id, before=before, limit=PAGE)):
        yield from (row.id for row in page)
        before = page[-1].id


def _read(store: Store, run_id: str) -> _Found | None:
    """Return a run as it stood at one moment.

    Raises:
        Conflict: it is too busy to stand still.
    """
    for _ in range(TRIES):
        row = store.run(run_id)
        if row is None:
            return None
        journal = store.journal(run_id)
        if row.status not in LIVE:
            return _Found(row, journal)
        _refuse_workspace(store, row)
        events = store.events()
        waits = events.subscriptions(run_id=run_id, limit=MANY)
        signals = list(_events(store, EventFilter(run_id=run_id, limit=PAGE)))
        unheard = [(wait.path, event) for wait in waits for event in _unheard(store, wait)]
        facts = store.facts().list(APPROVALS, prefix=f"{run_id}/", limit=MANY)
        if store.run(run_id) == row and len(store.journal(run_id)) == len(journal):
            return _Found(row, journal, signals, waits, unheard, facts)
    raise Conflict(f"run {run_id}", "it changes while it is read; `runs pause` has it stand still")


def _unheard(store: Store, wait: Subscription) -> Iterator[Event]:
    if wait.signal:
        return iter(())
    which = EventFilter((wait.name,), after=wait.after, limit=PAGE, member=wait.member, digest=wait.digest)
    return _events(store, which)


def _events(store: Store, which: EventFilter) -> Iterator[Event]:
    while page := store.events().find(which):
        yield from page
        which = msgspec.structs.replace(which, after=page[-1].number)


def _refuse_workspace(store: Store, row: RunRow) -> None:
    path = getattr(store, "path", None)
    folder = None if path is None else Path(f"{path}.workspaces") / row.id
    if folder is not None and folder.is_dir():
        raise Conflict(
            f"run {row.id}",
            f"a group of it is at work in a folder of this machine ({folder}); "
            "export it when the group has ended",
        )


# -- writing -------------------------------------------------------------------------------


def _export_run(store: Store, found: _Found, frames: FrameWriter, flows: set[str], blobs: set[str]) -> None:
    row, journal = found.row, found.journal
    if row.flow_hash not in flows:
        flows.add(row.flow_hash)
        if (definition := store.flow(row.flow_hash)) is not None:
            frames.put("flow", [row.flow_hash, row.flow, definition])
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
    for event in found.signals:
        frames.put("signal", [event.id, event.name, event.payload, event.at, event.source])
    for path, event in found.unheard:
        what = [path, event.number, event.id, event.name, event.payload, event.at, event.source]
        frames.put("event", what)
    for wait in found.waits:
        frames.put("wait", [wait.path, wait.name, wait.signal, wait.member, wait.digest])
    for fact in found.facts:
        frames.put("fact", [fact.kind, fact.key, fact.value, fact.expires_at])
    lines: list[Any] = []
    for _, line in store.logs(row.id):
        lines.append([line.task, line.at, line.level, line.message, line.data])
        if len(lines) == PAGE:
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
