"""What the engine keeps in memory of a run: a cache of its journal.

Everything here can be computed from the run's row and journal again
(`recovery.load`); between two commits of the journal nothing in the world
depends on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbuilder.core.plan import CODES, CONTEXT, ERRORS, NO_ERRORS, PARENT, UNSET

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from flowbuilder.core.failure import Error
    from flowbuilder.core.masking import Masker
    from flowbuilder.core.plan import FlowPlan, GraphPlan, Scope, TaskPlan
    from flowbuilder.core.records import Record
    from flowbuilder.core.veil import Veil
    from flowbuilder.runtime.context import Context
    from flowbuilder.runtime.held import Held
    from flowbuilder.runtime.histories import History
    from flowbuilder.runtime.loop import Loop
    from flowbuilder.runtime.maps import MapState
    from flowbuilder.runtime.recovered import Recovered
    from flowbuilder.runtime.taken import Taken
    from flowbuilder.runtime.timers import Timer
    from flowbuilder.runtime.undos import UndoState
    from flowbuilder.runtime.waiter import Waiter
    from flowbuilder.storage.api import RunRow, Write


class Frame:
    """A graph that runs: the main one, a handler, a group's body."""

    __slots__ = ("done", "error", "frozen", "open", "owner", "plan", "prefix", "remaining", "run", "scope")

    def __init__(
        self,
        run: RunState,
        plan: GraphPlan,
        parent: Scope | None,
        prefix: str,
        owner: Execution | None,
        done: Callable[[Frame], None],
    ) -> None:
        self.run = run
        self.plan = plan
        self.prefix = prefix
        """What stands before the ids of its tasks in their paths."""
        self.owner = owner
        """The task whose body it is; None for the main graph and the flow's handlers."""
        self.done = done
        """Called when its last task has ended."""
        size = len(plan.tasks)
        scope = plan.template.copy()
        scope[CONTEXT] = run.context
        scope[PARENT] = parent
        scope[CODES] = bytearray(size)
        scope[ERRORS] = NO_ERRORS
        self.scope = scope
        self.open = list(plan.opens)
        """For each unit, how many edges into it are still open."""
        self.remaining = size
        self.error: Error | None = None
        """The first failure of one of its tasks."""
        self.frozen: str | None = None
        """Nothing more of it starts, for this kind of reason: `cancelled`, `timeout`, …"""

    def lies_in(self, other: Frame) -> bool:
        """Tell whether this frame is `other`, or runs inside one of its tasks."""
        frame: Frame | None = self
        while frame is not None:
            if frame is other:
                return True
            frame = frame.owner.frame if frame.owner is not None else None
        return False


def inner_scope(scope: Scope) -> Scope:
    """Return a scope inside another, for what an element or a round has of its own."""
    return [scope[CONTEXT], scope, None, None, None, None, None, None, None]


class Execution:
    """A task, or one element of a task, that is being carried out."""

    __slots__ = (
        "attempt",
        "deadline",
        "element",
        "ended",
        "frame",
        "handle",
        "held",
        "loop",
        "map",
        "params",
        "parked",
        "path",
        "scope",
        "started_at",
        "stopped",
        "task",
        "timer",
        "wake_at",
    )

    def __init__(
        self,
        frame: Frame,
        task: TaskPlan,
        scope: Scope,
        path: str,
        map: MapState | None = None,
        element: int = 0,
    ) -> None:
        self.frame = frame
        self.task = task
        self.scope = scope
        self.path = path
        self.map = map
        """The map that it is an element of, and which; or None."""
        self.element = element
        self.loop: Loop | None = None
        """Its rounds, while it has any; `path` is then that of the present one."""
        self.attempt = 0
        self.started_at = 0.0
        self.params: Any = UNSET
        self.handle: asyncio.Task[Any] | Frame | Waiter | str | None = None
        """What is being waited for: an attempt, a body, an event, a child run's id."""
        self.timer: Timer | None = None
        """Ends the attempt when its time is up, or the wait between two."""
        self.deadline: Timer | None = None
        """Ends all attempts."""
        self.wake_at: float | None = None
        """While it only waits for time: until when."""
        self.parked = False
        self.stopped: str | None = None
        """Why it was told to stop: its own time limits (`attempts.TIMEOUT`), or a kind of cancel."""
        self.ended = False
        self.held: Held | None = None
        """What its attempt holds of limits, or waits for; None where it has none."""


