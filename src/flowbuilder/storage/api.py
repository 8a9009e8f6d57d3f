"""The store protocol: what the engine asks of a place where journals live.

What a store promises is spelled out in `testing.StoreContract`, which every
store passes.  The engine's loop calls `submit` and `when_durable`, which never
block; a store commits what has gathered, in one group, on a thread of its own,
and tells the loop.  Everything else is called from worker threads and may block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from flowbuilder.core.errors import StoreError
from flowbuilder.storage.events import Emit, Events, Subscribe, Take, Unsubscribe

if TYPE_CHECKING:
    from flowbuilder.storage.lanes import Lanes
    from flowbuilder.storage.liveness import Liveness

RunStatus = Literal["queued", "running", "waiting", "paused", "succeeded", "failed", "cancelled"]
LOG_BYTES = 10_000_000
"""What is kept of the log of one task unless the settings say otherwise."""
LIVE_STATUSES: tuple[RunStatus, ...] = ("queued", "running", "waiting", "paused")
"""Those of a run that has not ended."""
LIVE: frozenset[str] = frozenset(LIVE_STATUSES)


class RunRow(msgspec.Struct, gc=False):
    """What people ask about a run, one row each.  Instants are seconds since 1970 UTC."""

    id: str
    flow: str
    flow_hash: str
    status: RunStatus
    created_at: float
    inputs: bytes
    """MessagePack of the inputs as checked, defaults filled in."""
    key: str | None = None
    priority: int = 50
    started_at: float | None = None
    ended_at: float | None = None
    wake_at: float | None = None
    """When a run that left memory is due again; the earliest of its timers."""
    owner: str | None = None
    """The engine that drives it; None when it waits in the store for anyone."""
    parent: str | None = None
    """The run whose task started this one."""
    result: bytes | None = None
    """MessagePack of the outputs (succeeded) or of the first error (failed, cancelled)."""
    crashes: int = 0
    """Engines that died with this run in memory since it last made progress."""
    labels: dict[str, str] = {}
    about: bytes | None = None
    """MessagePack of a mapping with what few runs have: what triggered it, what it was forked from, …"""
    lane: str | None = None
    """Where it needs a place to run (`storage.lanes`); it is `queued` until it has one."""
    deadline_at: float | None = None
    """By when it has ended; None where nothing says so, or where it was told to stop for that."""


class KeyTaken(StoreError):
    """Runs were not accepted, since their key belongs to another; all else of the group is kept.

    Handed to the `done` of the first `when_durable` behind the `Accept`.
    Whatever else was submitted for a refused run is dropped.
    """

    def __init__(self, taken: Mapping[str, str]) -> None:
        super().__init__("the key belongs to another run: " + ", ".join(sorted(set(taken.values()))))
        self.args = (dict(taken),)
        self.taken = dict(taken)
        """The id of the refused run → the id of the run that has the key."""


class Accept(msgspec.Struct, frozen=True, gc=False):
    """A new run.  Fails with `KeyTaken` in its own `done` if (flow, key) exists already.

    The row belongs to the store from `submit` on: change a copy, or submit a `Change`.
    """

    row: RunRow


class Append(msgspec.Struct, frozen=True, gc=False):
    """Records at the end of a run's journal: one encoded batch; `sequence` counts batches from 0."""

    run_id: str
    sequence: int
    data: bytes


class Compact(msgspec.Struct, frozen=True, gc=False):
    """One batch in place of all up to `through`, under that number.

    Does nothing where a batch of that number is not there any more: somebody
    else was faster, or the run is gone.  What was appended behind it stays.
    """

    run_id: str
    through: int
    data: bytes


class Change(msgspec.Struct, frozen=True, gc=False):
    """New values of some columns of a run's row."""

    run_id: str
    values: dict[str, Any]


class Log(msgspec.Struct, frozen=True, gc=False):
    """A line that a task wrote."""

    run_id: str
    task: str
    at: float
    level: str
    message: str
    data: bytes | None = None


class Statistic(msgspec.Struct, frozen=True, gc=False):
    """What one task's executions came to, to be added to what is known of it."""

    flow: str
    task: str
    duration: float
    output_bytes: int
    failed: bool
    items: int = 1


class Fact(msgspec.Struct, frozen=True, gc=False):
    """Something small that outlives a run: a cached output, the state of a limit, a schedule, a kept value."""

    kind: str
    """Whose it is: `cache`, `limit`, `schedule`, …"""
    key: str
    value: bytes
    """MessagePack."""
    expires_at: float | None = None
    """From when on it counts for nothing; upkeep deletes it some time later."""


