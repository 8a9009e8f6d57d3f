"""What a new run takes over from an old one: the recorded ends of all that need not be done again.

Pure: an old journal goes in, and what is to stand at the beginning of the new
one comes out.  The ordinary recovery then carries the new run on.

Done again is what was asked for, what has not ended well, what was undone,
and all that follows these.  Inside a group or a map of which only a part is
done again, the rest of it is taken over; a loop is done again from its first
round, and a sub-flow by a run of its own.  Handlers always run anew.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.compiler.nearest import nearest
from flowbuilder.core import records
from flowbuilder.core.errors import CannotTakeOver, NotFound
from flowbuilder.core.paths import Step, element_end, is_within, parse
from flowbuilder.core.plan import UNDO
from flowbuilder.core.rules import CONTINUED, SKIPPED, SUCCEEDED

if TYPE_CHECKING:
    from flowbuilder.core.plan import FlowPlan, GraphPlan, TaskPlan

_ENDED_WELL: Final = frozenset({SUCCEEDED, SKIPPED, CONTINUED})
_HANDLERS: Final = ("on_failure:", "finally:")


class Asked(msgspec.Struct, frozen=True):
    """What is asked of a fork."""

    again: tuple[str, ...] = ()
    """Tasks to be done again, by path; an element of a map is one too."""
    outputs: Mapping[str, Any] = {}
    """Outputs by the path of their tasks, in place of what was recorded: these tasks are not done again."""
    edited: bool = False
    """Inputs, outputs or the flow are others than before: a map may have other elements."""


class Taken(msgspec.Struct):
    """What a new run takes over."""

    paths: dict[str, str] = {}
    """The path of everything that is taken over, and its path in the new run."""
    again: list[str] = []
    """Tasks of the main graph that are done again, or for the first time."""
    stale: list[str] = []
    """Tasks that are taken over although they rest on an output that was edited."""


class History(msgspec.Struct):
    """A journal, by path."""

    ended: dict[str, int]
    """How what has ended did, in the order of the ends."""
    maps: set[str]
    undone: set[str]
    """What was undone, and the tasks around it."""

    @classmethod
    def of(cls, journal: Iterable[records.Record]) -> History:
        """Return what a journal says of ends."""
        ended: dict[str, int] = {}
        maps: set[str] = set()
        undone: set[str] = set()
        for record in journal:
            match record:
                case records.RegionEnded():
                    ended.update(dict.fromkeys(record.paths, SUCCEEDED))
                case records.Ended() if record.path.endswith(UNDO):
                    undone.update(around(record.path.removesuffix(UNDO)))
                case records.Ended():
                    ended[record.path] = record.code
                    if record.count is not None:
                        maps.add(record.path)
                case records.MapStarted():
                    maps.add(record.path)
        return cls(ended, maps, undone)


def take_over(plan: FlowPlan, history: History, asked: Asked, before: FlowPlan | None = None) -> Taken:
    """Return what a run of `plan` takes over from a run with such a history.

    Args:
        plan: of the new run.
        history: of the old one.
        asked: what is to be done again.
        before: the plan of the old run, where it is another.

    Raises:
        NotFound: there is no such task or element.
        CannotTakeOver: the plan lacks what would be taken over, or an element cannot be done again alone.
    """
    chains = [(path, _chain(path)) for path in asked.again if not path.startswith(_HANDLERS)]
    for path, chain in chains:
        _check(plan.main, chain, path, history, asked)
    for path in asked.outputs:
        _check(plan.main, _chain(path), path, history, asked)
    taking = _Taking(history, asked)
    taking.graph(plan.main, "", "", [chain for _, chain in chains], top=True)
    if before is not None and before is not plan:
        old = _Taking(history, asked)
        known = {task.id for task in before.main.tasks}
        old.graph(before.main, "", "", [chain for _, chain in chains if chain[0].id in known])
        if gone := taking.gone(plan.main, old.taken.paths):
            raise CannotTakeOver(_misfit(plan, history, gone))
    return taking.taken


class _Taking:
    """Goes through a plan beside what was recorded."""

    def __init__(self, history: History, asked: Asked) -> None:
        self._history = history
        self._asked = asked
        self._children = _by_top(history.ended)
        self.taken = Taken({}, [], [])

    def graph(
        self, graph: GraphPlan, source: str, target: str, chains: list[list[Step]], *, top: bool = False
    ) -> None:
        """Take over what need not be done again of a graph; `source` and `target` stand before its ids."""
        again = self._again(graph, source, target, chains)
        for task in sorted(graph.tasks, key=lambda task: (task.at.line, task.at.column)):
            path = target + task.id
            if task.slot not in again:
                self._whole(source + task.id, path)
                continue
            if top:
                self.taken.again.append(path)
            if not any(slot in again for slot in task.waits):
                self._part(task, source + task.id, path, [c for c in chains if c[0].id == task.id])

    def _again(self, graph: GraphPlan, source: str, target: str, chains: list[list[Step]]) -> set[int]:
        """Return the slots of what is done again of a graph."""
        named = {chain[0].id for chain in chains}
        outputs = self._asked.outputs
        again = {
            task.slot
            for task in graph.tasks
            if target + task.id not in outputs and (task.id in named or not self._is_well(source + task.id))
        }
        edited = {task.slot for task in graph.tasks if target + task.id in outputs}
        fixed = set(edited)
        if not self._asked.again:  # then what reads the edited outputs is meant
            again |= {task.slot for task in graph.tasks if not edited.isdisjoint(task.waits)} - fixed
        grew = True
        while grew:
            grew = False
            for task in graph.tasks:
                if task.slot not in again and task.slot not in fixed and not again.isdisjoint(task.waits):
                    again.add(task.slot)
                    grew = True
        self.taken.stale += [
            target + task.id
            for task in graph.tasks
            if task.slot not in again and task.slot not in fixed and not edited.isdisjoint(task.waits)
        ]
        return again

    def _is_well(self, path: str) -> bool:
        return self._history.ended.get(path) in _ENDED_WELL and path not in self._history.undone

    def _whole(self, source: str, target: str) -> None:
        for path in self._belonging(source):
            self.taken.paths[path] = target + path[len(source) :]

    def _part(self, task: TaskPlan, source: str, target: str, chains: list[list[Step]]) -> None:
        """Take over what is done already of a task that is done again, unless all of it is asked for."""
        whole = any(len(chain) == 1 and chain[0].element is None for chain in chains)
        if whole or getattr(task, "repeat", None) is not None:
            return
        if task.over is not None:
            if not self._asked.edited:
                self._elements(task, source, target, chains)
        elif task.body is not None:
            self._body(task.body, source, target, chains)

    def _body(self, body: GraphPlan, source: str, target: str, chains: list[list[Step]]) -> None:
        """Take over what is done of a group: of its last attempt, which was the new run's first."""
        prefix = self._last_attempt(source)
        self.graph(body, prefix, target + ".", [chain[1:] for chain in chains if len(chain) > 1])

    def _last_attempt(self, source: str) -> str:
        last, prefix = 1, source + "."
        for path in self._belonging(source):
            number, dot, _ = path[len(source) + 1 :].partition(".")
            if (
                path[len(source) : len(source) + 1] == "#"
                and dot
                and number.isdecimal()
                and int(number) > last
            ):
                last, prefix = int(number), f"{source}#{number}."
        return prefix

    def _elements(self, task: TaskPlan, source: str, target: str, chains: list[list[Step]]) -> None:
        asked = {chain[0].element for chain in chains}
        for element in self._elements_of(source):
            path = source + element
            mine = [chain for chain in chains if f"[{chain[0].element}]" == element]
            alone = any(len(chain) == 1 for chain in mine)
            code = self._history.ended.get(path)
            well = code == SUCCEEDED or (code == CONTINUED and bool(asked))
            if not mine and well and path not in self._history.undone:
                self._whole(path, target + element)
            elif not alone and task.body is not None:
                self._body(task.body, path, target + element, mine)

    def _elements_of(self, source: str) -> list[str]:
        """Return the elements of a map of which anything has ended, as they stand in paths."""
        found: dict[str, None] = {}
        for path in self._belonging(source):
            if path[len(source) : len(source) + 1] == "[":
                found[path[len(source) : element_end(path, len(source))]] = None
        return list(found)

    def _belonging(self, source: str) -> list[str]:
        """Return the paths of a task and of what belongs to it, of what has ended."""
        known = self._children.get(_top(source), [])
        found = []
        for place in range(bisect.bisect_left(known, source), len(known)):
            if not known[place].startswith(source):
                break
            if is_within(known[place], source):
                found.append(known[place])
        return found

    # -- a plan that is another ---------------------------------------------------------

    def gone(self, main: GraphPlan, before: Iterable[str]) -> list[str]:
        """Return what the plan before would take over and this one has no place for, or one of another shape."""
        found: list[str] = []
        ids = {task.id: task for task in main.tasks}
        for path in before:
            if path != _top(path):
                continue
            task = ids.get(path)
            if task is None or (
                path in self.taken.paths and (task.over is not None) != (path in self._history.maps)
            ):
                found.append(path)
        return found