class RunState:
    """A run in memory."""

    __slots__ = (
        "accepted",
        "also",
        "blobs",
        "busy",
        "cancel",
        "changed",
        "context",
        "dirty",
        "durable",
        "ended",
        "error",
        "errors",
        "executions",
        "flushes",
        "frame",
        "gates",
        "held",
        "history",
        "id",
        "lost",
        "masker",
        "parked",
        "paused_at",
        "pauses",
        "phase",
        "plan",
        "pumping",
        "ready",
        "records",
        "recovered",
        "result",
        "row",
        "sequence",
        "taken",
        "timer",
        "undo",
        "veil",
        "waiters",
        "without_undo",
    )

    def __init__(self, row: RunRow, plan: FlowPlan, context: Context) -> None:
        self.id = row.id
        self.row = row
        self.plan = plan
        self.context = context
        self.frame: Frame | None = None
        """The main graph's."""
        self.phase: Frame | None = None
        """The graph that is running: the main one, then the handlers' in turn."""
        self.ready: list[tuple[Frame, int]] = []
        """Units that may run now."""
        self.pumping = False
        self.executions: set[Execution] = set()
        """What is being carried out or waited for."""
        self.busy = 0
        """What goes on besides `executions`: regions on threads, maps between two slices."""
        self.parked = 0
        """How many of `executions` wait for time or for another run only."""
        self.cancel: tuple[str, str] | None = None
        """(kind, reason) when the run was told to stop."""
        self.undo: UndoState | None = None
        self.without_undo = False
        """What was done stays done, by the will of who cancelled it."""
        self.error: Error | None = None
        """The first error."""
        self.errors: list[Error] = []
        self.result: Any = None
        self.ended = False
        self.lost = False
        """Given up by this engine: it left memory, or its journal could not be written."""
        self.recovered: Recovered | None = None
        self.masker: Masker | None = None
        self.veil: Veil | None = None
        """Of sensitive values, for logs and errors; outputs keep them."""
        self.timer: Timer | None = None
        """Of the run's own timeout."""
        self.taken: Taken | None = None
        """Events that it has taken, once it has waited for any."""
        self.held: list[Callable[[], None]] | None = None
        """While the run is paused: what is to be done when it goes on."""
        self.paused_at = 0.0
        self.pauses: list[tuple[float, float]] | None = None
        """Pauses that are over: from when until when."""

        # the committer's
        self.records: list[Record] = []
        """What has happened since the last batch was handed to the store."""
        self.sequence = 0
        """Batches in the journal."""
        self.flushes = 0
        """How often something was handed to the store, and how much of that is known to be on disk."""
        self.durable = 0
        self.history: History | None = None
        """Of its journal, where it has loops."""
        self.gates: list[tuple[int, Execution]] | None = None
        """Effects that wait until a flush is on disk."""
        self.blobs = 0
        """Large values on their way to the blob store; no flush goes past them."""
        self.also: dict[str, Write] | None = None
        """What else is to be written with the next flush, by what it is about: the last word holds."""
        self.changed: dict[str, Any] | None = None
        """Columns of the row that have new values."""
        self.dirty = False
        self.accepted = False
        self.waiters: list[tuple[int, Callable[[Exception | None], None]]] | None = None
        """Whom to tell, once, that a flush is on disk."""

    def add_write(self, about: str, write: Write) -> None:
        """Have something written with the next flush, in place of what was said about the same before."""
        if self.also is None:
            self.also = {}
        self.also.pop(about, None)
        self.also[about] = write
