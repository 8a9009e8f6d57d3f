"""What a flow is expected to cost, by what is known of its earlier runs.

Times are in seconds, sizes in bytes.  Where nothing is known, defaults by
task type are good for an order of magnitude: enough to choose the longest
path first, which is what the scheduler wants of it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from flowbuilder.compiler.expressions.tree import Const, Dict, Expr, List, Member, Name
from flowbuilder.compiler.ir import (
    Approval,
    Compute,
    Flow,
    Graph,
    Group,
    Invoke,
    Sleep,
    SubFlow,
    Task,
    Wait,
)
from flowbuilder.compiler.order import in_order, waits_of
from flowbuilder.core.plan import Weight
from flowbuilder.core.policies import Placement

INLINE_AFTER: Final = 20
"""Calls that must be known before a Python function may run on the engine's loop."""
INLINE_BELOW: Final = 0.0002
"""Seconds that all but one in twenty of them took at most."""
COMMIT: Final = 0.0002
"""Seconds until a group is on disk, which an effect waits for."""
DEFAULT_ITEMS: Final = 10.0
_COMPUTE: Final = 0.00001
_FOR_THE_WORLD: Final = 60.0
"""Seconds that a wait for somebody or something takes, where nothing is known of it."""


class Figures(Protocol):
    """What is known of a task from earlier runs: `storage.api.TaskStatistics`, or the like.

    `duration_p50` and `output_bytes` are of the whole task, all elements of a map together.
    """

    @property
    def executions(self) -> int: ...  # noqa: D102
    @property
    def failures(self) -> int: ...  # noqa: D102
    @property
    def duration_p50(self) -> float: ...  # noqa: D102
    @property
    def duration_p95(self) -> float: ...  # noqa: D102
    @property
    def output_bytes(self) -> float: ...  # noqa: D102
    @property
    def items(self) -> float: ...  # noqa: D102


class Cost(msgspec.Struct, frozen=True):
    """What one task is expected to cost."""

    start: float
    """Seconds from the start of the run until it can begin."""
    duration: float
    """Seconds from its start to its end, all of its elements and attempts together."""
    remaining: float
    """Seconds of the longest path from its start to the end of the run."""
    rows: float
    """Elements of a map; otherwise 1."""
    width: float
    """Bytes of one row of its output."""
    executor: str
    """What carries it out, in words."""
    placement: Placement = "auto"
    """What the runtime is told; `auto` leaves the choice to it."""
    executions: int = 0
    """How many earlier executions this rests on; 0: defaults."""
    failure_rate: float = 0.0

    @property
    def end(self) -> float:
        """Seconds from the start of the run until it has ended."""
        return self.start + self.duration


class Costs(msgspec.Struct, frozen=True):
    """What a flow is expected to cost."""

    tasks: Mapping[str, Cost]
    """By task path without indexes: `build.compile`, `fetch!notify`, `finally:tidy`."""
    total: float
    """Seconds of the longest path through the main graph."""
    width: float
    """Bytes of the outputs of the flow."""


class _Default(msgspec.Struct, frozen=True):
    executor: str
    duration: float
    width: float


_BY_TYPE: Final[Mapping[str, _Default]] = {
    "http": _Default("http client", 0.1, 2048),
    "shell": _Default("child process", 0.01, 256),
    "script": _Default("child process", 0.05, 256),
    "python": _Default("thread", 0.005, 512),
    "log": _Default("inline", 0.00005, 1),
    "assert": _Default("inline", 0.00005, 1),
    "fail": _Default("inline", 0.00005, 1),
}
_OTHERWISE: Final = _Default("engine's choice", 0.05, 512)
_PLACED: Final[Mapping[Placement, str]] = {
    "inline": "inline",
    "thread": "thread",
    "process": "process",
    "worker": "worker",
}


def estimate(
    flow: Flow, figures: Mapping[str, Figures] | None = None, *, inputs: Mapping[str, Any] | None = None
) -> Costs:
    """Return what each task of a flow is expected to cost.

    Args:
        flow: checked, optimised or not.
        figures: by task path without indexes; what is missing gets defaults.
        inputs: of the run that is planned, if known: lists among them tell how
            many elements a map over them has.
    """
    estimator = _Estimator(flow, figures or {}, inputs or {})
    total = estimator.graph(flow.main, "", 0.0, 0.0)
    estimator.graph(flow.on_failure, "on_failure:", total, 0.0)
    estimator.graph(flow.finally_, "finally:", total, 0.0)
    return Costs(estimator.costs, total, _width_of(flow.outputs, 64.0))


