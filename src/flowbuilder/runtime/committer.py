"""Hands what happened to the store, and holds back what must wait until it is on disk.

Records of a run are gathered and flushed once a turn of the loop: each run
that has something makes one batch, all batches of a turn are one group, and
the store makes one commit of however many groups have come by then.

After a failed commit nothing that ran ahead survives: the runs concerned are
dropped from memory and read again from disk.  A failed flush is never just
repeated, since the system may have thrown the written pages away.
"""

from __future__ import annotations

import copy
import functools
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core import records
from flowbuilder.runtime.on_disk import settle
from flowbuilder.runtime.scheduler import SLICE
from flowbuilder.storage.api import Accept, Append, Change, KeyTaken

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from flowbuilder.core.errors import StoreError
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Execution, RunState
    from flowbuilder.storage.api import Write

GROUP_RUNS = 1000
"""Runs that are handed over as one: of a hundred thousand, the first need not wait for the last."""
FEW_RECORDS = 100
"""Records that may be written while the loop waits: more are left to the writer's thread."""
LOOSE_DELAY = 0.1
"""Seconds after which what a flow with `durability: none` did is flushed."""


_FURTHER: Final = frozenset({records.Ended, records.RegionEnded, records.RoundEnded})
"""Records of what is done for good: a run that writes one has come further."""


