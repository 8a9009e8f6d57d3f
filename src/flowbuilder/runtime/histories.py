"""Histories of loops: the last rounds are kept, what lies before them goes.

Rounds that end between two flushes and are superseded by then are not
written at all; rounds that were written are taken out of the journal when it
has grown to twice of what is left of it, so that a loop costs as much in its
last round as in its first.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core import records, values
from flowbuilder.core.errors import StoreError
from flowbuilder.core.records import (
    NULL,
    Armed,
    Collected,
    Compacted,
    Ended,
    EventTaken,
    Record,
    RegionEnded,
    RoundEnded,
)
from flowbuilder.core.rounds import is_superseded, loops_around, round_path
from flowbuilder.core.values import is_sealed
from flowbuilder.storage.api import Compact

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from flowbuilder.runtime.loop import Loop
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import RunState

LEAST: Final = 64 * 1024
"""Bytes of journal for which nothing is done."""
PIECE: Final = 1024 * 1024
"""Bytes of a collected list that are put together to one record."""


class History:
    """What a run with loops knows of its journal."""

    __slots__ = ("busy", "kept", "loops", "size")

    def __init__(self) -> None:
        self.loops: dict[str, Loop] = {}
        """Those that go on, by path."""
        self.size = 0
        """Bytes that came since the journal was last compacted."""
        self.kept = 0
        """Bytes that were left of it then."""
        self.busy = False


class Histories:
    """Keeps the journals of runs with loops small."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._rounds = machine.config.limits.loop_rounds

    def begin(self, run: RunState, loop: Loop) -> None:
        """Take in that a loop goes on."""
        history = run.history
        if history is None:
            history = run.history = History()
            if run.recovered is not None:
                history.kept, history.size = run.recovered.sizes
        history.loops[loop.path] = loop

    @staticmethod
    def end(run: RunState, loop: Loop) -> None:
        """Take in that a loop has ended; nobody needs any more what it collected."""
        if run.history is not None:
            run.history.loops.pop(loop.path, None)

    def before_flush(self, run: RunState) -> None:
        """Make a run's records complete, and leave out what they supersede themselves."""
        history = run.history
        assert history is not None
        kept: dict[str, int] = {}
        for loop in history.loops.values():
            self.write_collected(run, loop)
            if loop.fresh > self._rounds and not loop.is_undone:
                kept[loop.path] = loop.round - self._rounds + 1
            loop.fresh = 0
        if kept:
            run.records = list(_needed(run.records, kept))

    def write_collected(self, run: RunState, loop: Loop) -> None:
        """Record what was collected and is not recorded yet."""
        if loop.covered > loop.written:
            part = values.encode(loop.collected[loop.written : loop.covered])
            if loop.sensitive:
                part = self._machine.sealing.seal(run.id, round_path(loop.path, loop.round), part)
            run.records.append(Collected(loop.path, loop.round, msgspec.Raw(part)))
            loop.written = loop.covered

    def written(self, run: RunState, size: int) -> None:
        """Take in that a batch was handed to the store, and compact the journal when it has grown."""
        history = run.history
        assert history is not None
        history.size += size
        if history.size > max(LEAST, history.kept) and not history.busy and not run.ended:
            history.busy = True
            self._machine.committer.when_durable(run, functools.partial(self._compact_soon, run))

    def _compact_soon(self, run: RunState, error: Exception | None) -> None:
        if error is None and not run.lost and not self._machine.stopping:
            self._machine.recovery.in_background(self._compact(run))
        elif run.history is not None:
            run.history.busy = False

    async def _compact(self, run: RunState) -> None:
        machine, history = self._machine, run.history
        assert history is not None
        history.size = 0
        try:
            read = functools.partial(machine.store.journal, run.id)
            taken = None if run.taken is None else run.taken.events()
            found = await machine.in_thread(lambda: compacted(read(), self._rounds, taken))
            if found is not None and not run.lost:
                through, data = found
                history.kept = len(data)
                machine.store.submit(Compact(run.id, through, data))
        except StoreError:
            pass  # it is tried again when it has grown on
        finally:
            history.busy = False


def compacted(
    batches: Sequence[bytes], rounds: int, taken: Container[int] | None = None
) -> tuple[int, bytes] | None:
    """Return the number of the last batch of a journal, and one batch that says as much as all of them.

    Of each loop the last `rounds` rounds are left, and what was collected of
    one that goes on; of one that has done what may have to be undone, all.
    Which events were taken in rounds that go stays known: of those in `taken`,
    or of all, as long as nobody knows which a later wait may still meet.
    """
    if not batches:
        return None
    found = [record for batch in batches for record in records.decode(batch)]
    through = len(batches) - 1
    if type(found[0]) is Compacted:
        through += found[0].through
    last: dict[str, int] = {}
    over: set[str] = set()
    for record in found:
        if type(record) is RoundEnded:
            last[record.path] = max(record.round, last.get(record.path, 0))
        elif type(record) is Ended and record.path in last:
            over.add(record.path)
    kept = {path: number - rounds + 1 for path, number in last.items()}
    for record in found:
        if type(record) is Armed:
            for path in loops_around(record.path):
                kept.pop(path, None)
    left = [
        record
        for record in _needed(found, kept, taken)
        if type(record) is not Compacted and not (type(record) is Collected and record.path in over)
    ]
    return through, records.encode([Compacted(through), *_merged(left)])


def _needed(
    found: Iterable[Record], kept: Mapping[str, int], taken: Container[int] | None = None
) -> Iterator[Record]:
    """Yield records that do not lie in superseded rounds; of what was taken there, that it was."""
    for record in found:
        if not _is_superseded(record, kept):
            yield record
        elif type(record) is EventTaken and not record.signal and (taken is None or record.number in taken):
            yield msgspec.structs.replace(record, payload=NULL)


def _is_superseded(record: Record, kept: Mapping[str, int]) -> bool:
    if type(record) is RegionEnded:
        return is_superseded(record.paths[0], kept)
    path: Any = getattr(record, "path", None)
    if path is None:
        return False
    if type(record) is RoundEnded and record.round < kept.get(path, 0):
        return True
    return is_superseded(path, kept)


def _merged(left: list[Record]) -> Iterator[Record]:
    """Yield records, with what a loop collected piece by piece put together; pieces keep their order."""
    pieces: dict[str, list[Collected]] = {}
    for record in left:
        if type(record) is Collected:
            pieces.setdefault(record.path, []).append(record)
        else:
            yield record
    for mine in pieces.values():
        some: list[Collected] = []
        for piece in mine:
            alone = piece.blob is not None or is_sealed(piece.output)
            if alone or sum(len(one.output) for one in some) > PIECE:
                yield from _as_one(some)
                some = []
            if alone:
                yield piece
            else:
                some.append(piece)
        yield from _as_one(some)


def _as_one(pieces: list[Collected]) -> Iterator[Collected]:
    if len(pieces) < 2:
        yield from pieces
        return
    whole = [value for piece in pieces for value in values.decode(piece.output)]
    yield msgspec.structs.replace(pieces[-1], output=msgspec.Raw(values.encode(whole)))