def weights(flow: Flow, figures: Mapping[str, Figures]) -> dict[str, Weight]:
    """Return what the scheduler wants to know of each task, by path without indexes."""
    costs = estimate(flow, figures)
    return {path: Weight(cost.remaining, cost.placement == "inline") for path, cost in costs.tasks.items()}


class _Times(msgspec.Struct, frozen=True):
    """The tasks of a graph in time, by place; seconds from the start of the graph."""

    starts: list[float]
    durations: list[float]
    remaining: list[float]

    @property
    def length(self) -> float:
        return max(map(float.__add__, self.starts, self.durations), default=0.0)


class _Estimator:
    def __init__(self, flow: Flow, figures: Mapping[str, Figures], inputs: Mapping[str, Any]) -> None:
        self.costs: dict[str, Cost] = {}
        self._flow = flow
        self._figures = figures
        self._inputs = inputs
        self._sub_flows: dict[int, float] = {}
        self._graphs: dict[str, _Times] = {}
        """By prefix: a group's graph is asked for when its own duration is, and again for its tasks."""

    def graph(self, graph: Graph | None, prefix: str, start: float, tail: float) -> float:
        """Estimate a graph that begins at `start` and has `tail` seconds behind it; return its length."""
        if graph is None:
            return 0.0
        times = self._times(graph, prefix)
        for place, task in enumerate(graph.tasks):
            remaining = times.remaining[place] + tail
            self._note(task, prefix + task.id, start + times.starts[place], times.durations[place], remaining)
        return times.length

    def _times(self, graph: Graph, prefix: str) -> _Times:
        if times := self._graphs.get(prefix):
            return times
        waits = waits_of(graph.tasks)
        order = in_order(waits)
        starts, remaining = [0.0] * len(waits), [0.0] * len(waits)
        durations = [self._duration(task, prefix) for task in graph.tasks]
        for place in order:
            if waits[place]:
                starts[place] = max([starts[other] + durations[other] for other in waits[place]])
        for place in reversed(order):
            remaining[place] += durations[place]
            for other in waits[place]:
                remaining[other] = max(remaining[other], remaining[place])
        times = self._graphs[prefix] = _Times(starts, durations, remaining)
        return times

    def _note(self, task: Task, path: str, start: float, duration: float, remaining: float) -> None:
        """Write down what a task costs, and what the tasks inside it do."""
        known = self._known(path)
        rows = self._rows(task, known)
        executor, placement = _executor(task, known)
        self.costs[path] = Cost(
            start=start,
            duration=duration,
            remaining=remaining,
            rows=rows,
            width=_width(task, known, rows),
            executor=executor,
            placement=placement,
            executions=known.executions if known else 0,
            failure_rate=known.failures / known.executions if known else 0.0,
        )
        behind = remaining - duration
        if type(task.work) is Group:
            self.graph(task.work.graph, path + ".", start, behind)
        if task.on_error is not None:
            self.graph(task.on_error.graph, path + "!", start + duration, behind)
        self.graph(task.undo, path, start + duration, 0.0)

    def _known(self, path: str) -> Figures | None:
        known = self._figures.get(path)
        return known if known is not None and known.executions > 0 else None

    def _duration(self, task: Task, prefix: str) -> float:
        """Return how long a task takes, all elements together."""
        if task.pruned is not None:
            return 0.0
        if known := self._known(prefix + task.id):
            return known.duration_p50
        once = self._once(task, prefix)
        if task.timeout is not None:
            once = min(once, task.timeout)
        if task.map is not None:
            return once * math.ceil(self._rows(task, None) / max(task.map.concurrency, 1))
        return once

    def _once(self, task: Task, prefix: str) -> float:
        match task.work:
            case Compute():
                return _COMPUTE
            case Invoke(type=name, effect=effect):
                wait = COMMIT if effect == "write" and self._flow.durability == "group" else 0.0
                return wait + _BY_TYPE.get(name, _OTHERWISE).duration
            case Sleep(duration=duration):
                return _seconds(duration)
            case Wait(params=params) | Approval(params=params):
                return min(_FOR_THE_WORLD, _seconds(_given(params, "timeout"), _FOR_THE_WORLD))
            case Group(graph=graph):
                return self._times(graph, f"{prefix}{task.id}.").length
            case SubFlow(flow=flow, wait=wait):
                return self._sub_flow(flow) if wait else COMMIT
        raise AssertionError(task.work)

    def _sub_flow(self, flow: Flow | None) -> float:
        if flow is None:
            return 1.0
        if id(flow) not in self._sub_flows:
            self._sub_flows[id(flow)] = estimate(flow).total
        return self._sub_flows[id(flow)]

    def _rows(self, task: Task, known: Figures | None) -> float:
        if task.map is None:
            return 1.0
        if known is not None:
            return max(known.items, 1.0)
        count = self._count(task.map.over)
        return DEFAULT_ITEMS if count is None else float(count)

    def _count(self, over: Expr) -> int | None:
        """Return how many elements a list or mapping has, where that can be told without running."""
        match over:
            case Const(value=list() | dict() as value):
                return len(value)
            case List(items=items) | Dict(items=items):
                return len(items)
            case Member(of=Name(id="inputs"), name=name) if isinstance(self._inputs.get(name), list | dict):
                return len(self._inputs[name])
        return None


