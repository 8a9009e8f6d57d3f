"""The intermediate representation: a small, immutable graph that every front end lowers to.

Nothing behind it knows whether a flow came from YAML or from Python.  Names
are as the author wrote them; scopes are nested as the graphs are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from flowbuilder.compiler.expressions.tree import Expr
from flowbuilder.core.limits import Ask, BreakerPolicy, ConcurrencyPolicy, DebouncePolicy, RatePolicy
from flowbuilder.core.policies import CacheScope, Durability, Effect, OnCrash, Placement, RetryPolicy, RunWhen
from flowbuilder.core.span import Span
from flowbuilder.core.triggers import Kind


class Compute(msgspec.Struct, frozen=True):
    """A value from values; nothing outside is touched (`set`, `switch`)."""

    value: Expr


class Invoke(msgspec.Struct, frozen=True):
    """A call of a task type."""

    type: str
    params: Expr
    effect: Effect
    executor: Placement = "auto"


class Sleep(msgspec.Struct, frozen=True):
    """A wait for time: `duration` (seconds or a duration value) or `until` (a datetime)."""

    duration: Expr | None
    until: Expr | None


class Wait(msgspec.Struct, frozen=True):
    """A wait for a signal to the run, or for an event."""

    signal: bool
    params: Expr
    """A `Dict`: `name`, `count`, `timeout` (seconds, a duration or null), `window`."""
    filter: Expr | None = None
    """A condition over `event`."""


class Approval(msgspec.Struct, frozen=True):
    """A wait for somebody's decision."""

    params: Expr
    """A `Dict` of what the type's parameters are called; durations as in `Wait`."""


class SubFlow(msgspec.Struct, frozen=True):
    """A run of another flow."""

    flow: Flow | None
    """The flow itself where `path` is constant (or the flow names itself: then None)."""
    name: Expr | None
    inputs: Expr
    wait: bool
    key: Expr | None
    fixed: bool = False
    """Its path starts at the root, and so it lies in the same place from wherever it is called."""


class Group(msgspec.Struct, frozen=True):
    """A graph inside a task."""

    graph: Graph
    outputs: Expr | None
    """A `Dict`; None means the outputs of all its tasks by id."""
    workspace: bool = False
    """Whether its tasks share a folder."""


Work = Compute | Invoke | Sleep | Wait | Approval | SubFlow | Group


class Map(msgspec.Struct, frozen=True):
    """`for_each`: the work once for each element."""

    over: Expr
    alias: str | None
    """`as: x`: adds the names `x` and `x_index`."""
    concurrency: int
    tolerate: int | float | None = None
    """A count, or a share in (0, 1); None: without `on_error: continue` none may fail."""


class Repeat(msgspec.Struct, frozen=True):
    """The work again and again, in rounds that see `loop`."""

    test: Expr
    """Asked before each round (`while`), or after it (`until`); then it sees `output`."""
    until: bool
    max: int | None
    """Rounds at most; None: without end."""
    delay: float = 0.0
    """Seconds between the end of a round and the next."""
    state: Expr | None = None
    """What `loop.state` is in the first round."""
    collect: Expr | None = None
    """With it the output is the list of what it yields round by round."""


class Cache(msgspec.Struct, frozen=True):
    """The output of an earlier execution with the same key, in place of another execution."""

    key: Expr
    ttl: float | None = None
    """Seconds for which an output counts; None: until it is cleared."""
    scope: CacheScope = "flow"


class Retry(msgspec.Struct, frozen=True):
    """A retry policy with its condition over `error`."""

    policy: RetryPolicy
    condition: Expr | None = None


class OnError(msgspec.Struct, frozen=True):
    """What runs instead of a task that failed; a task without one fails."""

    on: tuple[str, ...] = ()
    """Kinds (globs) that it takes; empty means all."""
    value: Expr | None = None
    graph: Graph | None = None
    """With neither value nor graph: `continue`."""


class RateLimit(msgspec.Struct, frozen=True):
    """How often attempts with the same key begin; without a key those of the task share one."""

    policy: RatePolicy
    key: Expr | None = None


class Breaker(msgspec.Struct, frozen=True):
    """When attempts with the same key fail at once, since the last ones did."""

    policy: BreakerPolicy
    key: Expr | None = None


class Queue(msgspec.Struct, frozen=True):
    """The queue of the settings that attempts wait in; keys take turns, without one a flow's tasks share one."""

    name: str
    at: Span
    key: Expr | None = None


class TaskLimits(msgspec.Struct, frozen=True):
    """What an attempt waits for before it begins."""

    rate: RateLimit | None = None
    breaker: Breaker | None = None
    queue: Queue | None = None
    resources: Ask | None = None


class Concurrency(msgspec.Struct, frozen=True):
    """How many runs with the same key there may be at once; without a key those of the flow share one."""

    policy: ConcurrencyPolicy
    key: Expr | None = None


