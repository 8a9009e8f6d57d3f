"""What is sensitive should not be shown or kept by what is not.

A task's `sensitive` says that its output is encrypted in the store; what
another task computes from it is that task's own output.  So the author is
warned where such a value flows on into something that is kept or shown.
"""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.checks.subject import Subject, all_graphs
from flowbuilder.compiler.expressions.tree import Const, Dict, Expr
from flowbuilder.compiler.sensitivity import Seen, Sensitivity
from flowbuilder.core.plan import UNDO

if TYPE_CHECKING:
    from flowbuilder.compiler.findings import Findings

_KEEPERS: Final = frozenset({"log", "emit", "fail", "assert", "kv", "approval", "wait"})
"""Task types that keep or show what they are given."""

_TOO: Final = "say `sensitive: true` there too, or leave the value out"


def check_sensitive(subject: Subject, findings: Findings) -> None:
    """Warn of sensitive values that flow into what is not sensitive."""
    flow = subject.flow
    if not any(entry.sensitive for entry in flow.inputs) and not any(
        _any_sensitive(graph) for _, graph in subject.graphs()
    ):
        return
    look = _Look(Sensitivity.of(flow), findings)
    seen: Seen = ChainMap()
    for _, graph in subject.graphs():
        seen = seen.new_child({task.id: task for task in graph.tasks})
        look.graph(graph, seen, None)
    if flow.outputs is not None:
        look.at(
            flow.outputs,
            "an output of the run shows",
            ChainMap({t.id: t for t in flow.main.tasks}),
            None,
            "leave the value out: the outputs of a run are shown to people",
        )


def _any_sensitive(graph: ir.Graph) -> bool:
    return any(task.sensitive for each in all_graphs(graph) for task in each.tasks)


class _Look:
    """Goes through a flow with what is known to be sensitive."""

    def __init__(self, sensitivity: Sensitivity, findings: Findings) -> None:
        self._sensitivity = sensitivity
        self._findings = findings

    def graph(self, graph: ir.Graph, seen: Seen, undone: ir.Task | None) -> None:
        """Look at the tasks of a graph; `undone`: whose output is `output` there."""
        for task in graph.tasks:
            if not task.sensitive:
                self._task(task, seen, undone)
            elif type(task.work) is ir.Approval:
                what = f"what {_named(task, undone)} asks for is shown to people, and holds"
                self.at(task.work.params, what, seen, undone, "leave the value out")
            if type(task.work) is ir.Group:
                inside = seen.new_child({inner.id: inner for inner in task.work.graph.tasks})
                if task.work.outputs is not None and not task.sensitive:
                    self.at(
                        task.work.outputs,
                        f"the output of {_named(task)} is not sensitive, and shows",
                        inside,
                        undone,
                    )
                self.graph(task.work.graph, inside, undone)
            if task.on_error is not None and task.on_error.graph is not None:
                inside = seen.new_child({inner.id: inner for inner in task.on_error.graph.tasks})
                self.graph(task.on_error.graph, inside, undone)
            if task.undo is not None:
                self.graph(task.undo, seen, task)

    def _task(self, task: ir.Task, seen: Seen, undone: ir.Task | None) -> None:
        where = _named(task, undone)
        shows = f"the output of {where} is not sensitive, and shows"
        if task.map is not None:
            self.at(task.map.over, f"{where} is not sensitive, and its errors show", seen, undone)
        if task.on_error is not None and task.on_error.value is not None:
            self.at(task.on_error.value, shows, seen, undone)
        match task.work:
            case ir.Compute(value):
                self.at(value, shows, seen, undone)
            case ir.Invoke(type=name, params=params) if name in _KEEPERS:
                self.at(params, f"{where} shows or keeps", seen, undone)
            case ir.SubFlow(flow=flow, inputs=inputs):
                self._inputs_of(flow, inputs, where, seen, undone)

    def _inputs_of(
        self, flow: ir.Flow | None, inputs: Expr, where: str, seen: Seen, undone: ir.Task | None
    ) -> None:
        taken = {entry.name for entry in flow.inputs if entry.sensitive} if flow is not None else set()
        pairs = inputs.items if type(inputs) is Dict else ()
        for key, value in pairs:
            if not (type(key) is Const and key.value in taken):
                self.at(
                    value,
                    f"the run that {where} starts is given, as an input that is not sensitive,",
                    seen,
                    undone,
                )
        if not pairs:
            self.at(inputs, f"the run that {where} starts keeps, among its inputs,", seen, undone)

    def at(self, expr: Expr, what: str, seen: Seen, undone: ir.Task | None, hint: str = _TOO) -> None:
        """Warn of each place of an expression that holds something sensitive."""
        for part, name in self._sensitivity.found(expr, seen, undone):
            self._findings.warn("FB277", f"{what} {name}, which is sensitive", part.at.span, hint)


def _named(task: ir.Task, undone: ir.Task | None = None) -> str:
    if task.id == UNDO and undone is not None:
        return f"the undo of task '{undone.id}'"
    return f"task '{task.id}'"