class Keep(msgspec.Struct, frozen=True, gc=False):
    """A fact that holds from this group on, in place of one of the same kind and key."""

    fact: Fact


class Forget(msgspec.Struct, frozen=True, gc=False):
    """A fact that holds no longer."""

    kind: str
    key: str


Write = (
    Accept
    | Append
    | Compact
    | Change
    | Log
    | Statistic
    | Keep
    | Forget
    | Emit
    | Subscribe
    | Unsubscribe
    | Take
)

Done = Callable[[StoreError | None], None]
"""Called on the thread that commits; hand over to the loop yourself, once a group."""


class TaskStatistics(msgspec.Struct, frozen=True):
    """What is known of a task from earlier runs; `executions` 0 means defaults."""

    executions: int
    failures: int
    duration_p50: float
    duration_p95: float
    output_bytes: float
    items: float


class RunFilter(msgspec.Struct, frozen=True):
    """Which runs to list; newest first, `before` is the id to go on from.

    `since` and `until` mean the moments that ids carry (`core.ids.made_at`):
    from `since` on, before `until`.
    """

    flow: str | None = None
    status: tuple[RunStatus, ...] = ()
    since: float | None = None
    until: float | None = None
    parent: str | None = None
    before: str | None = None
    limit: int = 50
    labels: Mapping[str, str] = {}
    """A run has to have all of them."""


class Engine(msgspec.Struct, frozen=True):
    """An engine that has registered with a store."""

    id: str
    pid: int
    host: str
    started_at: float
    alive: bool
    """Its lock is held: the process lives."""


class Command(msgspec.Struct, frozen=True):
    """Something for the owner of a run to do: `cancel`, … with a MessagePack payload."""

    number: int
    run_id: str
    kind: str
    payload: bytes


class Order(msgspec.Struct, frozen=True):
    """What people want of runs, whoever drives them.

    The living owner of a run is told, by a command.  To a run that nobody
    alive owns it is done at once, in the store: by what is to stand in its
    journal and in its row, with no engine and no look at what it is made of.
    """

    kind: str
    """Of the command."""
    payload: bytes
    changes: Mapping[str, Any]
    """New values of columns of the row of a run at rest."""
    batch: bytes | None = None
    """What is added to the journal of a run at rest."""
    only: tuple[RunStatus, ...] = LIVE_STATUSES
    """Runs at rest that stand otherwise are left as they are."""
    due: float | None = None
    """Only for runs whose `deadline_at` has come at this moment, and once for each: it is cleared with the
    order.  One that has not begun begins at once, outside its lane, to end."""


class Steered(msgspec.Struct, frozen=True):
    """What became of an order: the ids of runs, each in one of the lists."""

    told: list[str]
    """A living engine owns them, and has a command now."""
    written: list[str]
    """Nobody alive owned them: it is done, and on disk."""
    left: list[str]
    """They have ended, or stand so that there was nothing to do, or there are none such."""
    ended: list[str] = []
    """They had not begun, waited for their turn, and never will: their cancel is their end."""