class Committer:
    """The engine's end of the journal.

    Args:
        machine: the engine's parts.
        lost: called with runs whose flush failed, and the error.
    """

    def __init__(self, machine: Machine, lost: Callable[[list[RunState], StoreError], None]) -> None:
        self._loop = machine.loop
        self._store = machine.store
        self._scheduler = machine.scheduler
        self._launch = machine.calls.launch
        self._live = machine.runs.live
        self._lost = lost
        self._dirty: list[RunState] = []
        self._loose: list[RunState] = []
        self._thread = threading.get_ident()
        self._let_in = machine.runs.admission.let_in
        self._machine = machine
        self._handing: _Report | None = None
        """Of what is being handed over."""
        self._flushing = False
        self._loose_last: RunState | None = None
        """Of those that nothing waits for, the one that was handed over last."""
        self._held_back: set[RunState] = set()
        """Of those that nothing waits for, the ones whose large values are being kept."""
        self.outstanding = 0
        """How many flushes of runs wait for the disk."""

    @property
    def unflushed(self) -> int:
        """How many runs have something that is not on disk, those that are still to be handed over among them."""
        return self.outstanding + len(self._dirty)

    def touch(self, run: RunState) -> None:
        """Note that a run has something to be flushed."""
        if run.dirty:
            return
        run.dirty = True
        if run.plan.durability == "none":
            if not self._loose:
                self._loop.call_later(LOOSE_DELAY, self._flush_loose)
            self._loose.append(run)
            return
        if not self._dirty and not self._flushing:
            self._loop.call_soon(self.flush)
        self._dirty.append(run)

    def resume(self, run: RunState) -> None:
        """Flush a run whose large values have all been kept."""
        run.dirty = False
        self._held_back.discard(run)
        self.touch(run)

    def change(self, run: RunState, **values: Any) -> None:
        """Give columns of a run's row new values with its next flush."""
        row = run.row
        for name, value in values.items():
            setattr(row, name, value)
        if run.accepted:
            run.changed = values if run.changed is None else {**run.changed, **values}
        self.touch(run)

    def gate(self, execution: Execution) -> bool:
        """Tell whether an effect may start now; if not, it is launched when it may.

        It may when all that its run has recorded is on disk: so no effect
        rests on a value that a crash could take back.  An element of a map
        rests on what was recorded before the map began, not on its siblings;
        where it goes round, each round rests on those before it.
        """
        run = execution.frame.run
        if run.plan.durability == "none":
            return True
        # a round rests on those before it; that an effect is armed, or has begun, is on disk too
        task = execution.task
        whole = (
            execution.map is None
            or execution.loop is not None
            or task.undo is not None
            or task.on_crash == "fail"
        )
        target = self.next_flush(run) if whole else execution.map.flush  # type: ignore[union-attr]
        if run.durable >= target:
            return True
        if run.gates is None:
            run.gates = []
        run.gates.append((target, execution))
        return False

    def next_flush(self, run: RunState) -> int:
        """Return the number of the flush that holds all that the run has recorded so far."""
        return run.flushes + 1 if run.dirty else run.flushes

    def when_durable(self, run: RunState, done: Callable[[Exception | None], None]) -> None:
        """Call `done` when all that the run has recorded is on disk; at once if nothing waits for it."""
        if run.plan.durability == "none" or run.durable == self.next_flush(run):
            done(None)
            return
        if run.waiters is None:
            run.waiters = []
        run.waiters.append((self.next_flush(run), done))

    def when_on_disk(self, run: RunState, done: Callable[[Exception | None], None]) -> None:
        """Call `done` when all that the run has recorded is on disk, also where nothing waits for that."""
        if run.plan.durability != "none" or run.durable == self.next_flush(run):
            self.when_durable(run, done)
            return
        self._loop.call_soon(self._flush_loose)
        if run.waiters is None:
            run.waiters = []
        run.waiters.append((self.next_flush(run), done))

    def flush(self) -> None:
        """Hand all that was touched to the store, as one group.

        A store that was quick has told already, and what that has set going
        follows at once, for no longer than a slice.
        """
        if self._flushing:
            return
        self._flushing = True
        until = 0.0
        try:
            while self._dirty:
                dirty, self._dirty = self._dirty, []
                for start in range(0, len(dirty), GROUP_RUNS):
                    self._hand_over(dirty[start : start + GROUP_RUNS])
                now = time.perf_counter()
                until = until or now + SLICE
                if now > until:
                    break
        finally:
            self._flushing = False
            if self._dirty:
                self._loop.call_soon(self.flush)

    def flush_all(self) -> None:
        """Hand over also what would have waited for its time."""
        self.flush()
        self._flush_loose()

    def _flush_loose(self) -> None:
        if self._loose:
            dirty, self._loose = self._loose, []
            self._held_back.update(run for run in dirty if run.blobs)
            self._loose_last = dirty[-1]
            self._hand_over(dirty, hurry=False)

    async def kept(self) -> None:
        """Return when all that nothing waits for is on disk too: who looks into the store is to find it.

        Raises:
            StoreError: some of it is lost.
        """
        self._flush_loose()
        self._held_back = {run for run in self._held_back if not run.lost}
        waiting = list(self._held_back)
        if self._loose_last is not None and not self._loose_last.lost:
            waiting.append(self._loose_last)
        for run in waiting:
            if run.durable != self.next_flush(run):
                done: asyncio.Future[None] = self._loop.create_future()
                self.when_on_disk(run, functools.partial(settle, done))
                await done

    def _hand_over(self, dirty: list[RunState], *, hurry: bool = True) -> None:
        group: list[tuple[RunState, int]] = []
        writes: list[Write] = []
        few = True
        for run in dirty:
            if run.blobs:
                continue  # it stays dirty; `resume` brings it back when its large values are kept
            run.dirty = False
            if run.lost:
                continue
            few = few and len(run.records) <= FEW_RECORDS
            try:
                self._gather(run, writes)
            except Exception as error:  # its fault alone, and not that of those who are flushed with it
                run.records = []
                self._machine.phases.broken(run, error)
                continue
            group.append((run, run.flushes))
        if not group:
            self._let_in()
            return
        alone = few and hurry and len(group) == 1 and not self.outstanding and _only_waits(group[0][0])
        self.outstanding += len(group)
        report = self._handing = _Report(self, group)
        self._store.hand_over(writes, report, alone=alone)
        self._handing = None
        if report.has_come:
            self.report(group, report.error)

    def _gather(self, run: RunState, writes: list[Write]) -> None:
        """Put all that is new of a run into `writes`, or nothing where it cannot be encoded."""
        if run.history is not None:
            self._machine.histories.before_flush(run)
        batch = records.encode(run.records) if run.records else b""
        if not run.accepted:
            run.accepted = True
            run.changed = None
            writes.append(Accept(run.row))
            if not run.ended:
                run.row = run.context.row = copy.copy(run.row)  # what was submitted is the store's
        if run.records:
            if run.row.crashes and any(type(record) in _FURTHER for record in run.records):
                # it has come further than it was when its engine died: not what kills engines
                run.row.crashes = 0
                run.changed = {**(run.changed or {}), "crashes": 0}
            writes.append(Append(run.id, run.sequence, batch))
            run.sequence += 1
            run.records = []
            if run.history is not None:
                self._machine.histories.written(run, len(batch))
        if run.changed is not None:
            writes.append(Change(run.id, run.changed))
            run.changed = None
        if run.also is not None:
            writes.extend(run.also.values())
            run.also = None
        run.flushes += 1

    def report_and_flush(self, group: list[tuple[RunState, int]], error: StoreError | None) -> None:
        """Take in the fate of a group, and hand over at once what that has set going."""
        self.report(group, error)
        self.flush()

    def report(self, group: list[tuple[RunState, int]], error: StoreError | None) -> None:
        """Take in, on the loop, that a group is on disk or failed."""
        self.outstanding -= len(group)
        if error is not None and not isinstance(error, KeyTaken):
            affected = self._store.lost()
            runs = {run.id: run for run, _ in group}
            runs.update((id, run) for id in affected if (run := self._live.get(id)) is not None)
            self._lost(list(runs.values()), error)
        else:
            self._kept(group, error.taken if isinstance(error, KeyTaken) else {}, error)
        self._let_in()

    @staticmethod
    def _tell(run: RunState, durable: int) -> None:
        waiters = run.waiters
        assert waiters is not None
        if waiters[-1][0] <= durable:  # targets only grow: all of them, as a rule
            run.waiters = None
        else:
            run.waiters = [waiter for waiter in waiters if waiter[0] > durable]
            waiters = [waiter for waiter in waiters if waiter[0] <= durable]
        for _, done in waiters:
            done(None)

    def _kept(
        self, group: list[tuple[RunState, int]], refused: Mapping[str, str], error: StoreError | None
    ) -> None:
        """Take in that all of a group is on disk but the runs that were refused."""
        for run, flush in group:
            if refused and error is not None and run.id in refused:
                self._lost([run], error)
                continue
            run.durable = flush
            if run.gates is not None:
                self._open_gates(run)
            if run.waiters is not None:
                self._tell(run, flush)

    def _open_gates(self, run: RunState) -> None:
        gates = run.gates
        assert gates is not None
        durable = run.durable
        if len(gates) == 1:  # hot: benchmarks/calls.py
            if gates[0][0] <= durable:
                run.gates = None
                self._launch(gates[0][1])
                if run.ready or run.parked:
                    self._scheduler.pump(run)
            return
        open = [gate for gate in gates if gate[0] <= durable]
        if not open:
            return
        run.gates = [gate for gate in gates if gate[0] > durable] if len(open) < len(gates) else None
        for _, execution in open:
            self._launch(execution)
        if run.ready or run.parked:
            self._scheduler.pump(run)

    @property
    def on_loop(self) -> bool:
        """Whether the caller is on the engine's thread."""
        return threading.get_ident() == self._thread


def _only_waits(run: RunState) -> bool:
    """Tell whether a run has nothing to do before it is on disk, and somebody waits for that."""
    gates = len(run.gates) if run.gates is not None else 0
    return len(run.executions) == gates and (gates > 0 or run.waiters is not None)


class _Report:
    """Carries the fate of a group from the store's thread to the loop."""

    __slots__ = ("_committer", "_group", "error", "has_come")

    def __init__(self, committer: Committer, group: list[tuple[RunState, int]]) -> None:
        self._committer = committer
        self._group = group
        self.has_come = False
        """The store told before `hand_over` returned."""
        self.error: StoreError | None = None

    def __call__(self, error: StoreError | None) -> None:
        committer = self._committer
        if not committer.on_loop:
            committer._loop.call_soon_threadsafe(committer.report_and_flush, self._group, error)
        elif committer._handing is self:  # the store was quick: not in the midst of its work
            self.has_come, self.error = True, error
        else:
            committer.report(self._group, error)
