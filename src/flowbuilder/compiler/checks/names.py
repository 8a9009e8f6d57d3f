"""Every name in an expression means something where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowbuilder.compiler.checks.subject import Subject
    from flowbuilder.compiler.findings import Findings


def check_names(subject: Subject, findings: Findings) -> None:
    """Report names that mean nothing."""
