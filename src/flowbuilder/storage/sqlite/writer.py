"""The writer: one thread that commits what has gathered, group by group.

Whoever submits appends to a list and goes on; only a sleeping writer is rung
for.  While a commit is in progress, what arrives gathers for the next, so
that a lone write is flushed at once and a thousand share a flush.

A group that nobody waits for is left to gather for a moment (`_GATHER`), so
that an `Accept` and what follows it are one commit and not two.

Somebody who is alone need not wait for the thread to wake, to commit and to
wake the loop: while the thread sleeps and commits are short, the caller's own
thread commits (`hand_over`).  One of the two has the turn, never both.

After a failed commit nothing is kept that was submitted before `lost` is
called: a write must not be kept whose forerunner was lost.
"""

from __future__ import annotations

import contextlib
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol, TypeVar

from flowbuilder.core.errors import StoreError
from flowbuilder.storage.api import Accept, Append, Change, Compact, Forget, Keep, KeyTaken, Log, Statistic
from flowbuilder.storage.events import Emit, Subscribe, Take, Unsubscribe
from flowbuilder.storage.sqlite.faults import as_store_error
from flowbuilder.storage.sqlite.group import Group, Item, Job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import apsw

    from flowbuilder.storage.api import Done

_GATHER = 0.05
"""Seconds that writes gather which nobody waits for; `durability: none` promises 0.1."""
_SHORT = 0.001
"""Seconds that a commit may hold a caller's thread, as a loop may not be held for long."""
_PATIENCE = 100
"""Times as long as a commit that took longer, in which only the writer's thread commits: slow disks hold a loop
for a hundredth of its time at most."""
_MOST = 10_000
"""Items after which a group ends with the next one that somebody waits for: a tenth of a second's work."""
_UNAWAITED = frozenset(
    {Accept, Append, Compact, Change, Log, Statistic, Keep, Forget, Emit, Subscribe, Unsubscribe, Take}
)
_AWAKE, _DOZING, _ASLEEP, _ENDED = 0, 1, 2, 3

T = TypeVar("T")


class Contended(Exception):
    """Another process is in the way: the group is as it was, and is to be committed with more patience."""


