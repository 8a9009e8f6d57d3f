"""Running a flow's function once, and making the text of what it has stated."""

from __future__ import annotations

import contextvars
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.compiler.collector import collector_paused
from flowbuilder.core.diagnostics import Diagnostic
from flowbuilder.core.errors import FlowBuilderError, FlowError
from flowbuilder.sdk.pyflows import kinds
from flowbuilder.sdk.pyflows.calls import body, duration, option_name
from flowbuilder.sdk.pyflows.document import graph_part, lift_needs, part_of
from flowbuilder.sdk.pyflows.places import Place, of_function, of_traceback
from flowbuilder.sdk.pyflows.problems import as_error, diagnostic, wrong
from flowbuilder.sdk.pyflows.recorded import Recorded
from flowbuilder.sdk.pyflows.recorder import Graph, Recorder, recording
from flowbuilder.sdk.pyflows.silent import silent_mistakes
from flowbuilder.sdk.pyflows.trees import WORD, NotAValue, member, name, scalar
from flowbuilder.sdk.pyflows.yaml_text import Part, YamlText

if TYPE_CHECKING:
    from flowbuilder.sdk.pyflows.flows import Flow

RESULT: Final = "result"
"""The name of the output of a flow whose function returns one value."""
HANDLERS: Final = ("on_failure", "finally")


class Built(msgspec.Struct):
    """What a flow's function has stated."""

    flow: Any
    path: str
    """Where its text is said to be: `…/report.py:daily_report`."""
    yaml: YamlText
    single: bool
    """Whether it returns one value, which is the output `result`."""
    sub_flows: dict[str, Built]
    """Those that it calls, theirs among them, by path."""
    problems: tuple[Diagnostic, ...] = ()
    """What is wrong with it already."""

    @property
    def text(self) -> str:
        """The flow in YAML."""
        return self.yaml.text


def build(flow: Flow[..., Any], *, tolerant: bool = False) -> Built:
    """Call a flow's function and return what it states.

    Args:
        flow: the flow.
        tolerant: return what has problems too, for the compiler to look for more.

    Raises:
        FlowError: what it does cannot be recorded; with all that was found up to there.
    """
    if flow in (outer := _open.get()):
        raise wrong(
            "FB292",
            f"the flow '{flow.name}' calls itself without end",
            of_function(flow.fn),
            "call another one, or use `map`",
        )
    token = _open.set((*outer, flow))
    try:
        with collector_paused():
            built = _build(flow)
    finally:
        _open.reset(token)
    if built.problems and not tolerant:
        raise as_error(list(built.problems))
    return built


_open: Final[contextvars.ContextVar[tuple[Any, ...]]] = contextvars.ContextVar("flowbuilder_open", default=())
"""Flows that are being built, each called by the one before."""


def _build(flow: Flow[..., Any]) -> Built:
    path = str(flow.file)
    made = Recorder(os.path.dirname(path))
    if inspect.isgeneratorfunction(flow.fn) or inspect.isasyncgenfunction(flow.fn):
        raise wrong(
            "FB292",
            f"the function of the flow '{flow.name}' has a `yield` in it, and is never run to its end",
            of_function(flow.fn),
            "return what the flow gives",
        )
    made.problems += silent_mistakes(flow)
    inputs = _inputs(flow, made)
    arguments = {name: value for name, value in _stand_ins(flow).items()}
    returned = _call(flow, made, arguments)
    handlers = {key: graph for key in HANDLERS if (graph := _handler(flow, made, key)) is not None}
    if not made.main.tasks and not made.problems:
        made.problems.append(
            diagnostic(
                "FB292",
                f"the flow '{flow.name}' calls no task",
                of_function(flow.fn),
                "call a function that has @task",
            )
        )
    outputs, single = _outputs(returned)
    keys: dict[str, Any] = {"flow": Part(flow.name, flow.place)}
    keys |= _options(flow, made)
    if inputs:
        keys["inputs"] = Part(inputs, flow.place)
    for graph in (made.main, *handlers.values()):
        lift_needs(graph)
    keys["tasks"] = graph_part(made.main, flow.place)
    keys |= {key: graph_part(graph, flow.place) for key, graph in handlers.items()}
    if outputs is not None:
        whole = of_function(flow.fn)
        keys["outputs"] = Part(
            {key: part_of(each, made.main, getattr(each, "_place", whole)) for key, each in outputs.items()},
            whole,
        )
    if secrets := _secrets(keys):
        keys["secrets"] = Part(secrets, flow.place)
    ordered = {key: keys[key] for key in ORDER if key in keys} | keys
    return Built(
        flow, path, YamlText(Part(ordered, flow.place)), single, made.sub_flows, tuple(_once(made.problems))
    )