def _given(params: Expr, name: str) -> Expr | None:
    """Return a parameter, as the author gave it."""
    match params:
        case Const(at=at, value=dict() as values):
            return Const(at, values.get(name))
        case Dict(items=pairs):
            return next((value for key, value in pairs if type(key) is Const and key.value == name), None)
    return None


def _seconds(duration: Expr | None, otherwise: float = 10.0) -> float:
    match duration:
        case Const(value=int() | float() as seconds):
            return float(seconds)
        case Const(value=dt.timedelta() as value):
            return value.total_seconds()
    return otherwise


def _width(task: Task, known: Figures | None, rows: float) -> float:
    if known is not None:
        return known.output_bytes / rows
    match task.work:
        case Compute(value=value):
            return _width_of(value, 64.0)
        case Invoke(type=name):
            return _BY_TYPE.get(name, _OTHERWISE).width
        case Sleep():
            return 1.0
        case Group(graph=graph):
            return float(64 * len(graph.tasks))
    return 64.0


def _width_of(expr: Expr | None, otherwise: float) -> float:
    """Return about how many bytes a value takes."""
    match expr:
        case None:
            return 1.0
        case Const(value=value):
            return float(len(repr(value)))
        case List(items=items):
            return 1.0 + sum(_width_of(item, 16.0) for item in items)
        case Dict(items=pairs):
            return 1.0 + sum(_width_of(key, 16.0) + _width_of(value, 16.0) for key, value in pairs)
    return otherwise


def _executor(task: Task, known: Figures | None) -> tuple[str, Placement]:
    """Say what carries a task out, in words and to the runtime."""
    match task.work:
        case Compute():
            return "inline", "inline"
        case Sleep():
            return "timer", "auto"
        case Wait(signal=signal):
            return "subscription to signals" if signal else "subscription to events", "auto"
        case Approval():
            return "person", "auto"
        case SubFlow():
            return "run of its own", "auto"
        case Group():
            return "graph", "auto"
        case Invoke(type=name, executor=placement):
            if placement != "auto":
                return _PLACED.get(placement, f"the executor {placement}"), placement
            if name == "python":
                return _python_executor(task, known)
            return _BY_TYPE.get(name, _OTHERWISE).executor, "auto"
    raise AssertionError(task.work)


def _python_executor(task: Task, known: Figures | None) -> tuple[str, Placement]:
    if task.timeout is not None or task.deadline is not None:
        return "process, so that it can be ended in time; async functions inline", "auto"
    if known is not None and known.executions >= INLINE_AFTER and known.duration_p95 < INLINE_BELOW:
        return "inline, as earlier calls were short", "inline"
    return "thread; async functions inline", "auto"
