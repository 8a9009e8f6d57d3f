"""Blocks of a flow's function: tasks under a condition, tasks that are one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from flowbuilder.compiler.expressions.tree import Choice, Not
from flowbuilder.sdk.pyflows import recorder
from flowbuilder.sdk.pyflows.calls import graph_here, output_of, record
from flowbuilder.sdk.pyflows.places import here
from flowbuilder.sdk.pyflows.problems import wrong
from flowbuilder.sdk.pyflows.recorded import Recorded, tree_of
from flowbuilder.sdk.pyflows.recorder import Graph, TaskRecord
from flowbuilder.sdk.pyflows.trees import AT

if TYPE_CHECKING:
    import contextvars
    from types import TracebackType


class when:
    """A condition that is known only when the flow runs.

    `with when(x > 0) as positive:` records the tasks inside so that they
    are skipped where it does not hold; `with positive.otherwise():` those
    that run instead.  `when(x > 0, then, otherwise)` is a value.
    """

    def __new__(cls, condition: Any, *values: Any) -> Any:
        """Return a value where two are given to choose from."""
        if not values:
            return super().__new__(cls)
        if len(values) > 2:
            raise wrong("FB292", "`when` takes a condition and at most two values", here())
        then, otherwise = tree_of(values[0]), tree_of(values[1] if len(values) == 2 else None)
        return Recorded(Choice(AT, tree_of(condition), then, otherwise), here())

    def __init__(self, condition: Any, *values: Any) -> None:
        self._condition = condition
        self._graphs: list[Graph] = []

    def __enter__(self) -> Self:
        graph = graph_here("when")
        graph.conditions.append(self._condition)
        self._graphs.append(graph)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._graphs.pop().conditions.pop()

    def otherwise(self) -> when:
        """Return the opposite."""
        return when(Recorded(Not(AT, tree_of(self._condition)), here()))


class group:
    """Tasks that are one: `with group("load", retry=3):` records those inside into a task of type `group`.

    Its keys (`retry`, `timeout`, `on_error`, `if_`, …) hold for the whole;
    `output` stands for the outputs of its tasks, by id.  Tasks after it may
    use those inside as if they stood beside them.
    """

    def __init__(self, name: str = "group", **options: Any) -> None:
        self._place = here()
        self._name, self._options = name, options
        self._token: contextvars.Token[Graph | None] | None = None
        self.task: TaskRecord | None = None

    def __enter__(self) -> Self:
        graph = graph_here("group")
        self.task = record("group", self._name, None, self._options, self._place)
        inner = self.task.inner = Graph(graph.recorder, graph)
        inner.owner = self.task
        self._token = recorder.enter(inner)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._token is not None
        recorder.leave(self._token)
        if (
            error is None
            and self.task is not None
            and self.task.inner is not None
            and not self.task.inner.tasks
        ):
            raise wrong("FB292", "a group holds a task at least", self._place)

    @property
    def output(self) -> Recorded:
        """What stands for the outputs of its tasks, by id."""
        assert self.task is not None, "the group's block comes first"
        return output_of(self.task)


__all__ = ["group", "when"]
