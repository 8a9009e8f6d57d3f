"""Only what the main graph does is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler.checks.subject import Subject, all_graphs, inner_graphs
from flowbuilder.core.plan import UNDO

if TYPE_CHECKING:
    from flowbuilder.compiler import ir
    from flowbuilder.compiler.findings import Findings


def check_undos(subject: Subject, findings: Findings) -> None:
    """Report undos of tasks that run when undoing is over, or that undo something themselves."""
    for name, graph in subject.graphs():
        _check(
            graph,
            f"it stands in '{name}', which runs when all that is to be undone has been",
            findings,
            name != "main",
        )


def _check(graph: ir.Graph, why: str, findings: Findings, refused: bool) -> None:
    if refused:
        for each in all_graphs(graph):
            for task in each.tasks:
                if task.undo is not None:
                    findings.error("FB275", f"{_named(task)} cannot have an undo", task.undo.tasks[0].at, why)
        return
    for task in graph.tasks:
        for inner in inner_graphs(task):
            _check(inner, f"it is part of the undo of task '{task.id}'", findings, inner is task.undo)


def _named(task: ir.Task) -> str:
    return "an undo" if task.id == UNDO else f"task '{task.id}'"
