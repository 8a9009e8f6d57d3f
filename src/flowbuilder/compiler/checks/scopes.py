"""Where each expression of a flow stands, and what it can see from there."""

from __future__ import annotations

import dataclasses
from collections import ChainMap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.tree import Const, Dict
from flowbuilder.core.triggers import EventTrigger, WebhookTrigger

if TYPE_CHECKING:
    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.core.catalogue import TaskSpec

Seen = ChainMap[str, ir.Task]
"""Tasks by id, the innermost graph first."""

EVERYWHERE: Final = frozenset({"inputs", "vars", "env", "secrets", "run", "trigger", "config"})
"""Names that mean something in every expression."""
BEFORE_A_RUN: Final = EVERYWHERE - {"run"}
"""Names that mean something before a run has begun."""
OF_TRIGGERS: Final = frozenset({"trigger", "env", "config"})
"""Names that mean something in a trigger."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """What an expression sees."""

    where: str
    """In words: `task 'fetch'`, `'outputs'`."""
    names: frozenset[str]
    tasks: Mapping[str, ir.Task]
    """Tasks by id that may be read."""
    secrets: bool = False
    """Whether it may mention secrets."""
    momentary: bool = True
    """Whether its value may depend on when it is asked: `now()`, `uuid()`."""
    condition: bool = False
    event: bool = False
    """Whether `event` stands for an event that came."""


def sites(flow: ir.Flow, catalogue: Mapping[str, TaskSpec]) -> Iterator[tuple[Expr, Scope]]:
    """Yield every expression of a flow with its scope, in no order that means anything."""
    for var in flow.vars:
        yield var.value, Scope("'vars'", EVERYWHERE, {}, secrets=True)
    names = EVERYWHERE | {"tasks"}
    seen: Seen = ChainMap()
    for graph, handler in ((flow.main, False), (flow.on_failure, True), (flow.finally_, True)):
        if graph is not None:
            seen = _with(seen, graph)
            yield from _of_graph(graph, names | {"error"} if handler else names, seen, catalogue)
    for key, bound in (("concurrency", flow.concurrency), ("debounce", flow.debounce)):
        if bound is not None and bound.key is not None:
            yield bound.key, Scope(f"'{key}'", BEFORE_A_RUN, {}, momentary=False)
    if flow.deadline is not None:
        yield flow.deadline, Scope("'deadline'", EVERYWHERE - {"secrets"}, {})
    if flow.outputs is not None:
        yield flow.outputs, Scope("'outputs'", names, {task.id: task for task in flow.main.tasks})
    for trigger in flow.triggers:
        yield from _of_trigger(trigger)


def _of_trigger(trigger: ir.Trigger) -> Iterator[tuple[Expr, Scope]]:
    """Yield what stands in a trigger.  There is no run yet: nothing of one means anything."""
    where = f"trigger '{trigger.name}'"
    names = OF_TRIGGERS | ({"event"} if type(trigger.kind) in (EventTrigger, WebhookTrigger) else set())
    if trigger.condition is not None:
        yield trigger.condition, Scope(where, names, {}, condition=True)
    if trigger.filter is not None:
        yield trigger.filter, Scope(where, names, {}, condition=True)
    if trigger.inputs is not None:
        yield trigger.inputs, Scope(where, names, {})
    if trigger.key is not None:
        yield trigger.key, Scope(where, names, {}, momentary=False)


def _of_graph(
    graph: ir.Graph,
    names: frozenset[str],
    seen: Seen,
    catalogue: Mapping[str, TaskSpec],
    undone: str | None = None,
) -> Iterator[tuple[Expr, Scope]]:
    """Yield what stands in a graph; `seen` has its own tasks and those around it; `undone`: whom it reverses."""
    for task in graph.tasks:
        where = f"task '{task.id}'" if undone is None else f"the undo of {undone}"
        once = Scope(where, names, seen)
        if task.condition is not None:
            yield task.condition, Scope(where, names, seen, condition=True)
        inner = names
        if task.map is not None:
            yield task.map.over, once
            inner = names | {"item", "index"}
            if task.map.alias is not None:
                inner |= {task.map.alias, f"{task.map.alias}_index"}
        if task.cache is not None:
            yield task.cache.key, Scope(where, inner, seen, momentary=False)
        if task.repeat is not None:
            yield from _of_repeat(task.repeat, where, inner, seen)
            inner |= {"loop"}
        each = Scope(where, inner, seen)
        yield from _of_task(task, where, inner, seen)
        yield from _of_work(task.work, each, catalogue)
        if type(task.work) is ir.Group:
            inside = _with(seen, task.work.graph)
            yield from _of_graph(task.work.graph, inner, inside, catalogue)
            if task.work.outputs is not None:
                yield task.work.outputs, Scope(where, inner, inside)
        if task.on_error is not None and task.on_error.graph is not None:
            inside = _with(seen, task.on_error.graph)
            yield from _of_graph(task.on_error.graph, inner | {"error"}, inside, catalogue)
        if task.undo is not None:  # all tasks have ended by then: it sees whatever its own task could
            yield from _of_graph(task.undo, inner | {"output", "error"}, seen, catalogue, where)


def _with(seen: Seen, graph: ir.Graph) -> Seen:
    """Return what is seen inside a graph.  A chain and no copy: a flow may have thousands of groups."""
    return seen.new_child({task.id: task for task in graph.tasks})


def _of_repeat(
    repeat: ir.Repeat, where: str, names: frozenset[str], seen: Mapping[str, ir.Task]
) -> Iterator[tuple[Expr, Scope]]:
    """Yield what decides over the rounds of a task; the initial state is worked out before any of them."""
    if repeat.state is not None:
        yield repeat.state, Scope(where, names, seen)
    behind = names | {"loop", "output"}
    asked = behind if repeat.until else names | {"loop"}
    yield repeat.test, Scope(where, asked, seen, condition=True)
    if repeat.collect is not None:
        yield repeat.collect, Scope(where, behind, seen)


def _of_task(
    task: ir.Task, where: str, names: frozenset[str], seen: Mapping[str, ir.Task]
) -> Iterator[tuple[Expr, Scope]]:
    if task.env is not None:
        yield task.env, Scope(where, names, seen, secrets=True)
    if task.idempotency_key is not None:
        yield task.idempotency_key, Scope(where, names, seen, momentary=False)
    if task.limits is not None:
        for bound in (task.limits.rate, task.limits.breaker, task.limits.queue):
            if bound is not None and bound.key is not None:
                yield bound.key, Scope(where, names, seen, momentary=False)
    if task.retry is not None and task.retry.condition is not None:
        yield task.retry.condition, Scope(where, names | {"error"}, seen, condition=True)
    if task.on_error is not None and task.on_error.value is not None:
        yield task.on_error.value, Scope(where, names | {"error"}, seen)


def _of_work(work: ir.Work, scope: Scope, catalogue: Mapping[str, TaskSpec]) -> Iterator[tuple[Expr, Scope]]:
    match work:
        case ir.Compute(value):
            yield value, scope
        case ir.Invoke(type=name, params=params):
            yield from _of_params(params, scope, catalogue.get(name))
        case ir.Sleep(duration, until):
            yield from ((expr, scope) for expr in (duration, until) if expr is not None)
        case ir.Wait(params=params, filter=condition):
            yield params, scope
            if condition is not None:
                names = scope.names | {"event"}
                yield condition, dataclasses.replace(scope, names=names, condition=True, event=True)
        case ir.Approval(params=params):
            yield params, scope
        case ir.SubFlow(name=flow_name, inputs=inputs, key=key):
            yield from ((expr, scope) for expr in (flow_name, inputs, key) if expr is not None)
        case _:
            pass


def _of_params(params: Expr, scope: Scope, spec: TaskSpec | None) -> Iterator[tuple[Expr, Scope]]:
    """Yield the parameters of a call, each with what its role allows."""
    if type(params) is not Dict or spec is None or not spec.roles:
        yield params, scope
        return
    secret = dataclasses.replace(scope, secrets=True)
    for key, value in params.items:
        name = key.value if type(key) is Const else ""
        yield value, secret if "secret" in spec.roles.get(str(name), ()) else scope
