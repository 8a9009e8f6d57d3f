"""An interpreter of optimised flows: regions run as one, pruned tasks are never looked at.

It does what the code generator and the scheduler do with a region, in the
plainest way, and checks on the way what they rely on: that all tasks of a
region become ready together, and that some unit can always go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbuilder.core.rules import FAILED, READY, SKIPPED, SUCCEEDED, decide
from oracle.evaluate import Failure, evaluate
from oracle.flows import EFFECTS, Interpreter, Outcome, Scope, TaskOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.compiler import ir
    from oracle.flows import Effect


def simulate_optimised(
    flow: ir.Flow, inputs: Mapping[str, Any] | None = None, effects: Mapping[str, Effect] | None = None
) -> Outcome:
    """Return what a run of a flow comes to, whatever passes made of it."""
    return _Optimised(flow, inputs or {}, {**EFFECTS, **(effects or {})}).run()


class _Optimised(Interpreter):
    def graph(self, graph: ir.Graph, scope: Scope, prefix: str | None) -> str | None:
        scope.ids = frozenset(task.id for task in graph.tasks)
        tasks = {task.id: task for task in graph.tasks}
        fused = [id for region in graph.regions for id in region.tasks]
        assert len(fused) == len(set(fused)), "a task is in two regions"
        units: list[ir.Fused | ir.Task] = [*graph.regions]
        units += [task for task in graph.tasks if task.id not in set(fused)]
        first: str | None = None
        while units:
            ready = next(unit for unit in units if self._is_ready(unit, tasks, scope))
            units.remove(ready)
            for id, outcome in self._unit(ready, tasks, scope, prefix):
                self.end(tasks[id], scope, prefix, outcome)
                if outcome.code == FAILED:
                    first = first or outcome.error
        return first

    @staticmethod
    def _members(unit: ir.Fused | ir.Task) -> tuple[str, ...]:
        return getattr(unit, "tasks", None) or (unit.id,)  # type: ignore[union-attr]

    def _is_ready(self, unit: ir.Fused | ir.Task, tasks: dict[str, ir.Task], scope: Scope) -> bool:
        members = self._members(unit)
        waits = {id for member in members for id in tasks[member].waits_for if id in tasks} - set(members)
        return all(id in scope.tasks for id in waits)

    def _unit(
        self, unit: ir.Fused | ir.Task, tasks: dict[str, ir.Task], scope: Scope, prefix: str | None
    ) -> Any:
        members = self._members(unit)
        if hasattr(unit, "values"):
            outside = {id for member in members for id in tasks[member].needs} - set(members)
            if all(scope.tasks[id].code == SUCCEEDED for id in outside):
                scope.fused = frozenset(members)
                try:
                    yield from self._region(unit, tasks, scope)  # type: ignore[arg-type]
                    return
                except Failure:
                    for id in members:
                        scope.tasks.pop(id, None)
                finally:
                    scope.fused = frozenset()
        for id in members:
            yield id, self.task(tasks[id], scope, prefix)

    def _region(
        self, region: ir.Fused, tasks: dict[str, ir.Task], scope: Scope
    ) -> list[tuple[str, TaskOutcome]]:
        """Run a region as its function does; whatever fails is for the tasks one by one."""
        local: dict[str, Any] = {}
        found = []
        for place, (id, value) in enumerate(zip(region.tasks, region.values, strict=True)):
            task = tasks[id]
            for shared in region.shared:
                if shared.before == place:
                    local[shared.name] = evaluate(shared.value, scope, local)
            outcome = TaskOutcome(SKIPPED)
            needs = [scope.tasks[need].code for need in task.needs]
            if decide("default", needs) == READY and self.condition(task, scope):
                outcome = TaskOutcome(SUCCEEDED, evaluate(value, scope, local))
            scope.tasks[id] = outcome
            found.append((id, outcome))
        return found

    def task(self, task: ir.Task, scope: Scope, prefix: str | None) -> TaskOutcome:
        if task.pruned is not None:
            code = decide(task.run_when, [scope.tasks[id].code for id in task.needs])
            return TaskOutcome(SKIPPED if code == READY else code)
        return super().task(task, scope, prefix)