ORDER: Final = (
    "flow",
    "version",
    "description",
    "namespace",
    "labels",
    "timezone",
    "inputs",
    "vars",
    "env",
    "secrets",
)
"""Keys that stand first in the text."""


def parameters_of(flow: Flow[..., Any]) -> Iterable[inspect.Parameter]:
    """Return the parameters of a flow's function, which are its inputs.

    Raises:
        FlowError: some of them cannot be inputs.
    """
    found = []
    for parameter in inspect.signature(flow.fn).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise wrong(
                "FB294",
                f"the parameter '{parameter}' of a flow cannot be an input: inputs have names",
                of_function(flow.fn).of_argument(parameter.name),
                "name each, or take a list or a mapping",
            )
        found.append(parameter)
    return found


def _stand_ins(flow: Flow[..., Any]) -> dict[str, Recorded]:
    place = of_function(flow.fn)
    return {
        p.name: Recorded(member(name("inputs"), p.name), place)
        for p in inspect.signature(flow.fn).parameters.values()
    }


def _inputs(flow: Flow[..., Any], made: Recorder) -> dict[str, Part]:
    """Return the inputs as JSON Schemas, from the annotations."""
    annotations = kinds.annotations_of(flow.fn)
    found: dict[str, Part] = {}
    for parameter in parameters_of(flow):
        place = of_function(flow.fn).of_argument(parameter.name)
        kind = annotations.get(parameter.name, Any)
        try:
            schema = kinds.schema_of(kind)
        except Exception as error:  # whatever msgspec or a model says of a type that it does not know
            made.problems.append(
                diagnostic(
                    "FB294",
                    f"the input '{parameter.name}' cannot be described: {one_line(error)}",
                    place,
                    "annotate it with a type that JSON has, a dataclass, a struct or a model",
                )
            )
            schema = {}
        if parameter.default is not parameter.empty:
            schema = _with_default(schema, parameter, made, place)
        found[parameter.name] = part_of(schema, made.main, place)
    return found


def _with_default(
    schema: dict[str, Any], parameter: inspect.Parameter, made: Recorder, place: Place
) -> dict[str, Any]:
    try:
        default = _checked(kinds.output_of(parameter.default))
        default = msgspec.json.decode(msgspec.json.encode(_as_json(default)))
    except (NotAValue, TypeError, ValueError) as error:
        what = error.what if isinstance(error, NotAValue) else str(error)
        made.problems.append(
            diagnostic("FB290", f"the default of '{parameter.name}': a flow cannot hold {what}", place)
        )
        return schema
    if default is None and isinstance(schema.get("type"), str):  # `day: str = None`
        schema = {**schema, "type": [schema["type"], "null"]}
    return {**schema, "default": default}


def _checked(value: Any) -> Any:
    """Return a constant, if a flow can hold it.

    Raises:
        NotAValue: it cannot.
    """
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _checked(each)
    scalar(value)
    return value


def one_line(error: BaseException) -> str:
    """Return what an exception says, on one line."""
    return " ".join(str(error).split())[:300] or "no message"


def _as_json(value: Any) -> Any:
    from flowbuilder.core.values import to_json

    return to_json(value)


def _call(flow: Flow[..., Any], made: Recorder, arguments: Mapping[str, Any]) -> Any:
    """Call the function; what it raises is a finding at its line."""
    by_place, by_name = [], {}
    for parameter in inspect.signature(flow.fn).parameters.values():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            by_place.append(arguments[parameter.name])
        elif parameter.name in arguments:
            by_name[parameter.name] = arguments[parameter.name]

    def calls() -> Any:
        with recording(made.main):
            returned = flow.fn(*by_place, **by_name)
            return _driven(returned) if inspect.iscoroutine(returned) else returned

    return _guarded(flow, made, calls)


