"""All expressions of a flow, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flowbuilder.compiler import ir
from flowbuilder.compiler.checks.subject import inner_graphs

if TYPE_CHECKING:
    from flowbuilder.compiler.expressions.tree import Expr


def all_expressions(flow: ir.Flow) -> Iterator[Expr]:
    """Yield every expression of a flow, those of its sub-flows not among them."""
    for var in flow.vars:
        yield var.value
    for graph in (flow.main, flow.on_failure, flow.finally_):
        if graph is not None:
            yield from _of_graph(graph)
    if flow.outputs is not None:
        yield flow.outputs
    for trigger in flow.triggers:
        for expr in (trigger.condition, trigger.filter, trigger.inputs, trigger.key):
            if expr is not None:
                yield expr
    if flow.deadline is not None:
        yield flow.deadline


def _of_graph(graph: ir.Graph) -> Iterator[Expr]:
    for task in graph.tasks:
        for expr in (*_of_task(task), *_of_work(task.work)):
            if expr is not None:
                yield expr
        for inner in inner_graphs(task):
            yield from _of_graph(inner)


def _of_task(task: ir.Task) -> tuple[Expr | None, ...]:
    return (
        task.condition,
        task.map.over if task.map is not None else None,
        task.env,
        task.idempotency_key,
        task.retry.condition if task.retry is not None else None,
        task.on_error.value if task.on_error is not None else None,
        *((task.repeat.test, task.repeat.state, task.repeat.collect) if task.repeat is not None else ()),
        task.cache.key if task.cache is not None else None,
    )


def _of_work(work: ir.Work) -> tuple[Expr | None, ...]:
    match work:
        case ir.Compute(value):
            return (value,)
        case ir.Invoke(params=params):
            return (params,)
        case ir.Sleep(duration, until):
            return (duration, until)
        case ir.Wait(params=params, filter=filter):
            return (params, filter)
        case ir.Approval(params=params):
            return (params,)
        case ir.SubFlow(name=name, inputs=inputs, key=key):
            return (name, inputs, key)
        case ir.Group(outputs=outputs):
            return (outputs,)
