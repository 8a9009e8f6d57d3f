"""What must hold of a flow: one check a file, in the order in which they run.

A check looks at the representation, so it holds for flows of any front end;
what only the YAML knows (where a word of `needs` stands) comes in `Subject`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flowbuilder.compiler.checks.connections import check_connections
from flowbuilder.compiler.checks.cycles import check_cycles
from flowbuilder.compiler.checks.names import check_names
from flowbuilder.compiler.checks.needs import check_needs
from flowbuilder.compiler.checks.queues import check_queues
from flowbuilder.compiler.checks.retried_writes import check_retried_writes
from flowbuilder.compiler.checks.secret_paths import check_secret_paths
from flowbuilder.compiler.checks.secrets import check_unused_secrets
from flowbuilder.compiler.checks.sensitive import check_sensitive
from flowbuilder.compiler.checks.shadowing import check_shadowing
from flowbuilder.compiler.checks.sql_parameters import check_sql_parameters
from flowbuilder.compiler.checks.subject import Subject
from flowbuilder.compiler.checks.triggers import check_triggers
from flowbuilder.compiler.checks.undos import check_undos
from flowbuilder.compiler.checks.variables import check_variables

if TYPE_CHECKING:
    from flowbuilder.compiler.findings import Findings


class Check(Protocol):
    """Looks for one kind of mistake."""

    def __call__(self, subject: Subject, findings: Findings) -> None:
        """Report what is wrong."""
        ...


CHECKS: tuple[Check, ...] = (
    check_shadowing,
    check_needs,
    check_names,
    check_cycles,
    check_variables,
    check_secret_paths,
    check_unused_secrets,
    check_connections,
    check_sql_parameters,
    check_retried_writes,
    check_queues,
    check_undos,
    check_triggers,
    check_sensitive,
)

__all__ = ["CHECKS", "Check", "Subject"]
