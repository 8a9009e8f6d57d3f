"""When tasks of a region run: which of them run whenever another one does.

A guard stands for "the task runs" and is worked out from needs and
conditions alone.  Equal guards mean equal decisions as long as no task of the
region fails; then the tasks are run one by one, as they are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from flowbuilder.compiler.ir import Task

Guard = tuple["Hashable", ...]
"""`()`: always.  `("out", id)`: a task outside the region has succeeded.  `("if", id)`: so has a
task of the region with a condition.  `("all", guards)`: none of several failed, one succeeded."""

_TRUE: Final[Guard] = ()


class Guards:
    """The guards of a region's tasks, which stand each behind what it needs."""

    def __init__(self, tasks: list[Task]) -> None:
        self._tasks = tasks
        self._succeeds: dict[str, Guard] = {}
        self._around: dict[Guard, Guard] = {}
        """For a guard one that it implies."""
        for task in tasks:
            guard = self._runs(task)
            if task.condition is not None:
                own: Guard = ("if", task.id)
                self._around[own] = guard
                guard = own
            self._succeeds[task.id] = guard

    def of_value(self, place: int) -> Guard:
        """Return the guard under which a task's value is evaluated."""
        return self._succeeds[self._tasks[place].id]

    def has_condition(self, place: int) -> bool:
        """Tell whether a task may be skipped by an `if` of its own."""
        return self._tasks[place].condition is not None

    def implied_by(self, guard: Guard) -> Iterator[Guard]:
        """Yield the guard itself and those that hold whenever it does."""
        yield guard
        while guard:
            guard = self._around.get(guard, _TRUE)
            yield guard

    def _runs(self, task: Task) -> Guard:
        if not task.needs:
            return _TRUE
        needed = {self._succeeds.get(need, ("out", need)) for need in task.needs}
        if len(needed) == 1:
            return needed.pop()
        # of tasks that always run and of others, a failure among the others decides
        return ("all", frozenset(needed))
