"""Which expressions of a flow hold something sensitive: a sensitive input, the output of a sensitive task."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.tree import Call, Compare, Const, Expr, Member, Name
from flowbuilder.compiler.expressions.walk import children

if TYPE_CHECKING:
    from collections.abc import Iterator

_TELL_NOTHING: Final = frozenset({"len", "exists", "sha256", "hmac_sha256", "bool"})
"""Functions whose results tell nothing of what they are given."""

Seen = ChainMap[str, ir.Task]
"""The tasks that an expression sees, by id."""


class Sensitivity:
    """Finds what is sensitive in the expressions of one flow.

    Args:
        inputs: names of sensitive inputs.
        variables: names of variables that hold any.
    """

    def __init__(self, inputs: frozenset[str], variables: frozenset[str]) -> None:
        self._inputs = inputs
        self._variables = variables

    @classmethod
    def of(cls, flow: ir.Flow) -> Sensitivity:
        """Return what finds it in a flow."""
        inputs = frozenset(entry.name for entry in flow.inputs if entry.sensitive)
        return cls(inputs, _variables(flow, inputs))

    def found(
        self, expr: Expr, seen: Seen, undone: ir.Task | None = None, items: frozenset[str] = frozenset()
    ) -> Iterator[tuple[Expr, str]]:
        """Yield the parts of an expression that hold something sensitive, with its name.

        Args:
            expr: the expression.
            seen: the tasks that it sees.
            undone: the task whose output is `output` there.
            items: names that stand for elements of something sensitive.
        """
        stack = [expr]
        while stack:
            node = stack.pop()
            if type(node) is Const or type(node) is Compare:
                continue  # a comparison says yes or no
            if type(node) is Call and node.function in _TELL_NOTHING:
                continue
            name = self._name(node, seen, undone, items)
            if name is not None:
                yield node, name
            elif not (type(node) is Member and type(node.of) is Name and node.of.id == "inputs"):
                stack += children(node)

    def _name(self, node: Expr, seen: Seen, undone: ir.Task | None, items: frozenset[str]) -> str | None:
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
            case Name(id=name) if name in items:
                return "the element"
        return None


class Keys:
    """Tells of the keys of a flow, which are only compared, whether they are to be kept as digests.

    Where it cannot be told which task an expression means (several groups
    may have one of a name) a digest does no harm.
    """

    def __init__(self, flow: ir.Flow) -> None:
        self._sensitivity = Sensitivity.of(flow)
        graphs = [graph for graph in (flow.main, flow.on_failure, flow.finally_) if graph is not None]
        tasks = [task for graph in graphs for task in _tasks_of(graph)]
        self._tasks: Seen = ChainMap({task.id: task for task in tasks if task.sensitive})
        self._undone = next((task for task in tasks if task.sensitive and task.undo is not None), None)
        self._items: frozenset[str] = frozenset()
        aliases = {
            name
            for task in tasks
            if task.map is not None and self.hides(task.map.over)
            for name in ("item", task.map.alias)
            if name is not None
        }
        self._items = frozenset(aliases)

    def hides(self, expr: Expr) -> bool:
        """Tell whether the value of an expression may hold something sensitive."""
        found = self._sensitivity.found(expr, self._tasks, self._undone, self._items)
        return next(found, None) is not None


def _tasks_of(graph: ir.Graph) -> Iterator[ir.Task]:
    """Yield the tasks of a graph and of all graphs inside of it."""
    for task in graph.tasks:
        yield task
        for inner in (
            task.work.graph if type(task.work) is ir.Group else None,
            task.on_error.graph if task.on_error is not None else None,
            task.undo,
        ):
            if inner is not None:
                yield from _tasks_of(inner)


def _variables(flow: ir.Flow, inputs: frozenset[str]) -> frozenset[str]:
    """Return the variables that hold sensitive inputs, directly or by way of others."""
    found: set[str] = set()
    while True:
        look = Sensitivity(inputs, frozenset(found))
        more = {
            var.name for var in flow.vars if var.name not in found and any(look.found(var.value, ChainMap()))
        }
        if not more:
            return frozenset(found)
        found |= more
