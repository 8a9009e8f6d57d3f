"""`map`: a function of the author, once for each element of a list that is known only when the flow runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from flowbuilder.compiler.expressions.parse import RESERVED
from flowbuilder.compiler.expressions.tree import Member
from flowbuilder.core.functions.table import FUNCTIONS
from flowbuilder.sdk.pyflows import recorder
from flowbuilder.sdk.pyflows.calls import apply_options, graph_here, output_of, record, split
from flowbuilder.sdk.pyflows.flows import Flow
from flowbuilder.sdk.pyflows.places import Place, here
from flowbuilder.sdk.pyflows.problems import wrong
from flowbuilder.sdk.pyflows.recorded import Recorded, tree_of
from flowbuilder.sdk.pyflows.recorder import Graph, TaskRecord, current
from flowbuilder.sdk.pyflows.tasks import Task
from flowbuilder.sdk.pyflows.trees import WORD, TaskRef, name, results_in
from flowbuilder.sdk.pyflows.trees import call as called

RESULT: Final = "result"
"""The output of a group of which only one value is wanted."""


def map(function: Any, over: Any, /, *further: Any, **words: Any) -> Any:
    """Call a function once for each element of a list or mapping that is known only when the flow runs.

    Args:
        function: a @task, a @flow, or any function of the element that calls such; of a mapping, the
            element has `key` and `value`.  A parameter called `index` gets its number.
        over: the list or mapping.
        further: lists of the arguments after the first, side by side as with Python's own `map`.
        words: arguments that are the same for all, and keys of the task; `limit` bounds how many run at once.

    Returns:
        What stands for the results, in order; of a mapping, by key.

    Outside of a flow: the list of what the function returns.
    """
    if current() is None:
        if isinstance(over, dict) and not further:
            return {key: function(_Pair(key, value), **words) for key, value in over.items()}
        return [function(*each, **words) for each in zip(over, *further, strict=True)]
    place = here()
    if isinstance(function, Task | Flow):
        return map_task(function, (over, *further), words, place)
    return _map_body(function, (over, *further), words, place)


class _Pair:
    """An element of a mapping, outside of a flow."""

    def __init__(self, key: Any, value: Any) -> None:
        self.key = key
        self.value = value


def map_task(function: Any, lists: tuple[Any, ...], words: Mapping[str, Any], place: Place) -> Any:
    """Record a map of one task or sub-flow."""
    if current() is None:
        return map(function, *lists, **words)
    item = Recorded(name("item"), place)
    args = (item,) if len(lists) == 1 else tuple(item[i] for i in range(len(lists)))
    return function._record(args, words, place, over=_over(lists, place))


def _over(lists: tuple[Any, ...], place: Place) -> Any:
    if len(lists) == 1:
        over = lists[0]
        if not isinstance(over, Recorded | list | tuple | dict | range):
            raise wrong(
                "FB292",
                f"`map` goes over a list or a mapping, and this is a {type(over).__name__}",
                place,
                "the function comes first: `map(fetch, days)`",
            )
        return list(over) if isinstance(over, range | tuple) else over
    return Recorded(called("zip", *(tree_of(each, place) for each in lists)), place)


def _map_body(function: Any, lists: tuple[Any, ...], words: Mapping[str, Any], place: Place) -> Any:
    """Record a map of whatever a function calls: one task where that is all it is, else a group."""
    if not callable(function):
        raise wrong("FB292", "`map` takes a function first", place, "write `map(fetch, days)`")
    graph = graph_here("map")
    values, options = split(words, _own_parameters(function, len(lists)), place, "the function")
    recorder_ = graph.recorder
    alias = _alias(function, graph)
    item, index = Recorded(name(alias), place), Recorded(name(f"{alias}_index"), place)
    inner = Graph(recorder_, graph, "a map, which has one of it for each element")
    recorder_.names |= {alias, f"{alias}_index"}
    elements = [item] if len(lists) == 1 else [item[i] for i in range(len(lists))]
    extra = {"index": index} if "index" in inspect.signature(function).parameters else {}
    try:
        with recorder.recording(inner):
            given = function(*elements, **extra, **values)
    finally:
        recorder_.names -= {alias, f"{alias}_index"}
    over = _over(lists, place)
    if len(inner.tasks) == 1 and _is_all(given, inner.tasks[0]):
        return _hoisted(inner.tasks[0], graph, over, alias, options, place)
    if not inner.tasks:
        made = record("set", "map", given, options, place)
    else:
        made = record("group", _label(function, inner), None, options, place)
        made.inner, inner.owner = inner, made
    made.over, made.options["as"] = over, alias
    return _gathered(made, given, over)


def _own_parameters(function: Callable[..., Any], count: int) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)[count:]
    except (TypeError, ValueError):
        return []


def _is_all(given: Any, task: TaskRecord) -> bool:
    """Tell whether a function has returned the output of its only task, which says nothing that holds for one element."""
    plain = not (task.needs or task.condition or task.over is not None or "run_when" in task.options)
    if given is None:
        return plain and task.inner is None
    tree = given._tree if isinstance(given, Recorded) else None
    return (
        plain
        and isinstance(tree, Member)
        and tree.name == "output"
        and isinstance(tree.of, TaskRef)
        and tree.of.task is task
    )


def _hoisted(
    task: TaskRecord, graph: Graph, over: Any, alias: str, options: Mapping[str, Any], place: Place
) -> Recorded:
    """Make the only task of a map a map itself."""
    task.graph = graph
    task.condition = list(graph.conditions)
    graph.tasks.append(task)
    if task.inner is not None:
        task.inner.of = graph
    task.over = over
    task.options["as"] = alias
    apply_options(task, options, place)
    return output_of(task)


def _gathered(made: TaskRecord, given: Any, over: Any) -> Recorded:
    """Return what a map of a group gives: what the function has returned for each element."""
    output = output_of(made)
    if made.inner is None or given is None:
        return output
    if (
        isinstance(given, dict)
        and given
        and all(isinstance(key, str) and WORD.fullmatch(key) for key in given)
    ):
        made.outputs = given
        return output
    made.outputs = {RESULT: given}
    return Recorded(results_in(output._tree, RESULT, over), made.place, made)


def _label(function: Any, inner: Graph) -> str:
    label = getattr(function, "__name__", "map")
    return "each_" + inner.tasks[0].id if label == "<lambda>" else label


def _alias(function: Any, graph: Graph) -> str:
    """Return a name for the element that no map around has: that of the function's first parameter, if it may be."""
    parameters = list(inspect.signature(function).parameters)
    wanted = parameters[0] if parameters and WORD.fullmatch(parameters[0]) else "element"
    wanted = wanted.strip("_") or "element"
    taken = graph.recorder.names | set(RESERVED) | set(FUNCTIONS)
    found, number = wanted, 1
    while found in taken or f"{found}_index" in taken:
        number += 1
        found = f"{wanted}_{number}"
    return found


__all__ = ["map", "map_task"]
