"""What of the flows the tests have gone through: tasks that ran, and each way at each branch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flowbuilder.compiler.passes.graphs import all_tasks
from flowbuilder.core.span import Span
from flowbuilder.testing.cases.branches import cases_of
from flowbuilder.testing.cases.mocks import plain_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.compiler import ir
    from flowbuilder.runtime.views import TaskView
    from flowbuilder.testing.cases.outcome import Outcome

_BEGUN = frozenset({"succeeded", "failed", "running", "waiting", "cancelled"})


class Point(msgspec.Struct, frozen=True):
    """Something that tests may reach: a task, or a way at a branch."""

    path: str
    way: str
    """Empty for the task itself; else such as `if is false`."""
    at: Span

    def __str__(self) -> str:
        return f"{self.path}: {self.way}" if self.way else self.path


class FlowCoverage(msgspec.Struct):
    """What tests reached of one flow."""

    file: Path
    points: tuple[Point, ...]
    reached: set[tuple[str, str]]

    def missed(self, *, branches: bool) -> list[Point]:
        """Return what no test has reached: tasks, or ways at branches."""
        return [point for point in self.points if bool(point.way) is branches and not self._has(point)]

    def counts(self, *, branches: bool) -> tuple[int, int]:
        """Return how many were reached, of how many."""
        total = sum(bool(point.way) is branches for point in self.points)
        return total - len(self.missed(branches=branches)), total

    def _has(self, point: Point) -> bool:
        return (point.path, point.way) in self.reached


def share(flows: list[FlowCoverage]) -> float:
    """Return what part of all tasks and ways was reached, in percent; 100 where there are none."""
    counts = [flow.counts(branches=branches) for flow in flows for branches in (False, True)]
    total = sum(count[1] for count in counts)
    return 100.0 * sum(count[0] for count in counts) / total if total else 100.0


def coverage_of(file: Path, flow: ir.Flow) -> FlowCoverage:
    """Return the coverage of a flow before any test."""
    return FlowCoverage(file, tuple(_points(flow)), set())


def _points(flow: ir.Flow) -> Iterator[Point]:
    for path, task in all_tasks(flow):
        yield Point(path, "", task.at)
        if task.condition is not None:
            yield Point(path, "if is true", task.at)
            yield Point(path, "if is false", task.at)
        if task.on_error is not None:
            yield Point(path, "on_error is taken", task.at)
            yield Point(path, "on_error is not needed", task.at)
        for number in range(cases_of(task)):
            last = number == cases_of(task) - 1
            yield Point(path, "no case holds" if last else f"case {number + 1} holds", task.at)


def take_in(coverage: FlowCoverage, flow: ir.Flow, outcome: Outcome) -> None:
    """Note what one run has reached."""
    view = outcome.view
    if view is None:
        return
    tasks = dict(all_tasks(flow))
    for path, seen in (*view.tasks.items(), *view.elements.items()):
        plain = plain_path(path)
        if plain in tasks:
            coverage.reached.update((plain, way) for way in _ways(seen))
    for path, number in outcome.branches.items():
        task = tasks.get(path)
        if task is not None:
            last = number == cases_of(task) - 1
            coverage.reached.add((path, "no case holds" if last else f"case {number + 1} holds"))


def _ways(seen: TaskView) -> Iterator[str]:
    if seen.status in _BEGUN and seen.attempts:
        yield ""
        yield "if is true"
    elif seen.status == "skipped" and seen.reason == "condition":
        yield "if is false"
    if seen.status == "succeeded":
        yield "on_error is taken" if seen.error is not None else "on_error is not needed"
    elif seen.status == "failed" and seen.error is not None:
        yield "on_error is taken"
