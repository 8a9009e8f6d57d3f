"""An id means one task wherever it can be seen."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING

from flowbuilder.compiler.checks.subject import Subject, inner_graphs
from flowbuilder.core.plan import UNDO

if TYPE_CHECKING:
    from flowbuilder.compiler import ir
    from flowbuilder.compiler.findings import Findings
    from flowbuilder.core.span import Span


def check_shadowing(subject: Subject, findings: Findings) -> None:
    """Report ids that mean two tasks: in a group and around it, or in `tasks` and a handler.

    Two groups side by side may both have a `build`: neither sees the other's.
    """
    seen: ChainMap[str, Span] = ChainMap()
    for _, graph in subject.graphs():
        _check_graph(graph, seen, {}, findings)


def _check_graph(
    graph: ir.Graph, scope: ChainMap[str, Span], aliases: dict[str, Span], findings: Findings
) -> None:
    """Check a graph within what it sees; `scope` gains its ids."""
    for task in graph.tasks:
        first = scope.get(task.id) if task.id != UNDO else None
        if first is not None:
            findings.error(
                "FB223",
                f"the id '{task.id}' is taken: this task would hide another",
                task.at,
                f"the other is at {first}",
            )
        else:
            scope[task.id] = task.at
    for task in graph.tasks:
        inside = _with_alias(task, aliases, findings)
        for inner in inner_graphs(task):
            _check_graph(inner, scope.new_child(), inside, findings)


def _with_alias(task: ir.Task, aliases: dict[str, Span], findings: Findings) -> dict[str, Span]:
    """Return the names of `as` that are seen inside a task."""
    if task.map is None or task.map.alias is None:
        return aliases
    alias = task.map.alias
    names = (alias, f"{alias}_index")
    hidden = next((name for name in names if name in aliases), None)
    if hidden is not None:
        findings.error(
            "FB223",
            f"`as: {alias}` hides the name '{hidden}' of a loop around it",
            task.at,
            f"the other is at {aliases[hidden]}; choose another name",
        )
    return {**aliases, **dict.fromkeys(names, task.at)}
