"""Walks a flow and makes its plan: slots, units, edges, and a function for each expression."""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.codegen.arrange import arrange, in_order
from flowbuilder.compiler.codegen.module import Module
from flowbuilder.compiler.codegen.names import Level, ScopeNames, VariableNames
from flowbuilder.compiler.codegen.regions import maybe_skipped, region_function
from flowbuilder.compiler.codegen.triggers import trigger_plan
from flowbuilder.compiler.costs import weights
from flowbuilder.compiler.expressions.references import mentions_secrets, uses_now
from flowbuilder.compiler.expressions.tree import Const, Dict
from flowbuilder.compiler.inputs import config_checker
from flowbuilder.compiler.matches import looked_up
from flowbuilder.compiler.outputs import output_checker
from flowbuilder.compiler.sensitivity import Keys
from flowbuilder.core.matching import write_path
from flowbuilder.core.plan import (
    HEADER,
    CachePlan,
    FlowPlan,
    GraphPlan,
    Hidden,
    Kind,
    LanesPlan,
    LimitsPlan,
    OnErrorPlan,
    Region,
    RepeatPlan,
    SubFlowPlan,
    TaskPlan,
    WaitPlan,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.core.span import Span


def generate(
    flow: ir.Flow,
    *,
    definition: bytes,
    check_inputs: Callable[[Mapping[str, Any]], dict[str, Any]],
    steps: int = 1_000_000,
) -> FlowPlan:
    """Make the plan of a flow that was checked, and optimised or not.

    Args:
        flow: the flow; graphs without regions run task by task.
        definition: all texts it was made of, kept with each run.
        check_inputs: returns a run's inputs with defaults, or raises `InputError`.
        steps: how many steps one evaluation of an expression may take.
    """
    plan = _FlowGenerator(flow, steps).plan(definition, check_inputs)
    plan.weigh = lambda known: arrange(plan, weights(flow, known))
    plan.weigh({})
    return plan


class _FlowGenerator:
    """The plan of one flow in the making; functions arrive when the module is compiled."""

    def __init__(self, flow: ir.Flow, steps: int) -> None:
        self._flow = flow
        self._steps = steps
        self._module = Module(flow.at.file, steps)
        self._variables = {var.name: number for number, var in enumerate(flow.vars)}
        self._workspaces = False
        self._sensitive = False
        self._keys = Keys(flow)
        self._hears_sealed = False
        self._secret_vars = _vars_that(flow, mentions_secrets)
        self._queues: dict[str, Span] = {}
        self._signals: set[str | None] = set()
        self._windows: set[float | None] = {0.0}
        self._caches_for_run = False

    def plan(
        self, definition: bytes, check_inputs: Callable[[Mapping[str, Any]], dict[str, Any]]
    ) -> FlowPlan:
        flow = self._flow
        main_level = Level(None, _slots(flow.main))
        main = self._graph(flow.main, main_level, "")
        handlers, level = [], main_level
        for graph, prefix in ((flow.on_failure, "on_failure:"), (flow.finally_, "finally:")):
            if graph is not None:
                # `finally` sees the tasks of `on_failure` too: its scope lies inside
                level = Level(level, _slots(graph), error=True)
            handlers.append(self._graph(graph, level, prefix) if graph is not None else None)
        plan = FlowPlan(
            name=flow.name,
            content_hash=flow.content_hash,
            definition=definition,
            main=main,
            on_failure=handlers[0],
            finally_=handlers[1],
            outputs=None,
            vars=(),
            check_inputs=check_inputs,
            env=flow.env,
            secrets=flow.secrets,
            labels=flow.labels,
            timezone=flow.timezone,
            timeout=flow.timeout,
            fail_fast=flow.fail_fast,
            priority=flow.priority,
            durability=flow.durability,
            sensitive_inputs=frozenset(entry.name for entry in flow.inputs if entry.sensitive),
            seals=flow.sensitive or self._sensitive or any(entry.sensitive for entry in flow.inputs),
            sealed=flow.sensitive,
            hears_sealed=self._hears_sealed,
            weigh=lambda _figures: None,
            list_code=str,
            lanes=self._lanes(),
            queues=self._queues,
            signals=None if None in self._signals else frozenset(filter(None, self._signals)),
            window=None if None in self._windows else max(filter(None, self._windows), default=0.0),
            caches_for_run=self._caches_for_run,
            namespace=flow.namespace,
            check_config=config_checker(flow),
            connections={needed.name: needed.type for needed in flow.connections},
        )
        if flow.deadline is not None:
            self._set(plan, "deadline", flow.deadline, Level(None), flow.at.line)
        if flow.outputs is not None:
            self._set(plan, "outputs", flow.outputs, main_level, flow.at.line)
        variables: list[Any] = [None] * len(flow.vars)  # what is constant is known before what is compiled
        for number, var in enumerate(flow.vars):
            names = VariableNames(Level(None), self._variables)
            keep = functools.partial(variables.__setitem__, number)
            self._module.function(var.value, names, keep, var.at.line)
        plan.triggers = tuple([trigger_plan(self._module, one, flow.timezone) for one in flow.triggers])
        plan.workspaces = self._workspaces
        plan.list_code = self._module.compile()
        plan.vars = tuple(variables)
        return plan

    # -- graphs ----------------------------------------------------------------

    def _graph(self, graph: ir.Graph, level: Level, prefix: str) -> GraphPlan:
        tasks = {task.id: task for task in graph.tasks}
        fused = {id for region in graph.regions for id in region.tasks}
        plans = {id: self._task(task, level, prefix, id in fused) for id, task in tasks.items()}
        units: list[TaskPlan | Region] = []
        for region in graph.regions:
            units.append(self._region(region, tasks, plans, level))
            for id in region.tasks:
                plans[id].unit = len(units) - 1
        for id, plan in plans.items():
            if id not in fused:
                plan.unit = len(units)
                units.append(plan)
        return _wire(tuple(plans.values()), units)

    def _region(
        self, fused: ir.Fused, tasks: Mapping[str, ir.Task], plans: Mapping[str, TaskPlan], level: Level
    ) -> Region:
        members = tuple(plans[id] for id in fused.tasks)
        inside = {task.slot for task in members}
        region = Region(
            tasks=members,
            function=_not_compiled,
            ids=fused.tasks,
            always=not maybe_skipped(fused, tasks),
            needs=tuple(sorted({slot for task in members for slot in task.needs} - inside)),
            slots=tuple(task.slot for task in members),
        )
        definition = region_function(
            self._module.next_name(), fused, tasks, level, self._variables, self._steps
        )

        def receive(function: Any) -> None:
            region.function = function

        self._module.add(definition, receive, members[0].at.line)
        return region

    # -- tasks -------------------------------------------------------------------

    def _task(self, task: ir.Task, level: Level, prefix: str, fused: bool) -> TaskPlan:
        path = prefix + task.id
        self._sensitive = self._sensitive or task.sensitive
        if task.sensitive and type(task.work) is ir.Wait and task.work.signal:
            self._hears_sealed = True
        expressions = _expressions(task)
        plan = TaskPlan(
            id=task.id,
            slot=level.slots[task.id],
            at=task.at,
            kind=_kind(task.work),
            unit=-1,
            needs=tuple(level.slots[id] for id in task.needs if id in level.slots),
            waits=tuple(level.slots[id] for id in task.waits_for if id in level.slots),
            rule=task.run_when,
            pruned=task.pruned,
            timeout=task.timeout,
            deadline=task.deadline,
            retry=task.retry.policy if task.retry is not None else None,
            on_crash=task.on_crash,
            priority=task.priority,
            sensitive=task.sensitive,
            uses_now=any(map(uses_now, expressions)),
            uses_secrets=bool(self._flow.secrets) and any(map(self._is_secret, expressions)),
        )
        line = task.at.line
        if task.condition is not None and task.pruned is None:
            self._set(plan, "condition", task.condition, level, line, condition=True)
        inner = level
        if task.map is not None:
            self._set(plan, "over", task.map.over, level, line)
            plan.concurrency = task.map.concurrency
            plan.tolerate = task.map.tolerate
        if task.map is not None or task.repeat is not None:
            alias = task.map.alias if task.map is not None else None
            loop = task.repeat is not None
            inner = Level(level, element=task.map is not None, alias=alias, loop=loop, output=loop)
        self._work(plan, task.work, inner, path, line, fused)
        if task.env is not None:
            self._set(plan, "env", task.env, inner, line)
        if task.idempotency_key is not None:
            self._set(plan, "idempotency_key", task.idempotency_key, inner, line)
        if task.retry is not None and task.retry.condition is not None:
            self._set(plan, "retry_if", task.retry.condition, inner, line, error_here=True, condition=True)
        if task.on_error is not None:
            plan.on_error = self._on_error(task.on_error, inner, path, line)
        if task.limits is not None:
            plan.limits = self._limits(task.limits, inner, path, line, task.sensitive)
        if task.undo is not None:
            undo = Level(inner, _slots(task.undo), error=True, output=True)
            plan.undo = self._graph(task.undo, undo, path)
            plan.effect = "write"  # what is to be undone waits for the disk, or a crash could forget it
        plan.undoes = plan.undo is not None or any(g is not None and g.undoes for g in _inside(plan))
        self._layers(plan, task, inner, path)
        return plan

    def _layers(self, plan: TaskPlan, task: ir.Task, level: Level, path: str) -> None:
        """Fill in what lies around the attempts: the schema of what they yield, rounds, a cache."""
        line = task.at.line
        if task.schema is not None:
            plan.schema = output_checker(task.schema)
        if task.repeat is not None:
            repeat = task.repeat
            plan.repeat = RepeatPlan(_not_compiled, repeat.until, repeat.max, repeat.delay)
            self._set(plan.repeat, "test", repeat.test, level, line, condition=True)
            if repeat.state is not None:
                self._set(plan.repeat, "state", repeat.state, level, line)
            if repeat.collect is not None:
                self._set(plan.repeat, "collect", repeat.collect, level, line)
        if task.cache is not None:
            self._caches_for_run |= task.cache.scope == "run"
            plan.cache = CachePlan(_not_compiled, task.cache.ttl, task.cache.scope, path)
            self._set_key(plan.cache, "key", task.cache.key, level, line, sensitive=task.sensitive)
        plan.layered = plan.repeat is not None or plan.cache is not None or plan.schema is not None
        plan.bare = _is_bare(plan)
        plan.simple = plan.bare and plan.over is None

    def _work(self, plan: TaskPlan, work: ir.Work, level: Level, path: str, line: int, fused: bool) -> None:
        match work:
            case ir.Compute(value) if fused:
                plan.value = self._module.deferred(value, ScopeNames(level, self._variables), line)
            case ir.Compute(value):
                self._set(plan, "value", value, level, line)
            case ir.Invoke(type, params, effect, executor):
                plan.type, plan.effect, plan.executor = type, effect, executor
                self._set(plan, "value", params, level, line)
            case ir.Sleep(duration, until):
                plan.type = "sleep"
                plan.until = until is not None
                self._set(plan, "value", duration if until is None else until, level, line)  # type: ignore[arg-type]
            case ir.Wait(params=params):
                plan.type = "wait"
                self._set(plan, "value", params, level, line)
                plan.wait = self._wait(work, level, line)
            case ir.Approval(params=params):
                plan.type = "approval"
                self._set(plan, "value", params, level, line)
                plan.wait = WaitPlan(signal=True)
            case ir.SubFlow():
                plan.type, plan.effect = "flow", "write"
                plan.sub_flow = self._sub_flow(work, level, line)
            case ir.Group(graph, outputs):
                plan.type = "group"
                plan.workspace = work.workspace
                self._workspaces = self._workspaces or work.workspace
                body = Level(level, _slots(graph))
                plan.body = self._graph(graph, body, path + ".")
                if outputs is not None:
                    self._set(plan, "body_outputs", outputs, body, line)

    def _wait(self, work: ir.Wait, level: Level, line: int) -> WaitPlan:
        plan = WaitPlan(signal=work.signal)
        if work.signal:
            name = _constant(work.params, "name")
            self._signals.add(name if type(name) is str else None)
        elif (window := _constant(work.params, "window")) is not _NOT_THERE:
            seconds = window.total_seconds() if isinstance(window, dt.timedelta) else window
            self._windows.add(float(seconds) if type(seconds) in (int, float) else None)
        if work.filter is not None:
            self._set(plan, "filter", work.filter, Level(level, event=True), line, condition=True)
            found = None if work.signal else looked_up(work.filter)
            if found is not None:
                path, value = found
                plan.member = write_path(path)
                self._set_key(plan, "key", value, level, line)
        return plan

    def _sub_flow(self, work: ir.SubFlow, level: Level, line: int) -> SubFlowPlan:
        plan = SubFlowPlan(work.flow, None, _not_compiled, work.wait, None, work.fixed)
        self._set(plan, "inputs", work.inputs, level, line)
        plan.hidden = self._hidden_inputs(work.inputs)
        if work.name is not None:
            self._set(plan, "name", work.name, level, line)
        if work.key is not None:
            self._set_key(plan, "key", work.key, level, line)
        return plan

    def _hidden_inputs(self, inputs: Expr) -> tuple[str, ...]:
        """Return the names of inputs that are given something sensitive, as far as the text tells."""
        pairs = inputs.items if type(inputs) is Dict else ()
        found = [str(key.value) for key, value in pairs if type(key) is Const and self._keys.hides(value)]
        self._sensitive = self._sensitive or bool(found)
        return tuple(found)

    def _on_error(self, on_error: ir.OnError, level: Level, path: str, line: int) -> OnErrorPlan:
        plan = OnErrorPlan(on=on_error.on, value=None, graph=None)
        if on_error.value is not None:
            self._set(plan, "value", on_error.value, level, line, error_here=True)
        if on_error.graph is not None:
            inner = Level(level, _slots(on_error.graph), error=True)
            plan.graph = self._graph(on_error.graph, inner, path + "!")
        return plan

    def _limits(
        self, limits: ir.TaskLimits, level: Level, path: str, line: int, sensitive: bool
    ) -> LimitsPlan:
        plan = LimitsPlan(f"{self._flow.name}/{path}", self._flow.name, resources=limits.resources)
        for name, bound in (("rate", limits.rate), ("breaker", limits.breaker), ("queue", limits.queue)):
            if bound is None:
                continue
            if isinstance(bound, ir.Queue):
                plan.queue = bound.name
                self._queues.setdefault(bound.name, bound.at)
            else:
                setattr(plan, name, bound.policy)
            if bound.key is not None:
                self._set_key(plan, name + "_key", bound.key, level, line, sensitive=sensitive)
        return plan

    def _lanes(self) -> LanesPlan | None:
        flow, plan = self._flow, LanesPlan()
        for name, bound in (("concurrency", flow.concurrency), ("debounce", flow.debounce)):
            if bound is not None:
                setattr(plan, name, bound.policy)
                if bound.key is not None:
                    self._set_key(plan, name + "_key", bound.key, Level(None), flow.at.line)
        return plan if plan.concurrency is not None or plan.debounce is not None else None

    def _set(
        self,
        plan: Any,
        field: str,
        expr: Expr,
        level: Level,
        line: int,
        *,
        error_here: bool = False,
        condition: bool = False,
        hidden: bool = False,
    ) -> None:
        """Have a field of a plan filled when the module is compiled."""
        names = ScopeNames(level, self._variables, error_here=error_here)

        def fill(function: Any) -> None:
            setattr(plan, field, Hidden(function) if hidden else function)

        self._module.function(expr, names, fill, line, condition=condition)

    def _set_key(
        self, plan: Any, field: str, expr: Expr, level: Level, line: int, *, sensitive: bool = False
    ) -> None:
        """As `_set`, for what is only compared: it is hidden where it may hold something sensitive."""
        hidden = sensitive or self._keys.hides(expr)
        self._sensitive = self._sensitive or hidden
        self._set(plan, field, expr, level, line, hidden=hidden)

    def _is_secret(self, expr: Expr) -> bool:
        return mentions_secrets(expr, self._secret_vars)


def _wire(listed: tuple[TaskPlan, ...], units: list[TaskPlan | Region]) -> GraphPlan:
    """Count what leads into each unit, and note for each task what it leads to."""
    tasks = tuple(sorted(listed, key=lambda task: task.slot))
    opens = [0] * len(units)
    waiting: list[list[int]] = [[] for _ in tasks]
    for task in tasks:
        for slot in task.waits:
            if tasks[slot].unit != task.unit:
                waiting[slot].append(task.unit)
                opens[task.unit] += 1
    for task, dependants in zip(tasks, waiting, strict=True):
        task.dependants = tuple(dependants)
    graph = GraphPlan(
        tasks=tasks,
        units=tuple(units),
        opens=tuple(opens),
        first=tuple(number for number, count in enumerate(opens) if not count),
        template=[None] * (HEADER + len(tasks)),
        undoes=any(task.undoes for task in tasks),
        listed=listed,
    )
    in_order(graph)
    return graph


_NOT_THERE: Final = object()


def _constant(params: Expr, name: str) -> Any:
    """Return a parameter's value where that is known before a run, else None; `_NOT_THERE` if it has none."""
    match params:
        case Const(value=dict() as known):
            return known.get(name, _NOT_THERE)
        case Dict(items=items):
            for key, value in items:
                if type(key) is Const and key.value == name:
                    return value.value if type(value) is Const else None
            return _NOT_THERE
    return None


def _slots(graph: ir.Graph) -> dict[str, int]:
    """Number the tasks of a graph; those of a region lie side by side, so that it stores a slice."""
    order = [id for region in graph.regions for id in region.tasks]
    seen = set(order)
    order += [task.id for task in graph.tasks if task.id not in seen]
    return {id: slot for slot, id in enumerate(order)}


def _kind(work: ir.Work) -> Kind:
    match work:
        case ir.Compute():
            return "compute"
        case ir.Invoke():
            return "invoke"
        case ir.Sleep():
            return "sleep"
        case ir.Wait():
            return "wait"
        case ir.Approval():
            return "approval"
        case ir.SubFlow():
            return "flow"
        case _:
            return "group"


def _is_bare(plan: TaskPlan) -> bool:
    """Tell whether a task is nothing but an expression: it cannot be retried, rescued or cut off."""
    alone = plan.on_error is None and plan.retry is None and plan.undo is None and not plan.layered
    return plan.kind == "compute" and alone


def _inside(plan: TaskPlan) -> tuple[GraphPlan | None, ...]:
    """Return the graphs that run inside a task."""
    return plan.body, plan.on_error.graph if plan.on_error is not None else None


def _expressions(task: ir.Task) -> list[Expr]:
    """Return the expressions of a task that are evaluated for an attempt."""
    found: list[Expr | None] = [task.env, task.idempotency_key, task.condition]
    match task.work:
        case ir.Compute(value):
            found.append(value)
        case ir.Invoke(_, params):
            found.append(params)
        case ir.Sleep(duration, until):
            found += [duration, until]
        case ir.Wait(params=params, filter=filter):
            found += [params, filter]
        case ir.Approval(params):
            found.append(params)
        case ir.SubFlow(_, name, inputs, _, key):
            found += [name, inputs, key]
        case ir.Group(_, outputs):
            found.append(outputs)
    if task.map is not None:
        found.append(task.map.over)
    if task.repeat is not None:
        found += [task.repeat.test, task.repeat.state, task.repeat.collect]
    return [expr for expr in found if expr is not None]


def _vars_that(flow: ir.Flow, asks: Callable[..., bool]) -> frozenset[str]:
    """Return the variables whose value `asks` holds for, also by way of other variables."""
    found: set[str] = set()
    while True:
        more = {v.name for v in flow.vars if v.name not in found and asks(v.value, frozenset(found))}
        if not more:
            return frozenset(found)
        found |= more


def _not_compiled(_scope: Any) -> Any:
    raise AssertionError("the module was not compiled")
