"""What a flow's function calls besides its own tasks: maps, conditions, groups, and the task types by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from flowbuilder.compiler.expressions.parse import RESERVED
from flowbuilder.compiler.expressions.tree import Call, Choice, DictComp, Expr, For, ListComp, Member, Not
from flowbuilder.compiler.expressions.tree import Const as Constant
from flowbuilder.core.functions.table import FUNCTIONS
from flowbuilder.sdk.pyflows import recorder
from flowbuilder.sdk.pyflows.calls import (
    apply_options,
    graph_here,
    option_name,
    output_of,
    record,
    split,
)
from flowbuilder.sdk.pyflows.flows import Flow
from flowbuilder.sdk.pyflows.places import Place, here
from flowbuilder.sdk.pyflows.problems import wrong
from flowbuilder.sdk.pyflows.recorded import Recorded, tree_of
from flowbuilder.sdk.pyflows.recorder import Graph, TaskRecord, current
from flowbuilder.sdk.pyflows.tasks import Task
from flowbuilder.sdk.pyflows.trees import AT, WORD, TaskRef, member, name
from flowbuilder.sdk.pyflows.trees import call as called
from flowbuilder.tasks.registry import catalogue

if TYPE_CHECKING:
    import contextvars
    from types import TracebackType

    from flowbuilder.core.catalogue import TaskSpec

RESULT: Final = "result"
"""The output of a group of which only one value is wanted."""


def known_types() -> Mapping[str, TaskSpec]:
    """Return the task types that flows may call."""
    return catalogue(Path.cwd())


def call(type: str, /, *args: Any, **words: Any) -> Any:
    """Record a task of any type: `call("http", url="https://…", retry=3)`.

    Keywords are the type's parameters, and keys of a task where it has no
    parameter of the name.  Returns what stands for its output.
    """
    place = here()
    spec = known_types().get(type)
    if spec is not None and spec.whole:
        values, options = split(words, (), place, f"'{type}'")
        if len(args) != 1:
            raise wrong("FB292", f"'{type}' takes one value", place)
        made = record(type, type, args[0], options, place)
        made.places["with"] = place.of_argument(0)
        return output_of(made)
    known = None if spec is None else list(spec.params.get("properties", {}))
    words = _by_name(type, args, words, known, place)
    values, options = split(words, known, place, f"the type '{type}'") if known else _of_unknown(words)
    made = record(type, type, values or None, options, place)
    made.places |= {f"with.{word}": place.of_argument(word) for word in values}
    return output_of(made)


def _by_name(
    type: str, args: tuple[Any, ...], words: Mapping[str, Any], known: list[str] | None, place: Place
) -> dict[str, Any]:
    """Return all parameters by name: one may stand by place, the type's first."""
    if not args:
        return _unreserved(words, known)
    if len(args) > 1 or not known or known[0] in words:
        raise wrong("FB292", f"the type '{type}' takes its parameters by name", place)
    return {known[0]: args[0], **_unreserved(words, known)}


def _unreserved(words: Mapping[str, Any], known: list[str] | None) -> dict[str, Any]:
    """Return keywords with `for_` as `for`, where the type has such a parameter."""
    return {
        (word.rstrip("_") if known and word.endswith("_") and word.rstrip("_") in known else word): value
        for word, value in words.items()
    }


