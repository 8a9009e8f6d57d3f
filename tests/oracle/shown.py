"""A flow's representation as text, for golden files: what a pass may change, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler import ir
from flowbuilder.compiler.written import written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.compiler.expressions.tree import Expr


def shown(flow: ir.Flow) -> str:
    """Return a flow as text: variables, tasks with their expressions, regions, outputs."""
    return "\n".join(_flow(flow)) + "\n"


def _flow(flow: ir.Flow) -> Iterator[str]:
    for var in flow.vars:
        yield f"var {var.name} = {_text(var.value)}"
    yield from _graph(flow.main, "")
    for title, graph in (("on_failure", flow.on_failure), ("finally", flow.finally_)):
        if graph is not None:
            yield f"{title}:"
            yield from _graph(graph, "  ")
    if flow.outputs is not None:
        yield f"outputs = {_text(flow.outputs)}"


def _graph(graph: ir.Graph, indent: str) -> Iterator[str]:
    for task in graph.tasks:
        yield from (indent + line for line in _task(task))
    for region in graph.regions:
        yield f"{indent}region of {', '.join(region.tasks)}"
        for place, (id, value) in enumerate(zip(region.tasks, region.values, strict=True)):
            for one in region.shared:
                if one.before == place:
                    yield f"{indent}  {one.name} = {_text(one.value)}"
            yield f"{indent}  {id} = {_text(value)}"


def _task(task: ir.Task) -> Iterator[str]:
    yield f"task {task.id}{' after ' + ', '.join(task.waits_for) if task.waits_for else ''}"
    if task.pruned is not None:
        yield f"  pruned: {task.pruned}"
    if task.condition is not None:
        yield f"  if {_text(task.condition)}"
    if task.map is not None:
        yield f"  for each of {_text(task.map.over)}"
    match task.work:
        case ir.Compute(value=value):
            yield f"  = {_text(value)}"
        case ir.Invoke(type=name, params=params):
            yield f"  {name} {_text(params)}"
        case ir.Sleep(duration=duration, until=until):
            yield f"  sleep {_text(duration or until)}"
        case ir.SubFlow(inputs=inputs):
            yield f"  flow {_text(inputs)}"
        case ir.Group(graph=graph, outputs=outputs):
            yield from ("  " + line for line in _graph(graph, ""))
            if outputs is not None:
                yield f"  outputs = {_text(outputs)}"
    if task.env is not None:
        yield f"  env {_text(task.env)}"
    if task.retry is not None:
        yield f"  retry {task.retry.policy.attempts} times"
    if task.on_error is not None:
        yield f"  on_error {_text(task.on_error.value)}"
        if task.on_error.graph is not None:
            yield from ("    " + line for line in _graph(task.on_error.graph, ""))


def _text(expr: Expr | None) -> str:
    return "" if expr is None else written(expr, 200)