def _guarded(flow: Flow[..., Any], made: Recorder, calls: Callable[[], Any]) -> Any:
    try:
        return calls()
    except FlowError as error:
        raise as_error(_once([*made.problems, *error.diagnostics])) from error
    except FlowBuilderError:
        raise
    except Exception as error:  # the author's code may raise anything
        place = of_traceback(error.__traceback__, inspect.unwrap(flow.fn).__code__)
        message = one_line(error)
        found = diagnostic(
            "FB295",
            f"the function of the flow '{flow.name}' raised {type(error).__name__}: {message}",
            place,
            "it runs once, to state the graph: work on values belongs into @task functions",
        )
        raise as_error([*made.problems, found]) from error


def _once(found: Iterable[Diagnostic]) -> list[Diagnostic]:
    return list(dict.fromkeys(found))


def _driven(coroutine: Any) -> Any:
    """Run an async function that awaits nothing but recorded calls."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise RuntimeError("it awaits something that is no call of a task")


def _handler(flow: Flow[..., Any], made: Recorder, key: str) -> Graph | None:
    """Return the graph of `on_failure` or `finally`, which a function states."""
    word = next((word for word in flow.options if option_name(word) == key), None)
    if word is None:
        return None
    function, place = flow.options[word], flow.place.of_argument(word)
    if not callable(function):
        raise wrong("FB292", f"'{key}' takes a function that calls tasks", place)
    graph = Graph(made, None, f"`{key}`, which runs after the flow")
    graph.of = made.main
    error = Recorded(name("error"), place)
    _guarded(flow, made, lambda: body(function, error, {"error": error}, graph))
    return graph


def _options(flow: Flow[..., Any], made: Recorder) -> dict[str, Part]:
    """Return the keys of the flow that its decorator gives."""
    import datetime as dt

    keys: dict[str, Part] = {}
    for word, value in flow.options.items():
        key = option_name(word) if not word.startswith("x_") else "x-" + word[2:]
        if key in HANDLERS:
            continue
        place = flow.place.of_argument(word)
        plain = duration(value) if isinstance(value, dt.timedelta) else value
        keys[key] = part_of(plain, made.main, place)
    if "description" not in keys and (doc := inspect.getdoc(flow.fn)):
        keys["description"] = Part(" ".join(doc.split("\n\n")[0].split()), flow.place)
    return keys


def _outputs(returned: Any) -> tuple[dict[str, Any] | None, bool]:
    """Return a flow's outputs, and whether they are one value."""
    if returned is None:
        return None, False
    plain = returned
    if (
        not isinstance(returned, Recorded | dict | list | tuple) and hasattr(returned, "__dict__")
    ) or hasattr(returned, "__struct_fields__"):
        plain = _fields(returned)
    if (
        isinstance(plain, dict)
        and plain
        and all(isinstance(key, str) and WORD.fullmatch(key) for key in plain)
    ):
        return plain, False
    return {RESULT: returned}, True


def _fields(value: Any) -> Any:
    """Return a struct or dataclass, whose fields may be recorded values, as a mapping."""
    import dataclasses

    if isinstance(value, Recorded):
        return value
    if isinstance(value, msgspec.Struct):
        return {field: getattr(value, field) for field in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return value


def _secrets(keys: Mapping[str, Any]) -> list[str] | None:
    """Return the secrets that the flow declares, with those that it mentions; None where it mentions no others."""
    import re

    declared = keys["secrets"].value if "secrets" in keys else []
    names = (
        [part.value if isinstance(part, Part) else part for part in declared]
        if isinstance(declared, list)
        else []
    )
    found: dict[str, None] = {}

    def look(value: Any) -> None:
        if isinstance(value, Part):
            look(value.value)
        elif isinstance(value, dict):
            for each in value.values():
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)
        elif isinstance(value, str) and "${{" in value:
            found.update(dict.fromkeys(re.findall(r"\bsecrets\.([A-Za-z_][A-Za-z0-9_]*)", value)))

    for key in ("tasks", *HANDLERS, "vars", "env"):
        look(keys.get(key))
    return [*names, *(name for name in found if name not in names)] if set(found) - set(names) else None