def _of_unknown(words: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return parameters and options of a type that nobody knows here; the compiler says what is wrong with it."""
    from flowbuilder.sdk.pyflows.calls import OPTIONS

    options = {word: value for word, value in words.items() if option_name(word) in OPTIONS}
    return {word: value for word, value in words.items() if word not in options}, options


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
    one = Call(AT, "default", (member(name("each"), RESULT), Constant(AT, None)), (), "filter")
    if isinstance(over, dict):
        pairs = Call(AT, "items", (output._tree,), (), "method")
        made_tree: Expr = DictComp(AT, name("key"), one, (For(("key", "each"), pairs, ()),))
    else:
        made_tree = ListComp(AT, one, (For(("each",), output._tree, ()),))
    return Recorded(made_tree, made.place, made)


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


def switch(*cases: tuple[Any, Any], default: Any = None, **options: Any) -> Any:
    """Record a choice: the value of the first case that holds: `switch((x > 9, "high"), (x > 3, "middle"), default="low")`."""
    place = here()
    if not cases or not all(isinstance(case, tuple) and len(case) == 2 for case in cases):
        raise wrong("FB292", "`switch` takes pairs of a condition and a value", place)
    _, options = split(options, (), place, "`switch`")
    params = {
        "cases": [{"when": condition, "value": value} for condition, value in cases],
        "default": default,
    }
    return output_of(record("switch", "switch", params, options, place))


def sleep(duration: Any = None, /, *, until: Any = None, **options: Any) -> Any:
    """Record a wait: `sleep("10s")`, or `sleep(until=moment)`; `needs=` says after what."""
    import datetime as dt

    place = here()
    if (duration is None) == (until is None):
        raise wrong("FB292", "`sleep` takes a duration, or `until=`", place, 'write `sleep("10s")`')
    if isinstance(duration, dt.timedelta):
        from flowbuilder.sdk.pyflows.calls import duration as written

        duration = written(duration)
    params = {"until": until} if duration is None else {"for": duration}
    _, options = split(options, (), place, "`sleep`")
    made = record("sleep", "sleep", params, options, place)
    made.places["with.for"] = place.of_argument(0)
    return output_of(made)


def wait(**words: Any) -> Any:
    """Record a wait for a signal or an event: `wait(signal="go", timeout="1h")`; its output is the payload."""
    return _of_type("wait", words)


def approval(**words: Any) -> Any:
    """Record a wait for people's approval: `approval(message="Ship it?", assignees=["ann"])`."""
    return _of_type("approval", words)


def emit(event: Any, payload: Any = None, **words: Any) -> Any:
    """Record the publishing of an event."""
    return _of_type("emit", {"event": event, **({} if payload is None else {"payload": payload}), **words})


def _of_type(type: str, words: Mapping[str, Any]) -> Any:
    place = here()
    spec = known_types().get(type)
    if spec is None:
        values, options = _of_unknown(words)
    else:
        values, options = split(words, list(spec.params.get("properties", {})), place, f"`{type}`")
    made = record(type, type, values, options, place)
    made.places |= {f"with.{word}": place.of_argument(word) for word in values}
    return output_of(made)


def each(values: Any, function: Callable[[Any], Any], *, if_: Callable[[Any], Any] | None = None) -> Recorded:
    """Return a list made of another one by an expression, without a task: `each(orders, lambda o: o.total)`."""
    bound = _free_name()
    one = Recorded(name(bound), here())
    conditions = () if if_ is None else (tree_of(if_(one)),)
    return Recorded(
        ListComp(AT, tree_of(function(one)), (For((bound,), tree_of(values), conditions),)), here()
    )


def where(values: Any, condition: Callable[[Any], Any]) -> Recorded:
    """Return the elements of a list that a condition holds for: `where(orders, lambda o: o.total > 0)`."""
    return each(values, lambda one: one, if_=condition)


def _free_name() -> str:
    """Return a name that no comprehension around binds."""
    graph = current()
    if graph is None:
        return "one"
    graph.recorder.bound += 1
    return "one" if graph.recorder.bound == 1 else f"one_{graph.recorder.bound}"


def text(template: str, /, **values: Any) -> Recorded:
    """Return a text with values in it: `text("https://shop.example/{day}", day=day)`.  Two braces stand for one."""
    import string

    from flowbuilder.compiler.expressions.tree import Text

    place = here()
    parts: list[Expr] = []
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise wrong("FB292", f"`text`: {error}", place, "two braces stand for one: `{{`") from None
    for literal, key, spec, conversion in pieces:
        if literal:
            parts.append(Constant(AT, literal))
        if key is None:
            continue
        if spec or conversion or key not in values:
            known = ", ".join(values) or "none"
            raise wrong("FB292", f"`text` has no value '{key}'", place, f"it is given {known}")
        parts.append(tree_of(values[key], place.of_argument(key)))
    return Recorded(Text(AT, tuple(parts)), place)


def status_of(result: Any) -> Recorded:
    """Return what stands for the status of the task that gave a result: `succeeded`, `failed`, `skipped`."""
    return _about(result, "status")


def error_of(result: Any) -> Recorded:
    """Return what stands for the error of the task that gave a result, or null."""
    return _about(result, "error")


def errors_of(result: Any) -> Recorded:
    """Return what stands for the list of errors of a map."""
    return _about(result, "errors")


def _about(result: Any, what: str) -> Recorded:
    task = result._task if isinstance(result, Recorded) else getattr(result, "task", None)
    if not isinstance(task, TaskRecord):
        raise wrong("FB292", f"'{what}_of' takes what a call of a task has returned", here())
    return Recorded(member(TaskRef(AT, task), what), here())


__all__ = [
    "approval",
    "call",
    "each",
    "emit",
    "error_of",
    "errors_of",
    "group",
    "map",
    "sleep",
    "status_of",
    "switch",
    "text",
    "wait",
    "when",
    "where",
]
