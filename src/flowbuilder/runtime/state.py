"""What the engine keeps in memory of a run: a cache of its journal.

Everything here can be computed from the run's row and journal again
(`recovery.load`); between two commits of the journal nothing in the world
depends on it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from flowbuilder.core.plan import (
    CODES,
    CONTEXT,
    ERRORS,
    HEADER,
    PARENT,
    UNSET,
    FlowPlan,
    GraphPlan,
    Scope,
    TaskPlan,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from flowbuilder.core.masking import Masker
    from flowbuilder.core.records import Record
    from flowbuilder.runtime.timers import Timer
    from flowbuilder.storage.api import RunRow

Error = dict[str, Any]
"""An error as a value: `kind`, `message`, `task`, `attempt`, `data`."""


class Context:
    """What expressions may ask for besides the outputs of tasks: `scope[CONTEXT]`."""

    __slots__ = (
        "_functions",
        "config",
        "env",
        "inputs",
        "moment",
        "place",
        "run",
        "secrets",
        "trigger",
        "vars",
    )

    def __init__(self, plan: FlowPlan, inputs: dict[str, Any], run: dict[str, Any]) -> None:
        self.inputs = inputs
        self.env: Mapping[str, str] = plan.env
        self.secrets: Mapping[str, str] = {}
        self.run = run
        self.trigger: Any = None
        self.config: dict[str, Any] = {}
        self.vars: list[Any] = [UNSET] * len(plan.vars)
        self._functions = plan.vars
        self.moment: float = 0.0
        """What `now()` says: when the task that is being evaluated became ready."""
        self.place: str = ""
        """What `uuid()` derives from, besides the place in the text: the run and the task."""

    def var(self, number: int) -> Any:
        """Return a variable, evaluated on first use, at the moment when the run started."""
        value = self.vars[number]
        if value is UNSET:
            moment, place = self.moment, self.place
            self.moment, self.place = self.run["started_at"], self.run["id"] + "/vars"
            try:
                value = self.vars[number] = self._functions[number](self)
            finally:
                self.moment, self.place = moment, place
        return value


class Frame:
    """A graph that runs: the main one, a handler, a group's body."""

    __slots__ = ("done", "error", "frozen", "open", "plan", "prefix", "remaining", "run", "scope", "started")

    def __init__(
        self, run: RunState, plan: GraphPlan, parent: Scope | None, prefix: str, done: Callable[[Frame], None]
    ) -> None:
        self.run = run
        self.plan = plan
        self.prefix = prefix
        """What stands before the ids of its tasks in their paths."""
        self.done = done
        size = len(plan.tasks)
        scope = plan.template.copy()
        scope[CONTEXT] = run.context
        scope[PARENT] = parent
        scope[CODES] = bytearray(size)
        scope[ERRORS] = {}
        self.scope = scope
        self.open = list(plan.opens)
        self.remaining = size
        self.error: Error | None = None
        """The first failure of one of its tasks."""
        self.frozen = False
        """Nothing more of it starts: it is being cancelled."""


def output_of(frame: Frame, task: TaskPlan) -> Any:
    """Return what a task of a frame has yielded."""
    return frame.scope[HEADER + task.slot]


class Execution:
    """A task, or one element of a task, that is being carried out."""

    __slots__ = (
        "attempt",
        "deadline_at",
        "element",
        "ended",
        "frame",
        "handle",
        "last_error",
        "owner",
        "params",
        "path",
        "ready_at",
        "scope",
        "started_at",
        "task",
        "timer",
        "timing",
    )

    def __init__(
        self, frame: Frame, task: TaskPlan, scope: Scope, path: str, owner: Any, element: int
    ) -> None:
        self.frame = frame
        self.task = task
        self.scope = scope
        self.path = path
        self.owner = owner
        """The map that it is an element of, or None."""
        self.element = element
        self.attempt = 0
        self.started_at = 0.0
        self.ready_at = 0.0
        self.params: Any = UNSET
        self.handle: asyncio.Task[Any] | Frame | str | None = None
        """What is being waited for: an attempt, a body, a child run's id."""
        self.timer: Timer | None = None
        self.timing: Timer | None = None
        """Ends the attempt when its time is up."""
        self.deadline_at: float | None = None
        self.last_error: Error | None = None
        self.ended = False


class Recovered:
    """What a run's journal says of tasks, by path, until the run has come that far again."""

    __slots__ = ("attempts", "children", "ended", "readied", "sleeps", "starts")

    def __init__(self) -> None:
        self.ended: dict[str, Any] = {}
        """`Ended` records, and (region record, place) for tasks of regions."""
        self.attempts: dict[str, Any] = {}
        """The last `AttemptFailed` of tasks that wait to be tried again."""
        self.starts: dict[str, Any] = {}
        """The last `AttemptStarted` of tasks with `on_crash: fail`."""
        self.readied: dict[str, float] = {}
        self.sleeps: dict[str, Any] = {}
        self.children: dict[str, str] = {}


class RunState:
    """A run in memory."""

    __slots__ = (
        "accepted",
        "batches",
        "cancel",
        "context",
        "dirty",
        "durable",
        "ended",
        "error",
        "errors",
        "executions",
        "frame",
        "gates",
        "id",
        "masker",
        "phase",
        "plan",
        "pumping",
        "ready",
        "records",
        "recovered",
        "result",
        "row",
        "timer",
        "waiters",
    )

    def __init__(self, row: RunRow, plan: FlowPlan, context: Context) -> None:
        self.id = row.id
        self.row = row
        self.plan = plan
        self.context = context
        self.frame: Frame | None = None
        self.phase = ""
        """"" for the main graph, then `on_failure`, `finally`."""
        self.ready: deque[tuple[Frame, int]] = deque()
        """Units that may run now."""
        self.pumping = False
        self.records: list[Record] = []
        """What has happened since the last batch was handed to the store."""
        self.batches = 0
        """Batches handed to the store."""
        self.durable = 0
        """Batches known to be on disk."""
        self.gates: deque[tuple[int, Execution]] = deque()
        """Effects that wait for a batch to be on disk."""
        self.dirty = False
        self.accepted = False
        self.ended = False
        self.error: Error | None = None
        """The first error."""
        self.errors: list[Error] = []
        self.cancel: tuple[str, str] | None = None
        """(kind, reason) when the run was asked to stop."""
        self.executions: set[Execution] = set()
        """What is being carried out or waited for."""
        self.recovered: Recovered | None = None
        self.result: Any = None
        self.waiters: list[Callable[[RunState | None, Exception | None], None]] = []
        """Called when the run's end is on disk, or its engine lost it."""
        self.masker: Masker | None = None
        self.timer: Timer | None = None
        """Of the run's own timeout."""
