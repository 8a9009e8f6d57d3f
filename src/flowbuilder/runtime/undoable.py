"""What a run has done that can be undone, as its journal tells.

Nothing is kept in memory for it while a run goes well: when it fails, its
journal is read, and its plan gone through with what the journal says.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from flowbuilder.core.plan import (
    CODES,
    CONTEXT,
    ERROR,
    ERRORS,
    HEADER,
    INDEX,
    ITEM,
    LOOP,
    NO_ERRORS,
    PARENT,
)
from flowbuilder.core.rounds import round_path
from flowbuilder.core.rules import CACHED, SUCCEEDED
from flowbuilder.runtime.recovered import element_path, output_of
from flowbuilder.runtime.state import inner_scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.core.plan import GraphPlan, Scope, TaskPlan
    from flowbuilder.runtime.recovered import EndedTask, Recovered


@dataclasses.dataclass(slots=True)
class Undoable:
    """A task, or an element of one, that is to be undone."""

    path: str
    task: TaskPlan
    scope: Scope
    """What the task's own expressions saw."""
    output: Any
    """Null where it is not known what the task did."""
    place: tuple[bool, int]
    """Where in the journal it ended; behind all others what has no end there."""
    child: str | None = None
    """The run of a sub-flow of which it is not known how it ended."""


def undoables(graph: GraphPlan, scope: Scope, prefix: str, journal: Recovered) -> list[Undoable]:
    """Return what of a graph is to be undone, the newest first.

    Args:
        graph: whose tasks have all ended, or will not go on.
        scope: the graph's.
        prefix: what stands before the ids of its tasks in their paths.
        journal: all that is on disk of the run.

    Raises:
        ExpressionError: if the elements of a map cannot be worked out again.
    """
    return sorted(_of_graph(graph, scope, prefix, journal), key=lambda one: one.place, reverse=True)


def undoables_of_attempt(
    task: TaskPlan, scope: Scope, path: str, attempt: int, journal: Recovered
) -> list[Undoable]:
    """Return what is to be undone of one attempt of a group, the newest first."""
    assert task.body is not None
    prefix = body_prefix(path, attempt)
    return undoables(task.body, _scope_of(task.body, scope, prefix, journal), prefix, journal)


def body_prefix(path: str, attempt: int) -> str:
    """Return what stands before the ids of a group's tasks in the paths of one of its attempts."""
    return f"{path}." if attempt == 1 else f"{path}#{attempt}."


def _of_graph(graph: GraphPlan, scope: Scope, prefix: str, journal: Recovered) -> Iterator[Undoable]:
    for task in graph.tasks:
        if not task.undoes:
            continue
        path = prefix + task.id
        if task.over is None:
            yield from _of_task(task, scope, path, journal)
        elif path in journal.maps:
            for element, element_scope in _elements(task, scope, path, journal):
                yield from _of_task(task, element_scope, element, journal)


def _elements(task: TaskPlan, scope: Scope, path: str, journal: Recovered) -> Iterator[tuple[str, Scope]]:
    """Yield the elements of a map with the scopes that they had."""
    assert task.over is not None
    context = scope[CONTEXT]
    if task.uses_now:
        context.stand(f"{context.row.id}/{path}", journal.readied.get(path, context.moment))
    over = task.over(scope)
    template = [context, scope, None, None, None, None, None, None, None]
    keys = list(over) if type(over) is dict else None
    for index, item in enumerate(over.values() if keys is not None else over):
        element = template.copy()
        element[ITEM] = item if keys is None else {"key": keys[index], "value": item}
        element[INDEX] = index
        yield element_path(path, index if keys is None or task.sensitive else keys[index]), element


def _of_task(task: TaskPlan, scope: Scope, path: str, journal: Recovered) -> Iterator[Undoable]:
    ended = journal.ended.get(path)
    if path in journal.taken_over:
        return  # it is for the run to undo that has done it
    if task.repeat is not None:
        if task.over is None:
            scope = inner_scope(scope)
        yield from _of_rounds(task, scope, path, journal)
    else:
        if task.undo is not None:
            done = ended is not None and ended.code == SUCCEEDED and ended.error is None
            if ended is not None and done and ended.reason != CACHED:  # then an earlier run has done it
                yield Undoable(path, task, scope, ended.output, (False, ended.place))
            elif path in journal.armed:
                place = (True, journal.armed[path]) if ended is None else (False, ended.place)
                yield Undoable(path, task, scope, None, place, journal.children.get(path))
        yield from _of_body(task, scope, path, _attempts(path, ended, journal), journal)
    on_error = task.on_error
    if on_error is not None and on_error.graph is not None and on_error.graph.undoes:
        inner = _scope_of(on_error.graph, scope, path + "!", journal)
        rescue = journal.rescues.get(path)
        inner[ERROR] = rescue.error if rescue is not None else None
        yield from _of_graph(on_error.graph, inner, path + "!", journal)


def _of_rounds(task: TaskPlan, scope: Scope, path: str, journal: Recovered) -> Iterator[Undoable]:
    """Yield what is to be undone of each round, of one that was in flight too."""
    state: Any = None
    last = 0
    rounds = journal.rounds.get(path)
    for record, place in rounds.recent if rounds is not None else ():
        last = record.round
        inner = _scope_of_round(scope, state, last)
        state = output_of(record, journal.blob, journal.open)
        if task.undo is not None:
            yield Undoable(round_path(path, last), task, inner, state, (False, place))
        yield from _of_body(task, inner, round_path(path, last), record.attempts, journal)
    open = round_path(path, last + 1)
    inner = _scope_of_round(scope, state, last + 1)
    if task.undo is not None and open in journal.armed:
        doubted = (True, journal.armed[open])
        yield Undoable(open, task, inner, None, doubted, journal.children.get(open))
    yield from _of_body(task, inner, open, _attempts(open, journal.ended.get(path), journal), journal)


def _scope_of_round(scope: Scope, state: Any, number: int) -> Scope:
    inner = scope.copy()
    inner[LOOP] = {"state": state, "index": number - 1}
    return inner


def _of_body(
    task: TaskPlan, scope: Scope, path: str, attempts: int, journal: Recovered
) -> Iterator[Undoable]:
    """Yield what is to be undone of the attempts of a group."""
    if task.body is not None and task.body.undoes:
        for attempt in range(1, attempts + 1):
            prefix = body_prefix(path, attempt)
            yield from _of_graph(task.body, _scope_of(task.body, scope, prefix, journal), prefix, journal)


def _attempts(path: str, ended: EndedTask | None, journal: Recovered) -> int:
    """Return how many attempts of a group may have begun."""
    failed = journal.attempts.get(path)
    return max(1, ended.attempts if ended is not None else 0, failed.attempt + 1 if failed is not None else 0)


def _scope_of(graph: GraphPlan, parent: Scope, prefix: str, journal: Recovered) -> Scope:
    """Return the scope of a graph that has run, as it was at its end."""
    scope = graph.template.copy()
    scope[CONTEXT] = parent[CONTEXT]
    scope[PARENT] = parent
    scope[CODES] = codes = bytearray(len(graph.tasks))
    errors: dict[int, Any] = {}
    for task in graph.tasks:
        ended = journal.ended.get(prefix + task.id)
        if ended is None:
            continue
        codes[task.slot] = ended.code
        if ended.code == SUCCEEDED:
            scope[HEADER + task.slot] = ended.output
        if ended.error is not None:
            errors[task.slot] = ended.error
        if ended.errors:
            errors[~task.slot] = ended.errors
    scope[ERRORS] = errors or NO_ERRORS
    return scope