class Store(Protocol):
    """Where journals, runs, flows, logs and statistics live."""

    # -- writing: never blocks for long, called on the engine's loop ---------

    def submit(self, write: Write) -> None:
        """Add a write to the group that is gathering.  Writes of one caller keep their order."""
        ...

    def when_durable(self, done: Done) -> None:
        """Call `done(None)` when all that was submitted before is on disk.

        What one thread submits between two calls is kept or lost as a whole.
        After a failed commit `done(error)` is called for each that waited for
        it or for anything submitted behind it; nothing of that is kept, and
        `lost` tells which runs are affected.  `KeyTaken` is no failed commit:
        everything but the runs that it names is kept.
        """
        ...

    def hand_over(self, writes: Sequence[Write], done: Done, *, alone: bool = False) -> None:
        """Submit all of `writes`, then have `done` called as `when_durable` does.

        Args:
            writes: in order.
            done: may be called before this returns.
            alone: nobody else waits for the disk, and there is nothing else to do meanwhile.  A store
                whose last commits were short may then commit on this thread, which saves two
                handings from thread to thread.
        """
        ...

    def lost(self) -> frozenset[str]:
        """Return the runs that had writes in a failed commit or behind it, and accept writes again.

        Until this is called, on the thread that submits, all that is
        submitted is dropped with the same error: a write must not be kept
        whose forerunner was lost.  Whoever calls it must forget what it knows
        of these runs and read them again.  Empty where nothing has failed.
        """
        ...

    # -- reading and rare writes: block; called from worker threads ----------

    def open(self, engine: str | None) -> None:
        """Open the store, making or migrating it; `engine` registers as owner of runs.

        Without an engine the store is opened for readers, beside whoever
        writes: no lock is taken, and no file is made.  Rare writes (`send`,
        `delete_runs`, …) work all the same.

        Raises:
            StoreTooNew, StoreCorrupt, StoreReadOnly, StoreFull.
            NotFound: without an engine, where there is no store.
        """
        ...

    def close(self) -> None:
        """Commit what has gathered, give up the engine's lock, close the files."""
        ...

    def run(self, run_id: str) -> RunRow | None:
        """Return a run by its id or by an unambiguous prefix of it."""
        ...

    def run_by_key(self, flow: str, key: str) -> RunRow | None:
        """Return the run that was started with this key."""
        ...

    def runs(self, which: RunFilter) -> list[RunRow]:
        """List runs, newest first; a filter that no index serves does not exist."""
        ...

    def journal(self, run_id: str) -> list[bytes]:
        """Return the batches of a run's journal in order."""
        ...

    def put_flow(self, content_hash: str, name: str, definition: bytes) -> None:
        """Keep a version of a flow; does nothing where it is kept already."""
        ...

    def flow(self, content_hash: str) -> bytes | None:
        """Return a kept version of a flow."""
        ...

    def logs(self, run_id: str, task: str | None = None, after: int = 0) -> list[tuple[int, Log]]:
        """Return log lines in order, each with its number; those behind `after`."""
        ...

    def statistics(self, flow: str) -> dict[str, TaskStatistics]:
        """Return what is known of a flow's tasks, by task path."""
        ...

    def statistics_epoch(self, flow: str) -> int:
        """Return a number that changes when statistics have changed by an order of magnitude."""
        ...

    # -- several engines on one store ----------------------------------------

    def engines(self) -> list[Engine]:
        """List registered engines and whether they live."""
        ...

    def take_over(self, limit: int = 1000) -> list[RunRow]:
        """Make this engine the owner of live runs whose owner is dead, and return them.

        Also of runs that are `queued` or `running` and have no owner; those that are queued in a lane are
        left to `Lanes.take`.  One
        engine gets each run, however many ask at once.  `crashes` is counted
        up for runs that were `running` in an engine that did not `close`.
        What an engine of this one's name left behind is as good as any other's.
        """
        ...

    def claim(self, run_id: str) -> RunRow | None:
        """Make this engine the owner of a live run that nobody else alive owns; None if somebody does."""
        ...

    def due(self, now: float, limit: int = 1000) -> list[RunRow]:
        """Claim waiting runs that nobody owns and whose `wake_at` has come."""
        ...

    def next_wake(self) -> float | None:
        """Return the earliest `wake_at` of a waiting run that nobody owns."""
        ...

    def send(self, run_id: str, kind: str, payload: bytes) -> None:
        """Leave a command for the owner of a run, and wake it; where it has none, all engines.

        Whoever comes to own the run receives it.  For a run that has ended
        nothing is left.

        Raises:
            NotFound: if there is no such run.
        """
        ...

    def receive(self) -> list[Command]:
        """Return commands for runs of this engine, each once until `settle`d.

        A live run without an owner that has commands becomes this engine's
        own: the run may be none that it has in memory.
        """
        ...

    def settle(self, numbers: Iterable[int]) -> None:
        """Forget commands that were carried out."""
        ...

    def on_command(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, on any thread, when there is a command for this engine, or an event for anybody."""
        ...

    # -- upkeep -----------------------------------------------------------------

    def delete_runs(self, run_ids: Sequence[str]) -> int:
        """Delete ended runs with all that belongs to them; returns how many there were."""
        ...

    def retain(self, *, older_than: float, keep: int | None = None, limit: int = 500) -> int:
        """Delete a step's worth of ended runs by age and count; 0 when nothing is left to delete.

        Those go that ended before `older_than`, and those that are not among
        the `keep` newest of all ended runs.
        """
        ...

    def sweep_blobs(self, grace: float) -> int:
        """Delete large values that no journal has referred to for `grace` seconds; returns how many.

        Looks at every journal where there is any such value: to be done now and then.
        """
        ...

    def blobs(self) -> Blobs:
        """Return the store's blobs."""
        ...

    def facts(self) -> Facts:
        """Return what the store keeps beyond runs."""
        ...

    def lanes(self) -> Lanes:
        """Return who has a place to run, and who waits for one."""
        ...

    def liveness(self) -> Liveness:
        """Return what looks over all live runs."""
        ...

    def events(self) -> Events:
        """Return the store's events, and who waits for them."""
        ...

    def steering(self) -> Steering:
        """Return what acts on many runs at once, wherever they are."""
        ...


class Steering(Protocol):
    """Acting on runs, many at once, beside whatever engines work on them.  Works without an engine, too."""

    def steer(self, run_ids: Sequence[str], order: Order) -> Steered:
        """Carry out an order for so many runs, all or nothing; what this returns is on disk.

        A run at rest loses its owner, and counts a crash where that one died
        with the run in memory.  Owners that are told are woken, and where
        something was written all engines are: one of them may have to carry
        a run on.  A thousand runs are a good number for one call.
        """
        ...

    def claim(self, run_ids: Sequence[str]) -> list[RunRow]:
        """Make this engine the owner of those of the runs that `Store.claim` would, in one commit."""
        ...

    def overdue(self, now: float, limit: int = 1000) -> list[RunRow]:
        """List runs that are queued, held or paused and whose `deadline_at` has come, the earliest first.

        All others are in the memory of an engine, or come back to one in time.
        """
        ...

    def next_deadline(self) -> float | None:
        """Return the earliest `deadline_at` of a run that is queued, held or paused."""
        ...


class Facts(Protocol):
    """Small things by kind and key, shared by all engines of the store.

    A fact whose `expires_at` has come is returned all the same: whoever reads
    it knows what time it is.  Calls block, as those of `Store` do that are no
    writes.  What is on disk is seen; what was only submitted may not be yet.
    """

    def get(self, kind: str, key: str) -> Fact | None:
        """Return a fact."""
        ...

    def list(self, kind: str, *, prefix: str = "", after: str = "", limit: int = 1000) -> list[Fact]:
        """Return facts whose key begins with `prefix` and lies behind `after`, in the order of their keys."""
        ...

    def change(self, kind: str, key: str, change: Callable[[Fact | None], Fact | None]) -> Fact | None:
        """Replace a fact by what `change` makes of it, None for none, and return that; atomic and durable.

        `change` runs on the thread that commits, while no other engine
        writes: it must be quick.  What it raises is raised here, and nothing
        is changed.
        """
        ...

    def change_together(
        self,
        names: Sequence[tuple[str, str]],
        change: Callable[[tuple[Fact | None, ...]], Sequence[Fact | None]],
    ) -> None:
        """Replace several facts, by (kind, key), by what `change` makes of them in their order; all or none.

        As `change` in all else.
        """
        ...

    def forget(self, kind: str, *, prefix: str = "", expired_at: float | None = None) -> int:
        """Delete facts of a kind, all or those that had expired at a moment; returns how many."""
        ...

    def announce(self) -> None:
        """Wake all engines of the store: something has changed that one of them may wait for."""
        ...


class Blobs(Protocol):
    """Large values by content hash (SHA-256 in hex)."""

    def put(self, data: bytes | memoryview) -> str:
        """Keep a value durably (aside, flush, rename, flush the folder) and return its hash."""
        ...

    def put_file(self, path: Path) -> tuple[str, int]:
        """Keep what is in a file, as `put` does, without having it in memory; return its hash and its size.

        Raises:
            OSError: the file cannot be read.
        """
        ...

    def path(self, content_hash: str) -> Path:
        """Return a file with the value, to be read only.

        Raises:
            StoreCorrupt: if it is missing.
        """
        ...

    def get(self, content_hash: str) -> bytes:
        """Return a value.

        Raises:
            StoreCorrupt: if it is missing or its bytes do not hash to its name.
        """
        ...

    def renew(self, content_hash: str) -> None:
        """Have a value count as put just now: somebody is about to refer to it.

        Raises:
            StoreCorrupt: if it is missing.
        """
        ...

    def sweep(self, referred: Callable[[str], bool], grace: float) -> int:
        """Delete values that nothing has referred to for `grace` seconds; returns how many."""
        ...
