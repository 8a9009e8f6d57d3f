"""What stands in `needs` is a task of the same graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler.checks.subject import Subject, all_graphs, inner_graphs

if TYPE_CHECKING:
    from flowbuilder.compiler.findings import Findings


def check_needs(subject: Subject, findings: Findings) -> None:
    """Report words in `needs` that are no task, or one of another graph."""
    if not subject.ctx.missing_needs:
        return
    homes = _homes(subject)
    for scalar, id, around in subject.ctx.missing_needs:
        name, at = scalar.text, subject.ctx.span(scalar)
        home = homes.get(name)
        if home is None:
            hint = subject.ctx.near(name, around)
            findings.error("FB220", f"task '{id}' needs '{name[:60]}', which is no task", at, hint)
        elif home.startswith("group "):
            findings.error(
                "FB222",
                f"task '{name}' lies inside {home}, and is not seen from here",
                at,
                f"need {home} instead",
            )
        else:
            findings.error(
                "FB226",
                f"'needs' names tasks of the same graph, and '{name}' stands in {home}",
                at,
                "a group waits for what its tasks read; a handler runs when all before it has ended",
            )


def _homes(subject: Subject) -> dict[str, str]:
    """Return for each task the graph that it stands in, in words."""
    homes: dict[str, str] = {}
    for name, graph in subject.graphs():
        for task in graph.tasks:
            homes[task.id] = f"'{'tasks' if name == 'main' else name}'"
        for each in all_graphs(graph):
            for owner in each.tasks:
                for inner in inner_graphs(owner):
                    for task in inner.tasks:
                        homes.setdefault(task.id, f"group '{owner.id}'")
    return homes
