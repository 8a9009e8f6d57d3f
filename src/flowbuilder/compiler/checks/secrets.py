"""Secrets that are declared are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler.checks.expressions import all_expressions
from flowbuilder.compiler.expressions.references import references

if TYPE_CHECKING:
    from flowbuilder.compiler.checks.subject import Subject
    from flowbuilder.compiler.findings import Findings


def check_unused_secrets(subject: Subject, findings: Findings) -> None:
    """Warn of secrets that nothing mentions: a run would fail for lack of one that it does not need."""
    unused = {scalar.text: scalar for scalar in subject.secrets}
    if not unused:
        return
    for site in all_expressions(subject.flow):
        for reference in references(site):
            if reference.root != "secrets":
                continue
            if not reference.path:  # all at once, which another check refuses
                return
            unused.pop(reference.path[0], None)
    for name, scalar in unused.items():
        findings.warn("FB233", f"nothing uses the secret '{name}'", subject.ctx.span(scalar), "leave it out")
