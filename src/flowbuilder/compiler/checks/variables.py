"""Variables can be evaluated: none needs itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler.checks.cycles import find_cycles
from flowbuilder.compiler.expressions.references import references
from flowbuilder.compiler.expressions.tree import Const

if TYPE_CHECKING:
    from flowbuilder.compiler.checks.subject import Subject
    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.findings import Findings


def check_variables(subject: Subject, findings: Findings) -> None:
    """Report variables that need each other."""
    variables = {var.name: var for var in subject.flow.vars}
    waits = {name: mentioned_vars(var.value) for name, var in variables.items()}
    for cycle in find_cycles(waits):
        findings.error(
            "FB231",
            "variables need each other: " + " → ".join([*cycle[:20], cycle[0]]),
            variables[cycle[0]].at,
            "one of them must do without",
        )


def mentioned_vars(expr: Expr) -> tuple[str, ...]:
    """Return the variables that an expression mentions, once each."""
    if type(expr) is Const:
        return ()
    found = {ref.path[0]: None for ref in references(expr) if ref.root == "vars" and ref.path}
    return tuple(found)