class Committer(Protocol):
    """Turns a group into a transaction."""

    def commit(self, group: Group, *, patient: bool = True) -> dict[str, str]:
        """Commit all of the group or raise; returns refused runs → holders of their keys.

        Raises:
            Contended: if it is not `patient`, and would have to wait for another process.
        """
        ...

    @property
    def contended(self) -> bool:
        """Whether a commit may take long: others wrote a short while ago, or nothing is open yet."""
        ...

    def between(self) -> None:
        """Do upkeep that cannot wait until there is nothing else to do, but for which no group should wait."""
        ...

    @property
    def has_upkeep(self) -> bool:
        """Whether `idle` should be called soon."""
        ...

    def idle(self) -> float | None:
        """Do some upkeep, as nothing has gathered; returns seconds until there is more, or None."""
        ...

    def settle(self, cursor: apsw.Cursor) -> None:
        """Do upkeep that could wait, within the transaction that is open."""
        ...

    def abandon(self) -> None:
        """Give the connection up: what it was asked to commit failed."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


class Writer:
    """Owns the writing connection, through its committer, and the thread that uses it.

    Args:
        committer: used on the writer's thread only.
        path: for messages.
    """

    def __init__(self, committer: Committer, path: Path) -> None:
        self._committer = committer
        self._path = path
        # One list for good: taking the first n and deleting them are one step each
        # under the interpreter's lock, so an append between them is never lost.
        self._items: list[Item] = []
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._state = _AWAKE
        self._closing = False
        self._abandoned = False
        self._guard = threading.Lock()
        """Held while items are taken or dropped."""
        self._turn = threading.Lock()
        """Held by the thread while it is awake, and by whoever commits while it sleeps."""
        self._unfinished: Group | None = None
        """What the caller's thread began with and left to the writer's."""
        self._long_until = 0.0
        """Until when nobody commits on a thread of his own, since a commit took long."""
        self._failure: StoreError | None = None
        self._lost: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="flowbuilder-writer", daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> None:
        """Add an item to the group that is gathering."""
        self._items.append(item)
        if self._state == _ASLEEP:
            self._state = _AWAKE
            self._bell.put(None)

    def demand(self, item: Item) -> None:
        """Add an item that somebody waits for: the group is committed at once."""
        self._items.append(item)
        if self._state == _ENDED:
            self._refuse()
        elif self._state:
            self._state = _AWAKE
            self._bell.put(None)

    def hand_over(self, items: list[Item], *, alone: bool) -> None:
        """Add items, the last of which waits; `alone`: the caller may commit them, if the thread sleeps."""
        self._items.extend(items)
        if alone and self._state == _ASLEEP and self._turn.acquire(blocking=False):
            try:
                if self._commit_here() and not self._items and not self._committer.has_upkeep:
                    return
            finally:
                self._turn.release()
        if self._state == _ENDED:
            self._refuse()
        elif self._state:
            self._state = _AWAKE
            self._bell.put(None)

    def call(self, work: Callable[[apsw.Cursor], T]) -> T:
        """Run `work` in the next group's transaction; returns its result when that is on disk.

        Raises:
            StoreError: if the group failed.
            Exception: what `work` raised; then nothing of it is kept.
        """
        finished = threading.Event()
        job = Job(work, finished.set)
        self.demand(job)
        finished.wait()
        if job.error is not None:
            raise job.error
        result: T = job.result
        return result

    def lost(self) -> frozenset[str]:
        """Return the runs that lost writes, and keep writes from here on again."""
        if self._failure is None:
            return frozenset()
        behind = Group()
        with self._guard:
            behind.add(self._take())
            error, self._failure = self._failure, None
            found, self._lost = frozenset(self._lost | behind.runs()), set()
        if error is not None:
            _tell(behind, error)
        return found

    def flush(self) -> None:
        """Have upkeep done that could wait, and all that was submitted committed."""
        self.call(self._committer.settle)

    def close(self) -> None:
        """Commit what has gathered and end the thread; waits for both."""
        self._closing = True
        self._bell.put(None)
        self._thread.join()

    def abandon(self) -> None:
        """End the thread without committing what has gathered; what is being committed is waited for."""
        self._abandoned = True
        self.close()

    def _refuse(self) -> None:
        """Tell whoever comes after the end: nobody waits for ever."""
        late = Group()
        with self._guard:
            late.add(self._take())
        _tell(late, StoreError(f"the store {self._path} is closed"))

    # -- on the thread that has the turn ------------------------------------------

    def _commit_here(self) -> bool:
        """Commit what has gathered on the caller's thread; False if that is left to the writer's own."""
        started = time.perf_counter()
        if started < self._long_until or self._failure is not None or self._closing:
            return False
        if self._committer.contended:
            return False
        group = Group()
        with self._guard:
            group.add(self._take(whole=True))
        try:
            self._commit(group, patient=False)
        except Contended:
            self._unfinished = group
            return False
        except BaseException as error:  # a Ctrl-C on the caller's thread: nobody may wait for ever
            self._fail(group, as_store_error(error, self._path))
            raise
        taken = time.perf_counter() - started
        if taken > _SHORT:
            self._long_until = started + _PATIENCE * taken
        return True

    # -- on the writer's thread -------------------------------------------------

    def _run(self) -> None:
        try:
            with self._turn:
                while True:
                    group = self._next()
                    if group is None:
                        break
                    self._commit(group)
                    del group  # it may be large, and the next may be long in coming
                    self._committer.between()
        finally:
            self._committer.close()
            self._state = _ENDED
            self._refuse()

    def _next(self) -> Group | None:
        """Return the next group, or None at the end; sleeps while there is nothing to do."""
        group = Group()
        while True:
            if self._abandoned:
                return None
            with self._guard:
                unfinished, self._unfinished = self._unfinished, None
                if unfinished is not None:  # from while we slept: it is as it will be, and ours is empty
                    group = unfinished
                taken = self._take(whole=not self._closing) if unfinished is None else []
                group.add(taken)
                failure = self._failure
                if failure is not None:
                    self._lost |= group.runs()
            if failure is not None:
                _tell(group, failure)
                group = Group()
            if (
                group.awaited
                or (unfinished is not None and failure is None)
                or (self._closing and (taken or group.writes))
            ):
                return group
            if self._closing:
                return None
            if group.writes:
                if not self._doze():
                    return group
            elif not taken:
                self._sleep()

    def _doze(self) -> bool:
        """Let a group that nobody waits for gather; returns False when it is time to commit it."""
        self._state = _DOZING
        try:
            # Whoever came to wait before we dozed did not ring.
            if not self._closing and all(type(item) in _UNAWAITED for item in self._items[:]):
                self._bell.get(timeout=_GATHER)
            return True
        except Empty:
            return False
        finally:
            self._state = _AWAKE

    def _sleep(self) -> None:
        wait = self._committer.idle()
        self._state = _ASLEEP
        if not self._items and not self._closing:
            self._turn.release()
            try:
                with contextlib.suppress(Empty):
                    self._bell.get(timeout=wait)
            finally:
                self._turn.acquire()
        self._state = _AWAKE

    def _take(self, *, whole: bool = False) -> list[Item]:
        """Take what has gathered; `whole`: up to the last item that somebody waits for, if there is one.

        Then what is submitted between two calls of `when_durable` is of one
        group, also when the writer comes by in the middle of it.
        """
        items = self._items
        count = len(items)
        if whole and (count > _MOST or (count and type(items[-1]) in _UNAWAITED)):
            last = next((at for at in range(count, 0, -1) if type(items[at - 1]) not in _UNAWAITED), 0)
            if last > _MOST:  # a group at least, and then as much as makes a short transaction
                last = next(at for at in range(_MOST, last + 1) if type(items[at - 1]) not in _UNAWAITED)
            count = last or count
        taken = items[:count]
        del items[:count]
        return taken

    def _commit(self, group: Group, *, patient: bool = True) -> None:
        try:
            taken = self._committer.commit(group, patient=patient)
        except Contended:
            raise
        except Exception as error:  # whatever it is, nobody may wait for ever
            self._fail(group, as_store_error(error, self._path))
            return
        for done, keyed in group.waiters:
            refused = {run_id: taken[run_id] for run_id in keyed if run_id in taken} if taken else None
            _call(done, KeyTaken(refused) if refused else None)
        for job in group.jobs:
            job.finished()

    def _fail(self, group: Group, error: StoreError) -> None:
        self._committer.abandon()
        behind = Group()
        with self._guard:
            behind.add(self._take())
            if group.rests or behind.rests:
                self._failure = error
                self._lost |= group.runs() | behind.runs()
        _tell(group, error)
        _tell(behind, error)


def _tell(group: Group, error: StoreError) -> None:
    """Tell whoever waits for a group that it is lost; holds no lock, as they may do what they like."""
    for done, _ in group.waiters:
        _call(done, error)
    for job in group.jobs:
        job.error = error
        job.finished()


def _call(done: Done, error: StoreError | None) -> None:
    """Call `done`; one that fails, as its loop is closed already, must not end the thread for all others."""
    try:  # noqa: SIM105 - on the way of every commit
        done(error)
    except Exception:
        pass
