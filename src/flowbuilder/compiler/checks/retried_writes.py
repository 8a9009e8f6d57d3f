"""What is tried again should do no harm twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler import ir
from flowbuilder.compiler.checks.subject import Subject, all_graphs

if TYPE_CHECKING:
    from flowbuilder.compiler.findings import Findings


def check_retried_writes(subject: Subject, findings: Findings) -> None:
    """Warn of tasks that change the world, may be tried again, and have no idempotency key of their own."""
    for _, graph in subject.graphs():
        for each in all_graphs(graph):
            for task in each.tasks:
                if _is_risky(task):
                    findings.warn(
                        "FB235",
                        f"task '{task.id}' changes the world and may be tried again",
                        task.at,
                        "give it an `idempotency_key` that the other side knows",
                        "or say `effect: read` if doing it twice does no harm",
                    )


def _is_risky(task: ir.Task) -> bool:
    return (
        type(task.work) is ir.Invoke
        and task.work.effect == "write"
        and task.retry is not None
        and task.retry.policy.attempts > 1
        and task.idempotency_key is None
    )