def _misfit(plan: FlowPlan, history: History, gone: list[str]) -> str:
    ids = {task.id: task for task in plan.main.tasks}
    before = {_top(path) for path in history.ended if not path.startswith(_HANDLERS)}
    shapes = [path for path in gone if path in ids]
    missing = [path for path in gone if path not in ids]
    lines = [f"the flow does not fit what would be taken over of {_some(gone)}"]
    lines += [f"gone: {path}{_near(path, ids)}" for path in missing]
    lines += [
        f"changed: {path} {'is a map now' if ids[path].over else 'is no map any more'}" for path in shapes
    ]
    lines.append(f"the same: {_some(sorted(before & ids.keys() - set(shapes)))}")
    lines.append(f"new: {_some(sorted(ids.keys() - before))}")
    lines.append("keep the tasks, or name with --from what comes before them")
    return "\n  ".join(lines)


def _some(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:10]) + (" …" if len(names) > 10 else "") if names else "–"


def _near(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f" ({near})" if near else ""


def is_sensitive(plan: FlowPlan, path: str) -> bool:
    """Tell whether the output of a task at a path is sensitive."""
    graph: GraphPlan | None = plan.main
    for step in _chain(path):
        task = next((task for task in graph.tasks if task.id == step.id), None) if graph is not None else None
        if task is None:
            return False
        if task.sensitive:
            return True
        graph = task.body
    return False


# -- what was asked -----------------------------------------------------------------


def _chain(path: str) -> list[Step]:
    try:
        return parse(path)
    except ValueError as error:
        raise CannotTakeOver(str(error)) from None


def _check(graph: GraphPlan, chain: list[Step], path: str, history: History, asked: Asked) -> None:
    """Refuse a path that names nothing of the plan."""
    inside: GraphPlan | None = graph
    seen = ""
    for step in chain:
        tasks = {task.id: task for task in inside.tasks} if inside is not None else {}
        task = tasks.get(step.id)
        if task is None:
            near = nearest(seen + step.id, [seen + id for id in tasks])
            raise NotFound("task", path, near or f"its tasks are {_some(list(tasks))}")
        if step.element is not None:
            _check_element(task, seen + step.id, step.element, path, history, asked)
        elif task.over is not None and step is not chain[-1]:
            raise CannotTakeOver(
                f"'{seen + step.id}' is a map: name one of its elements, as {seen}{step.id}[0]"
            )
        inside = task.body
        seen += f"{step.id}[{step.element}]." if step.element is not None else f"{step.id}."


def _check_element(
    task: TaskPlan, path: str, element: str, named: str, history: History, asked: Asked
) -> None:
    if task.over is None:
        raise CannotTakeOver(f"'{path}' is no map: it has no element [{element}]")
    if asked.edited:
        raise CannotTakeOver(
            f"with other inputs, outputs or another flow '{path}' may have other elements: "
            f"it can only be done again as a whole, with --from {path}"
        )
    if not any(is_within(known, f"{path}[{element}]") for known in history.ended):
        raise NotFound("element", named, f"nothing of {path}[{element}] has ended in that run")


def around(path: str) -> set[str]:
    """Return a path and those of the tasks around it."""
    found = {path}
    for place, mark in enumerate(path):
        if mark in ".[#!@":
            found.add(path[:place])
        if mark == "]":
            found.add(path[: place + 1])
    return found


def _top(path: str) -> str:
    """Return the task of the main graph that a path belongs to; of a handler's, the path."""
    if path.startswith(_HANDLERS):
        return path
    for place, mark in enumerate(path):
        if mark in ".[#!@~":
            return path[:place]
    return path


def _by_top(ended: Iterable[str]) -> dict[str, list[str]]:
    """Return paths by the task of the main graph that they belong to, sorted: what is within one lies together."""
    found: dict[str, list[str]] = {}
    for path in ended:
        found.setdefault(_top(path), []).append(path)
    for paths in found.values():
        paths.sort()
    return found
