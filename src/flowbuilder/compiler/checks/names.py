"""Every name in an expression means something where it stands."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from flowbuilder.compiler.checks.declared import Declared
from flowbuilder.compiler.checks.scopes import Scope, sites
from flowbuilder.compiler.checks.secret_paths import secret_variables
from flowbuilder.compiler.checks.subject import all_graphs, inner_graphs
from flowbuilder.compiler.expressions.check import ScopeNames, check
from flowbuilder.compiler.expressions.references import Reference, references
from flowbuilder.compiler.expressions.tree import Const
from flowbuilder.core.matching import EVENT_MEMBERS

if TYPE_CHECKING:
    from flowbuilder.compiler import ir
    from flowbuilder.compiler.checks.subject import Subject
    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.findings import Findings
    from flowbuilder.core.span import Span

_EVENT: Final[Mapping[str, Collection[str]]] = {"event": EVENT_MEMBERS}
_OF_TASKS: Final = frozenset({"tasks", "item", "index", "loop", "output", "error"})


def check_names(subject: Subject, findings: Findings) -> None:
    """Report names that mean nothing, or may not be mentioned, where they stand."""
    flow = subject.flow
    look = _Look(
        findings=findings,
        hidden=_hidden(flow),
        later=frozenset(t.id for name, graph in subject.graphs() if name != "main" for t in graph.tasks),
        secret_vars=secret_variables(flow),
        members={
            "inputs": Declared({entry.name for entry in flow.inputs}, findings),
            "config": Declared({entry.name for entry in flow.config}, findings),
            "vars": Declared({var.name for var in flow.vars}, findings),
            "env": Declared(set(flow.env), findings),
            "secrets": Declared(set(flow.secrets), findings),
        },
    )
    for expr, scope in sites(flow, subject.ctx.catalogue):
        if findings.is_full:
            return
        if type(expr) is not Const:
            look.at(expr, scope)


@dataclasses.dataclass(slots=True)
class _Look:
    """What is known while all expressions of a flow are looked at."""

    findings: Findings
    hidden: Mapping[str, str]
    """For each task inside another the task that it lies in."""
    later: frozenset[str]
    """Tasks of handlers."""
    secret_vars: frozenset[str]
    members: Mapping[str, Collection[str]]
    """What is declared."""

    def at(self, expr: Expr, scope: Scope) -> None:
        """Look at one expression."""
        explained: set[Span] = set()
        for reference in references(expr):
            if self._task(reference, scope) or self._variable(reference, scope):
                explained.add(reference.span)
            if not scope.secrets:
                self._secret(reference)
        names = ScopeNames(
            scope.names,
            {
                **self.members,
                "tasks": Declared(scope.tasks, self.findings),
                **(_EVENT if scope.event else {}),
            },
            condition=scope.condition,
            momentary=scope.momentary,
        )
        for diagnostic in check(expr, names):
            if diagnostic.at not in explained:
                self.findings.add(diagnostic)

    def _task(self, reference: Reference, scope: Scope) -> bool:
        """Report a task that is not seen, and tell whether there was one: it lies in a group, or runs later."""
        if reference.root != "tasks" or not reference.path or "tasks" not in scope.names:
            return False
        id = reference.path[0]
        if id in scope.tasks:
            return False
        if id in self.later:
            self.findings.error(
                "FB225",
                f"{scope.where} reads task '{id}', which runs later, or not at all",
                reference.span,
                "handlers run after `tasks`, and `finally` after `on_failure`",
            )
            return True
        group = self.hidden.get(id)
        if group is not None:
            self.findings.error(
                "FB222",
                f"task '{id}' lies inside group '{group}', and is not seen from here",
                reference.span,
                f"read tasks.{group}.output.{id}, or give the group `outputs`",
            )
        return group is not None

    def _variable(self, reference: Reference, scope: Scope) -> bool:
        """Report a variable that depends on what only a task has, and tell whether there was one."""
        wrong = scope.where == "'vars'" and reference.root in _OF_TASKS
        if wrong:
            self.findings.error(
                "FB230",
                f"a variable may not mention '{reference.root}'",
                reference.span,
                "it is evaluated once a run, for whoever asks first; use a task of type `set`",
            )
        return wrong

    def _secret(self, reference: Reference) -> None:
        """Report a secret that would be shown or kept."""
        if not reference.path:
            return
        name = reference.path[0]
        if reference.root == "secrets" and name in self.members["secrets"]:
            what = f"the secret '{name}' may not stand here"
        elif reference.root == "vars" and name in self.secret_vars:
            what = f"the variable '{name}' holds a secret, which may not stand here"
        else:
            return
        self.findings.error(
            "FB232",
            what,
            reference.span,
            "secrets may stand in headers, authentication and bodies of requests, and in the `env` of a task",
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
