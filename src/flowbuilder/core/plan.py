"""What the compiler makes of one version of a flow, and the runtime carries out.

A plan is made of graphs; a graph of tasks, each with a slot; some pure tasks
are fused into regions, one generated function each.  Everything that the
author wrote as an expression is a generated function of a *scope*.

A scope is a list.  Its first places hold what names mean there, the rest the
outputs of the tasks of its graph:

```text
scope[CONTEXT]     what holds for the whole run: inputs, vars, env, secrets, run, trigger
scope[PARENT]      the scope around, or None
scope[ITEM] …      the element of a map, its index or key, the loop, the own output, the error
scope[CODES]       how each task of the graph stands (`core.rules`), a bytearray
scope[ERRORS]      the error of each task that has one, by slot
scope[HEADER + i]  the output of the task in slot i; null until it has succeeded
```

Each graph that runs has a scope, and so has each element of a map, between
the map's graph and the element's body.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec

from flowbuilder.core.limits import Ask, BreakerPolicy, ConcurrencyPolicy, DebouncePolicy, RatePolicy
from flowbuilder.core.policies import (
    CacheScope,
    Durability,
    Effect,
    OnCrash,
    Placement,
    RetryPolicy,
    RunWhen,
)
from flowbuilder.core.span import Span
from flowbuilder.core.triggers import Kind as TriggerKind

CONTEXT: Final = 0
PARENT: Final = 1
ITEM: Final = 2
INDEX: Final = 3
LOOP: Final = 4
OUTPUT: Final = 5
ERROR: Final = 6
CODES: Final = 7
ERRORS: Final = 8
HEADER: Final = 9

Scope = list[Any]
Function = Callable[[Scope], Any]
"""A generated function: evaluates one expression, raises `ExpressionError`."""


class Hidden:
    """A function whose value is only compared, and may hold something sensitive: a digest of it is kept."""

    __slots__ = ("_function",)

    def __init__(self, function: Function) -> None:
        self._function = function

    def __call__(self, scope: Scope) -> Any:
        """Evaluate it."""
        return self._function(scope)


Kind = Literal["compute", "invoke", "sleep", "wait", "approval", "flow", "group"]

UNDO: Final = "~undo"
"""The id of a task that reverses another, which no author can write: the path of that of `pay` is `pay~undo`."""

SLOW: Final = 3
"""Slow executions in a row after which a region leaves the loop."""

NO_ERRORS: Final[dict[int, Any]] = {}
"""What `scope[ERRORS]` is before the first error; one for all, and never written to."""
UNSET: Final = object()
"""A variable that no task has asked for yet."""


class Weight(NamedTuple):
    """What earlier runs say of a task: `TaskPlan.remaining` and `TaskPlan.quick`."""

    remaining: float
    quick: bool


class OnErrorPlan(msgspec.Struct, eq=False):
    """What runs instead of a task that failed with a kind among `on` (empty: any)."""

    on: tuple[str, ...]
    value: Function | None
    graph: GraphPlan | None


class SubFlowPlan(msgspec.Struct, eq=False):
    """A run of another flow: of `flow`, else of the one that `name` says."""

    flow: Any
    """The flow's definition where it is constant, for the runtime to have planned."""
    name: Function | None
    inputs: Function
    wait: bool
    key: Function | None
    fixed: bool = False
    """The path of `flow` starts at the root."""
    hidden: tuple[str, ...] = ()
    """Inputs that are given something sensitive: they are encrypted whatever the flow says of them."""


class LimitsPlan(msgspec.Struct, eq=False):
    """What an attempt waits for before it begins.  Keys are functions of the task's scope."""

    own: str
    """The key of limits that have none: the flow and the task."""
    flow: str
    """The key of queues that have none."""
    rate: RatePolicy | None = None
    rate_key: Function | None = None
    breaker: BreakerPolicy | None = None
    breaker_key: Function | None = None
    queue: str | None = None
    queue_key: Function | None = None
    resources: Ask | None = None


class LanesPlan(msgspec.Struct, eq=False):
    """How runs of a flow wait for each other.  Keys are functions of a scope that has nothing but its context."""

    concurrency: ConcurrencyPolicy | None = None
    concurrency_key: Function | None = None
    debounce: DebouncePolicy | None = None
    debounce_key: Function | None = None