class Debounce(msgspec.Struct, frozen=True):
    """How long a start waits for another one with the same key that takes its place."""

    policy: DebouncePolicy
    key: Expr | None = None


class Task(msgspec.Struct, frozen=True):
    """A node of a graph."""

    id: str
    at: Span
    """The task's id in the file."""
    work: Work
    needs: tuple[str, ...]
    """What the run rule counts: `needs` as written, else all references, in file order."""
    waits_for: tuple[str, ...]
    """All that must have ended before: `needs`, references, and what is only asked for its status."""
    condition: Expr | None = None
    run_when: RunWhen = "default"
    map: Map | None = None
    retry: Retry | None = None
    timeout: float | None = None
    deadline: float | None = None
    on_error: OnError | None = None
    undo: Graph | None = None
    """One task, of the id `core.plan.UNDO`, that reverses this one; it sees `output`."""
    sensitive: bool = False
    """Its output is encrypted in the store; so are those of the tasks inside of it."""
    priority: int = 50
    env: Expr | None = None
    """A `Dict` of extra environment; values are texts."""
    on_crash: OnCrash = "rerun"
    idempotency_key: Expr | None = None
    name: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    pruned: str | None = None
    """Why it never runs, where a pass has found its condition constantly false."""
    limits: TaskLimits | None = None
    repeat: Repeat | None = None
    cache: Cache | None = None
    schema: Mapping[str, Any] | None = None
    """The JSON Schema of what each attempt yields."""


class Shared(msgspec.Struct, frozen=True):
    """A sub-expression that several tasks of a region use: evaluated once."""

    name: str
    """What stands for it in `Fused.values`: a `Name` such as `$0`, which no author can write."""
    value: Expr
    before: int
    """The place of the task in front of which it is evaluated."""


class Fused(msgspec.Struct, frozen=True):
    """Pure tasks that become ready at the same moment: one generated function."""

    tasks: tuple[str, ...]
    """Ids, each behind what it needs."""
    values: tuple[Expr, ...]
    """What each yields, with names of `shared` in it; `Task.work` keeps the plain expression,
    by which a task is run alone when something of the region goes wrong."""
    shared: tuple[Shared, ...] = ()


class Graph(msgspec.Struct, frozen=True):
    """Tasks in file order; a scope for names."""

    tasks: tuple[Task, ...]
    regions: tuple[Fused, ...] = ()
    """Made by the optimizer; without it every task runs by itself."""


class Input(msgspec.Struct, frozen=True):
    """An input: its JSON Schema and default."""

    name: str
    at: Span
    schema: Mapping[str, Any]
    required: bool
    default: Any = None
    sensitive: bool = False


class Needed(msgspec.Struct, frozen=True):
    """A connection that a flow needs, and of which type, where it says so."""

    name: str
    at: Span
    type: str | None = None


class Var(msgspec.Struct, frozen=True):
    """A named expression, evaluated once a run on first use."""

    name: str
    at: Span
    value: Expr


class Trigger(msgspec.Struct, frozen=True):
    """What starts runs of the flow by itself."""

    name: str
    at: Span
    kind: Kind
    timezone: str | None = None
    """None: the flow's."""
    condition: Expr | None = None
    filter: Expr | None = None
    inputs: Expr | None = None
    """A `Dict`, or a `Const`; None: the run is started without inputs."""
    key: Expr | None = None
    labels: Mapping[str, str] = {}
    priority: int | None = None
    enabled: bool = True
    description: str | None = None


class Flow(msgspec.Struct, frozen=True):
    """One version of a flow, checked."""

    name: str
    at: Span
    content_hash: str
    """SHA-256 in hex over what the flow means to do: its text and those of its constant sub-flows."""
    main: Graph
    inputs: tuple[Input, ...] = ()
    vars: tuple[Var, ...] = ()
    env: Mapping[str, str] = {}
    secrets: tuple[str, ...] = ()
    on_failure: Graph | None = None
    finally_: Graph | None = None
    outputs: Expr | None = None
    """A `Dict`."""
    version: str | None = None
    description: str | None = None
    namespace: str | None = None
    labels: Mapping[str, str] = {}
    timezone: str = "UTC"
    timeout: float | None = None
    deadline: Expr | None = None
    """Seconds or a duration from when a run was asked for, or a moment."""
    fail_fast: bool = False
    priority: int = 50
    durability: Durability = "group"
    on_crash: OnCrash = "rerun"
    concurrency: Concurrency | None = None
    debounce: Debounce | None = None
    config: tuple[Input, ...] = ()
    """What the project's profile gives; seen as `config`."""
    connections: tuple[Needed, ...] = ()
    triggers: tuple[Trigger, ...] = ()
    sensitive: bool = False
    """All of it is, its outputs too: a sensitive task of another flow starts it."""
