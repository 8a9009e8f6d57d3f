"""From what was recorded to what a flow's text says: every key with the place that it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.expressions.tree import Expr, Logic
from flowbuilder.core.errors import FlowError
from flowbuilder.sdk.pyflows.problems import wrong
from flowbuilder.sdk.pyflows.recorded import MOST, Recorded, tree_of
from flowbuilder.sdk.pyflows.trees import AT, NotAValue, key_of, moment, scalar, simpler, tasks_of
from flowbuilder.sdk.pyflows.written import escaped, expression
from flowbuilder.sdk.pyflows.yaml_text import Part

if TYPE_CHECKING:
    from flowbuilder.sdk.pyflows.places import Place
    from flowbuilder.sdk.pyflows.recorder import Graph, TaskRecord

ORDER: Final = (
    "name",
    "description",
    "tags",
    "needs",
    "run_when",
    "if",
    "for_each",
    "as",
    "concurrency",
    "tolerate",
)
"""Keys of a task that stand before `type`; the others follow `with`."""


def part_of(value: Any, graph: Graph | None, place: Place) -> Part:
    """Return a value as the text says it: constants as they are, recorded ones as expressions.

    What is no value of a flow, or cannot be seen from here, is a finding.
    """
    try:
        return _part(value, graph, place, 0)
    except NotAValue as error:
        found = wrong("FB290", f"a flow cannot hold {error.what}", place, error.hint)
    except FlowError as error:
        found = error
    if graph is None:
        raise found
    graph.recorder.problems += found.diagnostics
    return Part(None, place)


def _part(value: Any, graph: Graph | None, place: Place, depth: int) -> Part:
    if isinstance(value, Part):
        return value
    if isinstance(value, Recorded):
        return Part(expression(value._tree, graph, place), place)
    if (plain := scalar(value)) is not ...:
        return Part(escaped(plain) if isinstance(plain, str) else plain, place)
    if (made := moment(value)) is not None:
        return Part(expression(made, graph, place), place)
    if depth > MOST:
        raise NotAValue(f"a value that is more than {MOST} deep")
    if isinstance(value, dict):
        return Part({key_of(key): _part(item, graph, place, depth + 1) for key, item in value.items()}, place)
    if isinstance(value, list | tuple):
        return Part([_part(item, graph, place, depth + 1) for item in value], place)
    return _part(simpler(value), graph, place, depth + 1)


def graph_part(graph: Graph, place: Place) -> Part:
    """Return the tasks of a graph."""
    return Part({task.id: task_part(task) for task in graph.tasks}, place)


def task_part(task: TaskRecord) -> Part:
    """Return one task."""
    keys: dict[str, Part] = {}

    def put(key: str, value: Any) -> None:
        keys[key] = part_of(value, task.graph, task.places.get(key, task.place))

    for key in ORDER:
        if key in task.options:
            put(key, task.options[key])
    if task.over is not None:
        put("for_each", task.over)
    if condition := _condition(task.condition):
        put("if", Recorded(condition, task.place))
    if (needs := _needs(task)) is not None:
        put("needs", needs)
    keys = {key: keys[key] for key in ORDER if key in keys}
    put("type", task.type)
    if task.params is not None:
        keys["with"] = _parameters(task)
    for key, value in task.options.items():
        if key not in ORDER:
            put(key, value)
    if task.inner is not None:
        keys["tasks"] = graph_part(task.inner, task.place)
        if task.outputs is not None:
            keys["outputs"] = part_of(task.outputs, task.inner, task.place)
    return Part(keys, task.place)


def _parameters(task: TaskRecord) -> Part:
    """Return `with`; arguments of a function stand where they were given."""
    params = task.params
    if not isinstance(params, dict):
        return part_of(params, task.graph, task.place)
    return Part({key_of(key): _parameter(task, key, value) for key, value in params.items()}, task.place)


def _parameter(task: TaskRecord, key: str, value: Any) -> Part:
    place = task.places.get(f"with.{key}", task.place)
    if key in ("args", "inputs") and isinstance(value, dict):
        return Part(
            {
                key_of(name): part_of(each, task.graph, task.places.get(f"{key}.{name}", place))
                for name, each in value.items()
            },
            place,
        )
    return part_of(value, task.graph, place)


def _condition(conditions: Iterable[Any]) -> Expr | None:
    """Return the conditions of a task and of the blocks around it as one."""
    operands: list[Expr] = []
    for each in conditions:
        tree = tree_of(each)
        operands += tree.operands if isinstance(tree, Logic) and tree.op == "and" else (tree,)
    if not operands:
        return None
    return operands[0] if len(operands) == 1 else Logic(AT, "and", tuple(operands))


def _needs(task: TaskRecord) -> list[str] | None:
    """Return what the task needs besides what it refers to, with that; None where there is nothing besides.

    `needs` replaces what a task's references say, so both are written.
    """
    wanted: list[TaskRecord] = list(task.needs)
    if not wanted:
        return None
    wanted += _mentioned(task)
    found: dict[str, None] = {}
    for other in wanted:
        seen = _seen_from(task, other)
        if seen is not task:
            found[seen.id] = None
    return list(found)


def lift_needs(graph: Graph) -> None:
    """Let groups need what tasks inside of them need of the tasks beside the group."""
    for task in graph.tasks:
        if task.inner is None:
            continue
        lift_needs(task.inner)
        for inside in task.inner.tasks:
            outer = [other for other in inside.needs if not other.graph.is_inside(task.inner)]
            inside.needs = [other for other in inside.needs if other not in outer]
            task.needs += outer


def _mentioned(task: TaskRecord) -> list[TaskRecord]:
    """Return the tasks in the same graph, or in groups there, that a task refers to, or what is inside of it."""
    found: list[TaskRecord] = []
    for value in (task.params, task.options, task.condition, task.over):
        found += tasks_in(value)
    if task.inner is not None:
        found += tasks_in(task.outputs)
        for inside in task.inner.tasks:
            found += _mentioned(inside)
    own = task.inner
    return [o for o in found if o.graph.is_inside(task.graph) and not (own and o.graph.is_inside(own))]


def _seen_from(task: TaskRecord, other: TaskRecord) -> TaskRecord:
    """Return a task, or the group around it that stands in the same graph as the one that needs it."""
    seen = other
    while seen.graph is not task.graph:
        owner = seen.graph.owner
        if owner is None:
            raise wrong(
                "FB293",
                f"'{task.id}' needs '{other.id}', which is not among the tasks beside it",
                task.place,
                "a task needs tasks of its own group; let the group need it",
            )
        seen = owner
    return seen


def tasks_in(value: Any) -> list[TaskRecord]:
    """Return the tasks that a value mentions anywhere in it."""
    if isinstance(value, Recorded):
        return list(tasks_of(value._tree))
    if isinstance(value, Part):
        return tasks_in(value.value)
    if isinstance(value, dict):
        return [task for each in value.values() for task in tasks_in(each)]
    if isinstance(value, list | tuple):
        return [task for each in value for task in tasks_in(each)]
    return []
