"""A queue is one of those that the settings name, where it is known which there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler.checks.subject import Subject, all_graphs
from flowbuilder.core.diagnostics import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Collection

    from flowbuilder.compiler.findings import Findings
    from flowbuilder.core.span import Span


def check_queues(subject: Subject, findings: Findings) -> None:
    """Report queues that the settings do not name."""
    known = subject.ctx.limits.queues
    if known is None:
        return
    for _, graph in subject.graphs():
        for each in all_graphs(graph):
            for task in each.tasks:
                queue = task.limits.queue if task.limits is not None else None
                if queue is not None and queue.name not in known:
                    findings.add(
                        unknown_queue(queue.name, queue.at, known, subject.ctx.near(queue.name, known))
                    )


def unknown_queue(name: str, at: Span, known: Collection[str], near: str = "") -> Diagnostic:
    """Return the finding that there is no such queue."""
    there_are = ", ".join(f"'{other}'" for other in sorted(known)[:10])
    hints = (
        near or (f"there are {there_are}" if there_are else "the settings name none"),
        f"or add a section [queues.{name}] to flowbuilder.toml",
    )
    return Diagnostic("FB267", f"there is no queue '{name}'", at, hints)
