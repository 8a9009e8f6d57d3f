"""What checks look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from flowbuilder.compiler import ir

if TYPE_CHECKING:
    from flowbuilder.compiler.lower.context import Context
    from flowbuilder.compiler.nodes import Scalar

Handler = Literal["main", "on_failure", "finally"]


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """A flow, and what its file knows beyond it."""

    flow: ir.Flow
    ctx: Context
    secrets: tuple[Scalar, ...]
    """Where each declared secret stands."""

    def graphs(self) -> Iterator[tuple[Handler, ir.Graph]]:
        """Yield the graphs of the flow itself, in the order in which they run."""
        yield "main", self.flow.main
        if self.flow.on_failure is not None:
            yield "on_failure", self.flow.on_failure
        if self.flow.finally_ is not None:
            yield "finally", self.flow.finally_


def inner_graphs(task: ir.Task) -> Iterator[ir.Graph]:
    """Yield the graphs inside a task: a group's, that of `on_error`, that of `undo`."""
    if type(task.work) is ir.Group:
        yield task.work.graph
    if task.on_error is not None and task.on_error.graph is not None:
        yield task.on_error.graph
    if task.undo is not None:
        yield task.undo


def all_graphs(graph: ir.Graph) -> Iterator[ir.Graph]:
    """Yield a graph and all graphs inside of it, in file order."""
    yield graph
    for task in graph.tasks:
        for inner in inner_graphs(task):
            yield from all_graphs(inner)
