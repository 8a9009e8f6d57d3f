"""Evaluates once what several tasks of a region, or one of them twice, would evaluate alike.

Shared is only what costs something (loops, calls, arithmetic), and only where
its first occurrence is evaluated for certain whenever the later ones may be:
then a run evaluates nothing that the flow as written would not.  The rewritten
trees stand in `Fused.values`; `Task.work` stays plain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from flowbuilder.compiler.expressions.tree import Name
from flowbuilder.compiler.ir import Compute, Fused, Shared
from flowbuilder.compiler.passes.graphs import rewrite_graphs
from flowbuilder.compiler.passes.guards import Guards
from flowbuilder.compiler.passes.notes import Note, Rewritten
from flowbuilder.compiler.passes.numbering import Numbering, alike
from flowbuilder.compiler.passes.trees import ALWAYS, HIDDEN, parts_with_certainty, rebuilt
from flowbuilder.compiler.written import written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.compiler.expressions.tree import Expr
    from flowbuilder.compiler.ir import Flow, Graph, Task
    from flowbuilder.compiler.passes.guards import Guard


def share_subexpressions(flow: Flow) -> Rewritten:
    """Share sub-expressions inside each region; what was shared before is found anew."""
    notes: list[Note] = []

    def share(graph: Graph, prefix: str) -> Graph:
        if not graph.regions:
            return graph
        tasks = {task.id: task for task in graph.tasks}
        regions = tuple([_shared(region, [tasks[id] for id in region.tasks]) for region in graph.regions])
        for region in regions:
            for one in region.shared:
                what = f"evaluates once: {written(one.value, 60)}"
                notes.append(Note("share_subexpressions", what, prefix + region.tasks[one.before]))
        return graph if regions == graph.regions else replace(graph, regions=regions)

    return Rewritten(rewrite_graphs(flow, share), tuple(notes))


def _shared(region: Fused, tasks: list[Task]) -> Fused:
    values = [task.work.value for task in tasks if type(task.work) is Compute]
    worth = alike(values)
    if not worth:
        return Fused(region.tasks, tuple(values)) if region.shared else region
    search = _Search(tasks)
    for place in worth:
        search.look(place, values[place])
    if not search.found_any:
        return Fused(region.tasks, tuple(values)) if region.shared else region
    writer = _Writer(search)
    for place in worth:
        values[place] = writer.write(place, values[place])
    return Fused(region.tasks, tuple(values), tuple(writer.shared))


class _Search:
    """Goes through a region in the order of evaluation and decides what is shared.

    A *definition* is an occurrence that later ones may use; it is shared if
    any does.  What stands inside a later occurrence is not looked at, since
    it is not evaluated there any more.
    """

    def __init__(self, tasks: list[Task]) -> None:
        self.counts: list[int] = []
        """How often each definition occurs."""
        self.decisions: list[int] = []
        """The definition of each occurrence that was looked at and could have one, else -1."""
        self.numbering = Numbering()
        self._guards = Guards(tasks)
        self._known: dict[tuple[int, Guard], int] = {}
        """Definitions by number, and by the guard under which they are evaluated."""

    @property
    def found_any(self) -> bool:
        """Whether anything occurs twice."""
        return any(count > 1 for count in self.counts)

    def look(self, place: int, value: Expr) -> None:
        """Look through the value of the task at a place."""
        self.numbering.add(value)
        if not self.numbering.is_costly(value):
            return
        guard = self._guards.of_value(place)
        # a task with a condition of its own defines nothing: what is shared is evaluated before it is asked
        self._look(value, guard, certain=not self._guards.has_condition(place))

    def _look(self, expr: Expr, guard: Guard, *, certain: bool) -> None:
        if (number := self.numbering.get_shareable(expr)) is not None:
            for outer in self._guards.implied_by(guard):
                if (known := self._known.get((number, outer))) is not None:
                    self.counts[known] += 1
                    self.decisions.append(known)
                    return
            if certain:
                self._known[number, guard] = len(self.counts)
                self.decisions.append(len(self.counts))
                self.counts.append(1)
            else:
                self.decisions.append(-1)
        for part, when in parts_with_certainty(expr):
            if when != HIDDEN and self.numbering.is_costly(part):
                self._look(part, guard, certain=certain and when == ALWAYS)


class _Writer:
    """Goes the same way again and puts names in the place of what is shared."""

    def __init__(self, search: _Search) -> None:
        self.shared: list[Shared] = []
        self._numbering = search.numbering
        self._counts = search.counts
        self._decisions: Iterator[int] = iter(search.decisions)
        self._names: dict[int, str] = {}
        self._place = 0

    def write(self, place: int, value: Expr) -> Expr:
        """Return the value of the task at a place with names for what is shared."""
        self._place = place
        return self._write(value) if self._numbering.is_costly(value) else value

    def _write(self, expr: Expr) -> Expr:
        shareable = self._numbering.get_shareable(expr) is not None
        definition = next(self._decisions) if shareable else -1
        if (name := self._names.get(definition)) is not None:
            return Name(expr.at, name)
        rewritten = rebuilt(
            expr,
            [
                self._write(part) if when != HIDDEN and self._numbering.is_costly(part) else part
                for part, when in parts_with_certainty(expr)
            ],
        )
        if definition < 0 or self._counts[definition] == 1:
            return rewritten
        name = self._names[definition] = f"${len(self.shared)}"
        self.shared.append(Shared(name, rewritten, self._place))
        return Name(expr.at, name)
