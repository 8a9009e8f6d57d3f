"""What is tried again should do no harm twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.compiler import ir
from flowbuilder.compiler.checks.subject import Subject, all_graphs
from flowbuilder.core.plan import UNDO

if TYPE_CHECKING:
    from flowbuilder.compiler.findings import Findings
    from flowbuilder.core.span import Span

_MOST_NAMED: Final = 10


def check_retried_writes(subject: Subject, findings: Findings) -> None:
    """Warn of tasks that change the world, may be tried again, and have no idempotency key of their own."""
    by_default: dict[Span, list[str]] = {}
    for _, graph in subject.graphs():
        for each in all_graphs(graph):
            for task in each.tasks:
                if not _is_risky(task):
                    continue
                if (default := subject.ctx.retried_by.get(task.at)) is not None:
                    by_default.setdefault(default, []).append(task.id)
                else:
                    undo = (
                        ", and its undo does not run while the run succeeds" if task.undo is not None else ""
                    )
                    _warn(
                        f"task '{task.id}' changes the world and may be tried again{undo}", task.at, findings
                    )
    for at, ids in by_default.items():
        shown = ", ".join(f"'{id}'" for id in ids[:_MOST_NAMED]) + (", …" if len(ids) > _MOST_NAMED else "")
        _warn(f"this retry reaches tasks that change the world: {shown}", at, findings)


def _warn(what: str, at: Span, findings: Findings) -> None:
    findings.warn(
        "FB235",
        what,
        at,
        "give such a task an `idempotency_key` that the other side knows",
        "or say `effect: read` if doing it twice does no harm",
    )


def _is_risky(task: ir.Task) -> bool:
    return (
        type(task.work) is ir.Invoke
        and task.work.effect == "write"
        and task.retry is not None
        and task.retry.policy.attempts > 1
        and task.idempotency_key is None
        and task.id != UNDO  # is tried again unless its author says otherwise: to undo twice must do no harm
    )
