"""No task waits for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.compiler.checks.subject import Subject, all_graphs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowbuilder.compiler.findings import Findings


def check_cycles(subject: Subject, findings: Findings) -> None:
    """Report tasks that wait for each other, named in order."""
    for _, graph in subject.graphs():
        for each in all_graphs(graph):
            tasks = {task.id: task for task in each.tasks}
            for cycle in find_cycles({id: task.waits_for for id, task in tasks.items()}):
                shown = cycle if len(cycle) <= 20 else [*cycle[:10], "…", *cycle[-10:]]
                findings.error(
                    "FB221",
                    "tasks wait for each other: " + " → ".join([*shown, cycle[0]]),
                    tasks[cycle[0]].at,
                    "each waits for the next; one of them must do without",
                )


def find_cycles(waits: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return a cycle for each knot of names that wait for each other; none if there are none.

    Each cycle begins with the name of its knot that stands first.

    Cost:
        O(N + E); no recursion, so a chain of any length will do.

    Source:
        Depth-first search with three colours (T. H. Cormen and others,
        "Introduction to Algorithms").
    """
    done: set[str] = set()
    cycles: list[list[str]] = []
    for start in waits:
        if start in done:
            continue
        path: list[str] = [start]
        on_path = {start}
        iterators = [iter(waits[start])]
        caught: set[str] = set()
        while path:
            following = next(iterators[-1], None)
            if following is None:
                iterators.pop()
                on_path.discard(path[-1])
                done.add(path.pop())
            elif following in on_path:
                cycle = path[path.index(following) :]
                if caught.isdisjoint(cycle):
                    cycles.append(cycle)
                caught.update(cycle)
            elif following not in done and following in waits:
                path.append(following)
                on_path.add(following)
                iterators.append(iter(waits[following]))
    return cycles
