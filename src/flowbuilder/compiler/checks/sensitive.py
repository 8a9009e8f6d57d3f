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
from flowbuilder.compiler.expressions.tree import Call, Compare, Const, Dict, Expr, Member, Name
from flowbuilder.compiler.expressions.walk import children
from flowbuilder.core.plan import UNDO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.compiler.findings import Findings

_TELL_NOTHING: Final = frozenset({"len", "exists", "sha256", "hmac_sha256", "bool"})
"""Functions whose results tell nothing of what they are given."""

_KEEPERS: Final = frozenset({"log", "emit", "fail", "assert", "kv", "approval", "wait"})
"""Task types that keep or show what they are given."""

Seen = ChainMap[str, ir.Task]


def check_sensitive(subject: Subject, findings: Findings) -> None:
    """Warn of sensitive values that flow into what is not sensitive."""
    flow = subject.flow
    inputs = frozenset(entry.name for entry in flow.inputs if entry.sensitive)
    if not inputs and not any(_any_sensitive(graph) for _, graph in subject.graphs()):
        return
    look = _Look(inputs, _variables(flow, inputs), findings)
    seen: Seen = ChainMap()
    for _, graph in subject.graphs():
        seen = seen.new_child({task.id: task for task in graph.tasks})
        look.graph(graph, seen, None)
    if flow.outputs is not None:
        look.at(
            flow.outputs, "an output of the run shows", ChainMap({t.id: t for t in flow.main.tasks}), None
        )


def _any_sensitive(graph: ir.Graph) -> bool:
    return any(task.sensitive for each in all_graphs(graph) for task in each.tasks)


def _variables(flow: ir.Flow, inputs: frozenset[str]) -> frozenset[str]:
    """Return the variables that hold sensitive inputs, directly or by way of others."""
    found: set[str] = set()
    while True:
        look = _Look(inputs, frozenset(found), None)
        more = {
            var.name
            for var in flow.vars
            if var.name not in found and any(look.found(var.value, ChainMap(), None))
        }
        if not more:
            return frozenset(found)
        found |= more


class _Look:
    """Goes through a flow with what is known to be sensitive."""

    def __init__(self, inputs: frozenset[str], variables: frozenset[str], findings: Findings | None) -> None:
        self._inputs = inputs
        self._variables = variables
        self._findings = findings

    def graph(self, graph: ir.Graph, seen: Seen, undone: ir.Task | None) -> None:
        """Look at the tasks of a graph; `undone`: whose output is `output` there."""
        for task in graph.tasks:
            if not task.sensitive:
                self._task(task, seen, undone)
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
                    f"the run that {where} starts keeps, as an input that is not sensitive,",
                    seen,
                    undone,
                )
        if not pairs:
            self.at(inputs, f"the run that {where} starts keeps, among its inputs,", seen, undone)

    def at(self, expr: Expr, what: str, seen: Seen, undone: ir.Task | None) -> None:
        """Warn of each place of an expression that holds something sensitive."""
        for part, name in self.found(expr, seen, undone):
            if self._findings is not None:
                self._findings.warn(
                    "FB277",
                    f"{what} {name}, which is sensitive",
                    part.at.span,
                    "say `sensitive: true` there too, or leave the value out",
                )

    def found(self, expr: Expr, seen: Seen, undone: ir.Task | None) -> Iterator[tuple[Expr, str]]:
        """Yield the parts of an expression that hold something sensitive, with its name."""
        stack = [expr]
        while stack:
            node = stack.pop()
            if type(node) is Const or type(node) is Compare:
                continue  # a comparison says yes or no
            if type(node) is Call and node.function in _TELL_NOTHING:
                continue
            name = self._name(node, seen, undone)
            if name is not None:
                yield node, name
            elif not (type(node) is Member and type(node.of) is Name and node.of.id == "inputs"):
                stack += children(node)

    def _name(self, node: Expr, seen: Seen, undone: ir.Task | None) -> str | None:
        match node:
            case Member(of=Member(of=Name(id="tasks"), name=task), name="output"):
                found = seen.get(task)
                return f"the output of task '{task}'" if found is not None and found.sensitive else None
            case Member(of=Name(id="inputs"), name=name) if name in self._inputs:
                return f"the input '{name}'"
            case Member(of=Name(id="vars"), name=name) if name in self._variables:
                return f"the variable '{name}'"
            case Name(id="inputs") if self._inputs:
                return "the inputs"
            case Name(id="output") if undone is not None and undone.sensitive:
                return f"the output of task '{undone.id}'"
        return None


def _named(task: ir.Task, undone: ir.Task | None = None) -> str:
    if task.id == UNDO and undone is not None:
        return f"the undo of task '{undone.id}'"
    return f"task '{task.id}'"
