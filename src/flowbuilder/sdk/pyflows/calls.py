"""Recording one call: what is a parameter, what is an option, and what is put into the graph."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.compiler.lower.task import TASK
from flowbuilder.sdk.pyflows.document import graph_part, task_part
from flowbuilder.sdk.pyflows.places import Place, here
from flowbuilder.sdk.pyflows.problems import wrong
from flowbuilder.sdk.pyflows.recorded import Recorded
from flowbuilder.sdk.pyflows.recorder import Graph, TaskRecord, current, note, recording
from flowbuilder.sdk.pyflows.trees import AT as NOWHERE
from flowbuilder.sdk.pyflows.trees import TaskRef, member, name

if TYPE_CHECKING:
    from collections.abc import Iterable

NOT_OPTIONS: Final = frozenset({"type", "with", "run", "tasks", "outputs"})
OPTIONS: Final = frozenset({*TASK.keys, *TASK.later, "id"}) - NOT_OPTIONS
"""What may be said of any call."""
ALIASES: Final = {"limit": "concurrency"}


def graph_here(what: str) -> Graph:
    """Return the graph that is being recorded.

    Raises:
        FlowError: we are outside of a flow.
    """
    graph = current()
    if graph is None:
        raise wrong("FB292", f"'{what}' belongs into a flow", here(), "call it in a function with @flow")
    return graph


def option_name(word: str) -> str:
    """Return the key that a keyword means: `if_` is `if`, since Python keeps that word to itself."""
    key = word.rstrip("_")
    return ALIASES.get(key, key)


def split(
    words: Mapping[str, Any], parameters: Iterable[str] | None, place: Place, what: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments and the options among keywords.

    Args:
        words: keywords of a call.
        parameters: names that the callee takes; None where it takes any.
        place: of the call.
        what: the callee, for the message.

    A keyword that is neither is a finding.
    """
    known = None if parameters is None else set(parameters)
    args: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for word, value in words.items():
        if known is not None and word in known:
            args[word] = value
        elif option_name(word) in OPTIONS:
            options[word] = value
        elif known is None:
            args[word] = value
        else:
            close = difflib.get_close_matches(word, [*known, *OPTIONS], 1)
            note(
                wrong(
                    "FB292",
                    f"{what} has no parameter '{word}', and it is no option of a task",
                    place.of_argument(word),
                    f"did you mean '{close[0]}'?" if close else "",
                )
            )
    return args, options


def record(type: str, label: str, params: Any, options: Mapping[str, Any], place: Place) -> TaskRecord:
    """Put a task into the graph that is being recorded.

    Args:
        type: the task type.
        label: what its id is made of.
        params: `with`.
        options: keys of the task, as given at the call.
        place: of the call.
    """
    task = graph_here(label).add(type, label, place, options.get("id"))
    task.params = params
    apply_options(task, {word: value for word, value in options.items() if word != "id"}, place)
    return task


def apply_options(task: TaskRecord, options: Mapping[str, Any], place: Place) -> None:
    """Give a recorded task keys, which stand as keywords at a place."""
    for word, value in options.items():
        key = option_name(word)
        task.places[key] = place.of_argument(word)
        _apply(task, key, value)


def output_of(task: TaskRecord) -> Recorded:
    """Return what stands for a task's output."""
    return Recorded(member(TaskRef(NOWHERE, task), "output"), task.place, task)


def _apply(task: TaskRecord, key: str, value: Any) -> None:
    match key:
        case "if":
            task.condition.append(value)
        case "needs":
            task.needs += needed(value, task.places[key])
        case "for_each":
            task.over = value
        case "on_error":
            task.options[key] = _on_error(task, value)
        case "undo":
            task.options[key] = _undo(task, value)
        case "retry" | "timeout" | "deadline" if _is_duration(value):
            task.options[key] = duration(value)
        case _:
            task.options[key] = value


def _is_duration(value: Any) -> bool:
    import datetime as dt

    return isinstance(value, dt.timedelta)


def duration(value: Any) -> str:
    """Return a timedelta as the language writes durations."""
    milliseconds = round(value.total_seconds() * 1000)
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def needed(value: Any, place: Place) -> list[TaskRecord]:
    """Return the tasks that `needs=` names: what calls have returned.

    Anything else is a finding.
    """
    found = []
    for each in value if isinstance(value, list | tuple) else [value]:
        task = each._task if isinstance(each, Recorded) else getattr(each, "task", None)
        if not isinstance(task, TaskRecord):
            note(
                wrong(
                    "FB292",
                    "'needs' takes what calls of tasks have returned",
                    place,
                    "write `needs=[a]` with `a = fetch()`",
                )
            )
            continue
        found.append(task)
    return found


def body(function: Callable[..., Any], first: Recorded, names: Mapping[str, Recorded], graph: Graph) -> Any:
    """Call a function and record what it calls into a graph.

    Args:
        function: of the author.
        first: what its first parameter gets, whatever that is called.
        names: what it gets besides, for parameters of these names.
        graph: where its calls go.
    """
    from flowbuilder.sdk.pyflows.tasks import Task

    parameters = list(inspect.signature(function).parameters.values())
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    args: list[Any] = []
    for parameter in parameters:
        if parameter.kind not in by_place:
            break
        if parameter.name in names:
            args.append(names[parameter.name])
        elif not args:
            args.append(first)
        else:
            break
    with recording(graph):
        if isinstance(function, Task):
            return function._record(tuple(args), {}, first._place)
        return function(*args)


def _on_error(task: TaskRecord, value: Any) -> Any:
    """Return `on_error`: a word, or a mapping in which functions have become tasks."""
    if callable(value) and not isinstance(value, Recorded):
        value = {"tasks": value}
    if not isinstance(value, dict):
        return value
    made = dict(value)
    if callable(handler := made.get("tasks")):
        graph = Graph(task.graph.recorder, task.graph, "what runs on an error")
        place = task.places["on_error"]
        error = Recorded(name("error"), place)
        given = body(handler, error, {"error": error}, graph)
        if not graph.tasks:
            del made["tasks"]
            made["value"] = given
        else:
            made["tasks"] = graph_part(graph, place)
    return made


def _undo(task: TaskRecord, value: Any) -> Any:
    """Return `undo`: the one task that a function calls, given the output of the task that it reverses."""
    if not callable(value) or isinstance(value, Recorded):
        return value
    place = task.places["undo"]
    graph = Graph(task.graph.recorder, task.graph, "what undoes another task")
    names = {key: Recorded(name(key), place) for key in ("output", "item")}
    before = task.graph.recorder.ids_now()
    body(value, names["output"], names, graph)
    task.graph.recorder.forget_ids_since(before)  # an undo has no id of its own
    if len(graph.tasks) != 1:
        raise wrong(
            "FB292",
            f"'undo' takes one task, and this calls {len(graph.tasks)}",
            place,
            "put several into a sub-flow",
        )
    return task_part(graph.tasks[0])