class WaitPlan(msgspec.Struct, eq=False):
    """What a task waits for; its parameters are the task's `value`."""

    signal: bool
    filter: Function | None = None
    """Of a scope inside the task's, whose `ITEM` is the event."""
    member: str = ""
    """The path (`core.matching`) of the event's member that must be equal to `key`; empty where there is none."""
    key: Function | None = None


class RepeatPlan(msgspec.Struct, eq=False):
    """The rounds of a task; its functions are asked in the task's own scope, where `loop` is."""

    test: Function
    until: bool
    """`test` is asked after a round, and sees `output`; otherwise before it."""
    max: int | None
    delay: float
    state: Function | None = None
    collect: Function | None = None


class CachePlan(msgspec.Struct, eq=False):
    """Under what key an output is kept, for how long and for whom."""

    key: Function
    ttl: float | None
    scope: CacheScope
    path: str
    """The task's, without indexes: what tells it from other tasks of the flow."""


class TaskPlan(msgspec.Struct, eq=False):
    """A task, with everything decided that can be decided before a run."""

    id: str
    slot: int
    at: Span
    kind: Kind
    unit: int
    """The index in `GraphPlan.units` of what runs it."""
    value: Function | None = None
    """What `compute` yields; the parameters of `invoke`, `wait`, `approval`; `for` or `until` of `sleep`."""
    until: bool = False
    """Of `sleep`: `value` is a moment, not a duration."""
    simple: bool = False
    """Nothing but an expression: cannot be mapped, retried, rescued or cut off."""
    bare: bool = False
    """`simple`, or a map of which each element is."""
    layered: bool = False
    """Has `repeat`, `cache` or `schema`."""
    type: str = ""
    effect: Effect = "pure"
    executor: Placement = "auto"
    needs: tuple[int, ...] = ()
    """Slots that count for the rule."""
    waits: tuple[int, ...] = ()
    """Slots that must have ended."""
    dependants: tuple[int, ...] = ()
    """Units that wait for this task, once each."""
    rule: RunWhen = "default"
    condition: Function | None = None
    pruned: str | None = None
    """Why it never runs: its condition is constantly false."""
    uses_now: bool = False
    uses_secrets: bool = False
    over: Function | None = None
    concurrency: int = 16
    tolerate: float | None = None
    retry: RetryPolicy | None = None
    retry_if: Function | None = None
    timeout: float | None = None
    deadline: float | None = None
    on_error: OnErrorPlan | None = None
    body: GraphPlan | None = None
    body_outputs: Function | None = None
    """In the body's scope; None means its outputs by task id."""
    workspace: bool = False
    """The tasks of its body share a folder."""
    sub_flow: SubFlowPlan | None = None
    undo: GraphPlan | None = None
    """One task, which reverses this one."""
    undoes: bool = False
    """It has an undo, or a task inside of it has."""
    wait: WaitPlan | None = None
    sensitive: bool = False
    """Its output is encrypted in the store and masked wherever people look."""
    env: Function | None = None
    idempotency_key: Function | None = None
    on_crash: OnCrash = "rerun"
    priority: int = 50
    remaining: float = 0.0
    """Seconds of the longest path from here to the end, by what is known of earlier runs."""
    repeat: RepeatPlan | None = None
    cache: CachePlan | None = None
    schema: Callable[[Any], list[str]] | None = None
    """Returns what is wrong with an output."""
    quick: bool = False
    """Earlier calls were so short that it may begin in place; the engine goes on looking."""
    limits: LimitsPlan | None = None


class Region(msgspec.Struct, eq=False):
    """Pure tasks that become ready together and run as one function.

    `function` puts outputs and codes into the scope and returns the outputs.
    Whatever it raises means that nothing has happened: the tasks are then run
    one by one, by `TaskPlan.value`, and the one at fault says so itself.
    """

    tasks: tuple[TaskPlan, ...]
    function: Callable[[Scope], list[Any]]
    ids: tuple[str, ...]
    always: bool
    """No task of it can be skipped: when nothing fails, all succeed."""
    needs: tuple[int, ...]
    """Slots outside the region that count for the rule of one of its tasks."""
    slots: tuple[int, ...]
    dependants: tuple[int, ...] = ()
    """Units that wait for tasks of the region, once for each task that they wait for."""
    slow: int = 0
    """How often in a row it was seen to take more than 5 ms.  From `SLOW` on it runs on a thread,
    until it is quick again: a machine that is busy makes anything slow once."""


