"""Every name in an expression means something where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flowbuilder.compiler.checks.scopes import Scope, sites
from flowbuilder.compiler.checks.secret_paths import secret_variables
from flowbuilder.compiler.checks.subject import all_graphs, inner_graphs
from flowbuilder.compiler.expressions.references import Reference, references
from flowbuilder.compiler.expressions.tree import Const

if TYPE_CHECKING:
    from flowbuilder.compiler import ir
    from flowbuilder.compiler.checks.subject import Subject
    from flowbuilder.compiler.findings import Findings


def check_names(subject: Subject, findings: Findings) -> None:
    """Report names that mean nothing, or may not be mentioned, where they stand."""
    flow = subject.flow
    secret_vars = secret_variables(flow)
    hidden = _hidden(flow)
    later: set[str] = set()
    for name, graph in subject.graphs():
        if name != "main":
            later |= {task.id for task in graph.tasks}
    for expr, scope in sites(flow, subject.ctx.catalogue):
        if type(expr) is Const:
            continue
        for reference in references(expr):
            _check_task(reference, scope, later, hidden, findings)
            _check_variable(reference, scope, findings)
            _check_secret(reference, scope, secret_vars, findings)


def _check_task(
    reference: Reference, scope: Scope, later: set[str], hidden: Mapping[str, str], findings: Findings
) -> None:
    """Report a task that is not seen: it lies in a group, or runs later."""
    if reference.root != "tasks" or not reference.path or "tasks" not in scope.names:
        return
    id = reference.path[0]
    if id in scope.tasks:
        return
    if id in later:
        findings.error(
            "FB225",
            f"{scope.where} reads task '{id}', which runs later, or not at all",
            reference.span,
            "handlers run after `tasks`, and `finally` after `on_failure`",
        )
        return
    group = hidden.get(id)
    if group is not None:
        findings.error(
            "FB222",
            f"task '{id}' lies inside group '{group}', and is not seen from here",
            reference.span,
            f"read tasks.{group}.output.{id}, or give the group `outputs`",
        )


def _hidden(flow: ir.Flow) -> Mapping[str, str]:
    """Return for each task inside another the task that it lies in."""
    hidden: dict[str, str] = {}
    for graph in (flow.main, flow.on_failure, flow.finally_):
        for each in all_graphs(graph) if graph is not None else ():
            for task in each.tasks:
                for inner in inner_graphs(task):
                    for inside in inner.tasks:
                        hidden.setdefault(inside.id, task.id)
    return hidden


def _check_variable(reference: Reference, scope: Scope, findings: Findings) -> None:
    """Report a variable that depends on what only a task has."""
    if scope.where == "'vars'" and reference.root in ("tasks", "item", "index", "loop", "output", "error"):
        findings.error(
            "FB230",
            f"a variable may not mention '{reference.root}'",
            reference.span,
            "it is evaluated once a run, for whoever asks first; use a task of type `set`",
        )


def _check_secret(
    reference: Reference, scope: Scope, secret_vars: frozenset[str], findings: Findings
) -> None:
    """Report a secret that would be shown or kept."""
    if scope.secrets or not reference.path:
        return
    name = reference.path[0]
    if reference.root == "secrets":
        what = f"the secret '{name}' may not stand here"
    elif reference.root == "vars" and name in secret_vars:
        what = f"the variable '{name}' holds a secret, which may not stand here"
    else:
        return
    findings.error(
        "FB232",
        what,
        reference.span,
        "secrets may stand in headers, authentication and bodies of requests, and in the `env` of a task",
    )
