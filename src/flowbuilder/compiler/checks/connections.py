"""Connections that tasks name are declared, of a type that the task takes, and used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler import ir
from flowbuilder.compiler.checks.subject import all_graphs
from flowbuilder.compiler.expressions.tree import Const
from flowbuilder.compiler.lower.works.lower_invoke import parameter
from flowbuilder.compiler.nearest import nearest
from flowbuilder.core.connections import from_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowbuilder.compiler.checks.subject import Subject
    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.findings import Findings
    from flowbuilder.core.catalogue import TaskSpec


def check_connections(subject: Subject, findings: Findings) -> None:
    """Report connections that a flow does not declare, or whose type does not fit, and those that nothing uses."""
    flow = subject.flow
    declared = {needed.name: needed for needed in flow.connections}
    unused = dict(declared)
    computed = False
    for spec, value in _uses(subject):
        if type(value) is not Const:
            computed = True
            continue
        name = value.value
        if not isinstance(name, str):
            continue
        unused.pop(name, None)
        _check_one(findings, spec, name, value, declared)
    if not computed:
        for name, needed in unused.items():
            findings.warn("FB255", f"nothing uses the connection '{name}'", needed.at, "leave it out")


def _check_one(
    findings: Findings, spec: TaskSpec, name: str, value: Const, declared: Mapping[str, ir.Needed]
) -> None:
    span = value.at.span
    takes = " or ".join(f"'{each}'" for each in spec.connects)
    if "://" in name:
        found = from_url("", name)
        if found is None or found.type not in spec.connects:
            scheme = name.partition("://")[0][:40]
            what = f"a task of type '{spec.name}' cannot use a connection that begins with '{scheme}://'"
            findings.error("FB254", what, span, f"it takes {takes}")
        return
    needed = declared.get(name)
    if needed is None:
        near = nearest(name, declared, findings)
        hint = near or f"declare it: `connections: [{name[:60]}]`"
        findings.error("FB253", f"there is no connection '{name[:60]}' in this flow", span, hint)
    elif needed.type is not None and needed.type not in spec.connects:
        what = f"the connection '{name}' is of type '{needed.type}', and '{spec.name}' takes {takes}"
        findings.error("FB254", what, span)


def _uses(subject: Subject) -> Iterator[tuple[TaskSpec, Expr]]:
    """Yield each place where a task names a connection, with the task's type."""
    for _, graph in subject.graphs():
        for each in all_graphs(graph):
            for task in each.tasks:
                if type(task.work) is not ir.Invoke:
                    continue
                spec = subject.ctx.catalogue.get(task.work.type)
                if spec is None or not spec.connects:
                    continue
                value = parameter(task.work.params, "connection")
                if value is not None:
                    yield spec, value
