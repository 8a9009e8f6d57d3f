"""What a flow's function has called so far: tasks, in graphs inside each other."""

from __future__ import annotations

import contextlib
import contextvars
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.sdk.pyflows.problems import wrong

if TYPE_CHECKING:
    from flowbuilder.core.diagnostics import Diagnostic
    from flowbuilder.core.errors import FlowError
    from flowbuilder.sdk.pyflows.places import Place


class TaskRecord:
    """One call that was recorded."""

    __slots__ = (
        "condition",
        "graph",
        "id",
        "inner",
        "needs",
        "options",
        "outputs",
        "over",
        "params",
        "place",
        "places",
        "type",
    )

    def __init__(self, graph: Graph, id: str, type: str, place: Place) -> None:
        self.graph = graph
        self.id = id
        self.type = type
        self.place = place
        self.params: Any = None
        self.places: dict[str, Place] = {}
        """Where its options and parameters stand, by name, as far as they stand elsewhere."""
        self.options: dict[str, Any] = {}
        """Keys of the task as they are to be written."""
        self.needs: list[TaskRecord] = []
        self.condition: Any = None
        self.inner: Graph | None = None
        """Of a group: its tasks."""
        self.outputs: dict[str, Any] | None = None
        """Of a group, where it says them itself."""
        self.over: Any = None
        """Of a map: the list or mapping."""


class Graph:
    """Tasks that see each other.

    Args:
        of: the graph around this one.
        sealed: why what is inside cannot be referred to from outside; empty where it can.
    """

    def __init__(self, recorder: Recorder, of: Graph | None = None, sealed: str = "") -> None:
        self.recorder = recorder
        self.of = of
        self.sealed = sealed
        self.owner: TaskRecord | None = None
        """The group that it is the inside of."""
        self.tasks: list[TaskRecord] = []
        self.conditions: list[Any] = []
        """Of the `with when(…)` blocks that are open."""

    def add(self, type: str, name: str, place: Place, id: str | None = None) -> TaskRecord:
        """Record a task.

        Raises:
            FlowError: the id is taken.
        """
        task = TaskRecord(self, self.recorder.take_id(name, id, place), type, place)
        task.condition = list(self.conditions)
        self.tasks.append(task)
        return task

    def is_inside(self, other: Graph) -> bool:
        """Tell whether this graph is another one, or inside of it."""
        graph: Graph | None = self
        while graph is not None:
            if graph is other:
                return True
            graph = graph.of
        return False


class Recorder:
    """One flow while its function runs."""

    def __init__(self, folder: str) -> None:
        self.main = Graph(self)
        self.folder = folder
        """Where the flow's text is said to be: paths of other flows start there."""
        self.ids: dict[str, Place] = {}
        self._numbers: dict[str, int] = {}
        """How many tasks each name has given its id to."""
        self.names: set[str] = set()
        """Names that are bound by maps around the place where we are."""
        self.bound = 0
        """How many names comprehensions have bound."""
        self.sub_flows: dict[str, Any] = {}
        """Flows that are called, by the path under which their text is to be found."""
        self.problems: list[Diagnostic] = []

    def forget_ids_since(self, before: tuple[dict[str, Place], dict[str, int]]) -> None:
        """Give back the ids that were taken since `ids_now` said what there was."""
        self.ids, self._numbers = before

    def ids_now(self) -> tuple[dict[str, Place], dict[str, int]]:
        """Return the ids that are taken, for `forget_ids_since`."""
        return dict(self.ids), dict(self._numbers)

    def take_id(self, name: str, id: str | None, place: Place) -> str:
        """Return an id that no task has: the one that is asked for, or `name`, `name_2`, …"""
        if id is not None:
            if id in self.ids:
                raise wrong(
                    "FB292",
                    f"the id '{id}' is taken by the task at {self.ids[id].span()}",
                    place,
                    "choose another",
                )
        else:
            base = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "task"
            base = f"task_{base}" if base[0].isdigit() else base
            number = self._numbers.get(base, 0) + 1
            id = base if number == 1 else f"{base}_{number}"
            while id in self.ids:
                number += 1
                id = f"{base}_{number}"
            self._numbers[base] = number
        self.ids[id] = place
        return id


def note(error: FlowError) -> None:
    """Keep what is wrong with a call for later, so that the rest of the flow is looked at too; outside of a flow raise it."""
    graph = current()
    if graph is None:
        raise error
    graph.recorder.problems += error.diagnostics


_current: Final[contextvars.ContextVar[Graph | None]] = contextvars.ContextVar(
    "flowbuilder_graph", default=None
)


def current() -> Graph | None:
    """Return the graph that is being recorded; None outside of a flow."""
    return _current.get()


@contextlib.contextmanager
def recording(graph: Graph | None) -> Iterator[None]:
    """Record into a graph while inside; into none with None."""
    token = _current.set(graph)
    try:
        yield
    finally:
        _current.reset(token)


def enter(graph: Graph) -> contextvars.Token[Graph | None]:
    """Record into a graph until `leave`."""
    return _current.set(graph)


def leave(token: contextvars.Token[Graph | None]) -> None:
    """Go on with the graph from before."""
    _current.reset(token)