class GraphPlan(msgspec.Struct, eq=False):
    """A graph: its tasks by slot, and the units that run them."""

    tasks: tuple[TaskPlan, ...]
    units: tuple[TaskPlan | Region, ...]
    opens: tuple[int, ...]
    """For each unit how many edges lead into it from outside."""
    first: tuple[int, ...]
    """Units that wait for nothing, most urgent first."""
    template: Scope
    """A fresh scope but for its mutable parts."""
    undoes: bool = False
    """Some task of it, or inside of one, can be undone."""
    listed: tuple[TaskPlan, ...] = ()
    """Its tasks in the order of the file, whatever passes made of that of their slots."""

    @property
    def size(self) -> int:
        """The number of tasks."""
        return len(self.tasks)


class TriggerPlan(msgspec.Struct, eq=False):
    """What starts runs of a flow by itself.

    Its functions take a scope that holds a context and nothing else.
    """

    name: str
    at: Span
    kind: TriggerKind
    timezone: str
    labels: Mapping[str, str]
    priority: int | None
    enabled: bool
    description: str | None = None
    condition: Function | None = None
    filter: Function | None = None
    inputs: Function | None = None
    key: Function | None = None


class FlowPlan(msgspec.Struct, eq=False, weakref=True):
    """One version of a flow, ready to run."""

    name: str
    content_hash: str
    definition: bytes
    """All texts that it was made of, so that it can be made again."""
    main: GraphPlan
    on_failure: GraphPlan | None
    finally_: GraphPlan | None
    outputs: Function | None
    vars: tuple[Callable[[Any], Any], ...]
    """Functions of the context, by the variable's number."""
    check_inputs: Callable[[Mapping[str, Any]], dict[str, Any]]
    """Returns inputs with defaults filled in; raises `InputError` with every violation."""
    env: Mapping[str, str]
    secrets: tuple[str, ...]
    labels: Mapping[str, str]
    timezone: str
    timeout: float | None
    fail_fast: bool
    priority: int
    durability: Durability
    weigh: Callable[[Mapping[str, Any]], None]
    """Takes figures of earlier runs by task path (`storage.api.TaskStatistics`), and puts ready work in the
    order that follows from them, here in this plan."""
    list_code: Callable[[], str]
    """Returns the generated code as text, for people."""
    deadline: Function | None = None
    """Of a scope that has the context only: seconds or a duration from when a run was asked for, or a moment."""
    caches_for_run: bool = False
    """A task keeps outputs for one run only, which nobody needs behind its end."""
    sensitive_inputs: frozenset[str] = frozenset()
    """Inputs that are encrypted in the store."""
    seals: bool = False
    """Something of it is sensitive: it needs a key."""
    hears_sealed: bool = False
    """A task of it waits for signals, and is sensitive: they are encrypted by whoever sends them."""
    sealed: bool = False
    """All of it is, what a run returns too."""
    folder: Path = msgspec.field(default_factory=Path)
    """The flow file's folder: relative paths and `cwd` start there."""
    lanes: LanesPlan | None = None
    queues: Mapping[str, Span] = msgspec.field(default_factory=dict)
    """Queues that its tasks wait in, each with a place where it is named."""
    signals: frozenset[str] | None = frozenset()
    """The names of the signals that its tasks wait for; None where one is only known while a run goes on."""
    window: float | None = 0.0
    """The longest `window` that one of its waits for events has; None where one is only known in a run."""
    namespace: str | None = None
    check_config: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    """Returns the run's `config`, from what the profile gives; raises `InputError`; None where it has none."""
    connections: Mapping[str, str | None] = msgspec.field(default_factory=dict)
    """The connections that it needs, and the type of each, where it says so."""
    workspaces: bool = False
    """Some group of it has a folder for its tasks."""

    @property
    def profiled(self) -> bool:
        """Whether a run takes anything from the project's profile."""
        return bool(self.check_config is not None or self.connections)

    triggers: tuple[TriggerPlan, ...] = ()
