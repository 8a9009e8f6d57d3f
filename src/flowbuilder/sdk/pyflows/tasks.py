"""`@task`: a function that becomes a task where a flow calls it, and stays a function elsewhere."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from flowbuilder.core.errors import TaskFailed
from flowbuilder.sdk.pyflows import kinds
from flowbuilder.sdk.pyflows.places import Place, here, of_function
from flowbuilder.sdk.pyflows.problems import wrong
from flowbuilder.sdk.pyflows.recorder import current, note
from flowbuilder.tasks.python import name_function, name_task

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from flowbuilder.sdk.pyflows.recorded import Recorded
    from flowbuilder.sdk.pyflows.recorder import TaskRecord

P = ParamSpec("P")
R = TypeVar("R")


class Task(Generic[P, R]):
    """A function that flows call as a task.

    Inside of a flow's function a call records a task and returns what stands
    for its output; anywhere else it calls the function.  Besides its own
    arguments a recorded call takes the keys of a task as keywords, as far as
    the function has no parameter of the name: `if_=`, `needs=`, `id=`, ….
    """

    def __init__(self, function: Callable[P, R], options: Mapping[str, Any], place: Place) -> None:
        functools.update_wrapper(self, function)
        self.fn = function
        self.options = dict(options)
        self._place = place
        self._engine_call: Callable[..., Any] | None = None
        self._returns: dict[str, Any] | None = None
        """The JSON Schema of what it is annotated to return; None where nobody has asked yet."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Record a task inside of a flow; call the function elsewhere."""
        if current() is None:
            return self.fn(*args, **kwargs)
        return self._record(args, kwargs, here())  # type: ignore[return-value]

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Return the task, or of an object's method what calls it: no flow can record such, for want of the object."""
        return self if instance is None else _Method(self, instance)

    def map(self, over: Any, *further: Any, **words: Any) -> list[R]:
        """Call it once for each element of a list or mapping; what comes of it is the list, in order.

        Args:
            over: the list, whose elements are the first argument.
            further: lists of the arguments after it, side by side as with Python's `map`.
            words: arguments that are the same for all, and keys of the task; `limit` bounds how many run at once.
        """
        from flowbuilder.sdk.pyflows.maps import map_task

        return map_task(self, (over, *further), words, here())  # type: ignore[no-any-return]

    def with_options(self, **options: Any) -> Task[P, R]:
        """Return the same function with other keys of a task."""
        return Task(self.fn, {**self.options, **options}, here())

    def __repr__(self) -> str:
        return f"<task {self.fn.__module__}:{self.fn.__qualname__}>"

    @property
    def __flowbuilder_call__(self) -> Callable[..., Any]:
        """What an engine calls: the function, with its arguments and result converted as they are annotated."""
        if self._engine_call is None:
            self._engine_call = converting(self.fn)
        return self._engine_call

    def _record(
        self, args: tuple[Any, ...], words: Mapping[str, Any], place: Place, over: Any = None
    ) -> Recorded:
        from flowbuilder.sdk.pyflows.calls import output_of, record, split

        signature = inspect.signature(self.fn)
        parameters = signature.parameters.values()
        what = f"'{self.fn.__name__}'"
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            given, options = dict(words), dict[str, Any]()
        else:
            given, options = split(words, signature.parameters, place, what)
        arguments, places = bind(signature, args, given, place, what)
        params: dict[str, Any] = {"call": call_name(self)}
        if arguments:
            params["args"] = arguments
        id = options.pop("id", self.options.get("id"))
        made = record("python", self.fn.__name__, params, {"id": id}, place)
        self._apply(made, options, place)
        self._check_what_it_returns(made)
        made.places.update(places)
        if over is not None:
            made.over = over
        return output_of(made)

    def _check_what_it_returns(self, made: TaskRecord) -> None:
        """Have the engine hold what the function returns against its annotation, unless another `schema` is given.

        `schema=None` has nothing checked.
        """
        if "schema" not in made.options:
            if self._returns is None:
                self._returns = kinds.schema_of_result(self.fn)
            if self._returns:
                made.options["schema"] = self._returns
                made.places["schema"] = of_function(self.fn)
        elif made.options["schema"] is None:
            del made.options["schema"]

    def _apply(self, made: Any, options: Mapping[str, Any], place: Place) -> None:
        """Give a recorded task the options of its decorator, and over them those of the call."""
        from flowbuilder.sdk.pyflows.calls import apply_options, option_name

        at_call = {option_name(word) for word in options}
        own = {
            word: value for word, value in self.options.items() if option_name(word) not in at_call | {"id"}
        }
        apply_options(made, own, self._place)
        apply_options(made, options, place)


class _Method:
    """A task that is the method of an object."""

    def __init__(self, task: Task[..., Any], instance: Any) -> None:
        functools.update_wrapper(self, task.fn)
        self._task, self._instance = task, instance

    def __call__(self, *args: Any, **words: Any) -> Any:
        """Call the method, outside of a flow."""
        if current() is not None:
            raise wrong(
                "FB292",
                f"'{self._task.fn.__name__}' is a method, and its object is not there when the flow runs",
                here(),
                "make it a function of its module or a @staticmethod, and give it what it needs",
            )
        return self._task.fn(self._instance, *args, **words)


def bind(
    signature: inspect.Signature, args: tuple[Any, ...], words: Mapping[str, Any], place: Place, what: str
) -> tuple[Any, dict[str, Place]]:
    """Return a call's arguments, by name where that can be, and where each stands.

    Arguments that the function does not take are a finding.
    """
    try:
        bound = signature.bind(*args, **words)
    except TypeError as error:
        note(
            wrong(
                "FB292", f"{what} cannot be called so: {error}", place, f"it takes {_parameters(signature)}"
            )
        )
        return {}, {}
    if _by_place_only(signature):
        _fill_up(bound)
    named: dict[str, Any] = {}
    listed: list[Any] = []
    by_place = False
    for name, value in bound.arguments.items():
        match signature.parameters[name].kind:
            case inspect.Parameter.VAR_POSITIONAL:
                listed += value
                by_place = by_place or bool(value)
            case inspect.Parameter.VAR_KEYWORD:
                named |= value
            case inspect.Parameter.POSITIONAL_ONLY:
                by_place = True
                listed.append(value)
            case inspect.Parameter.POSITIONAL_OR_KEYWORD if _by_place_only(signature):
                by_place = True
                listed.append(value)
            case inspect.Parameter.POSITIONAL_OR_KEYWORD if _takes_any(signature):
                listed.append(value)
                named[name] = value
            case _:
                named[name] = value
    if by_place:
        if set(named) - {
            p.name for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD
        } or (named and not _takes_any(signature)):
            raise wrong(
                "FB292",
                f"{what} takes some arguments by place and others by name, and a task can have only one of both",
                place,
                "give it parameters that can be named",
            )
        return listed, {}
    names = list(signature.parameters)
    places = {f"args.{names[i]}": place.of_argument(i) for i in range(min(len(args), len(names)))}
    places |= {f"args.{word}": place.of_argument(word) for word in words}
    return named, places


def _fill_up(bound: inspect.BoundArguments) -> None:
    """Give the parameters between those that are given their defaults: by place none can be left out."""
    given = list(bound.arguments)
    names = list(bound.signature.parameters)
    for name in names[: max((names.index(one) for one in given), default=-1)]:
        parameter = bound.signature.parameters[name]
        by_place = parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        if by_place and name not in bound.arguments and parameter.default is not parameter.empty:
            bound.arguments[name] = parameter.default
    bound.arguments = {name: bound.arguments[name] for name in names if name in bound.arguments}


def _takes_any(signature: inspect.Signature) -> bool:
    return any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values())


def _by_place_only(signature: inspect.Signature) -> bool:
    """Tell whether a function takes some arguments by place only, so that all are given so."""
    return any(p.kind is p.POSITIONAL_ONLY for p in signature.parameters.values())


def _parameters(signature: inspect.Signature) -> str:
    return ", ".join(str(p) for p in signature.parameters.values()) or "no arguments"


def call_name(task: Task[..., Any]) -> str:
    """Return how an engine finds the function: `module:function`, or a name by which it is kept here."""
    function = task.fn
    module = sys.modules.get(function.__module__)
    own = None if module is None else importable_name(module)
    if own is not None and _found_in(module, function.__qualname__, task):
        return f"{own}:{function.__qualname__}"
    name = f"{function.__module__}.{function.__qualname__}"
    name_function(name, task.__flowbuilder_call__)
    return name


def importable_name(module: ModuleType) -> str | None:
    """Return the name by which another process imports a module; None for a notebook, or what is typed in."""
    if module.__name__ != "__main__":
        return module.__name__
    spec = getattr(module, "__spec__", None)
    if spec is not None and spec.name:  # python -m package.module
        return str(spec.name).removesuffix(".__main__")
    file = getattr(module, "__file__", None)
    return Path(file).stem if file and file.endswith(".py") else None


def _found_in(module: Any, path: str, task: Task[..., Any]) -> bool:
    found = module
    for step in path.split("."):
        found = getattr(found, step, None)
    return isinstance(found, Task) and found.fn is task.fn


class _Converting:
    """A function with its arguments made into what it is annotated with, and its result into a value."""

    def __init__(
        self,
        function: Callable[..., Any],
        converters: Mapping[str, Callable[[Any], Any]],
        plain_result: bool,
    ) -> None:
        functools.update_wrapper(self, function)
        self.__wrapped__ = function
        self.__code__ = function.__code__
        self._function = function
        self._converters = converters
        self._plain_result = plain_result
        self._names = list(inspect.signature(function).parameters)
        self._is_async = inspect.iscoroutinefunction(function)

    def __call__(self, *args: Any, **words: Any) -> Any:
        converters = self._converters
        if converters:
            args = (
                tuple(self._converted(name, value) for name, value in zip(self._names, args, strict=False))
                + args[len(self._names) :]
            )
            words = {name: self._converted(name, value) for name, value in words.items()}
        value = self._function(*args, **words)
        if self._plain_result:
            return value
        if self._is_async:
            return _plain_later(value)
        return kinds.output_of(value)

    def _converted(self, name: str, value: Any) -> Any:
        convert = self._converters.get(name)
        if convert is None:
            return value
        try:
            return convert(value)
        except ValueError as error:
            raise TaskFailed(
                "input", f"'{self._function.__name__}': the argument '{name}': {error}"
            ) from None


async def _plain_later(value: Any) -> Any:
    return kinds.output_of(await value)


def converting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what calls a function with converted values; the function itself where there is nothing to convert."""
    annotations = kinds.annotations_of(function)
    result = annotations.pop("return", inspect.Parameter.empty)
    star = {
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }
    converters = {
        name: convert
        for name, kind in annotations.items()
        if name not in star and (convert := kinds.converter_to(kind)) is not None
    }
    plain_result = kinds.is_plain(result)
    return _Converting(function, converters, plain_result) if converters or not plain_result else function


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(**options: Any) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a task of the flows that call it: `@task`, or `@task(retry=3, timeout="10s")`.

    Every key of a task is an option: `retry`, `timeout`, `deadline`,
    `effect`, `executor`, `on_error`, `cache`, `priority`, `env`, `name`, ….
    `if`, which Python keeps to itself, is `if_`.

    Arguments are made into what they are annotated with (structs,
    dataclasses, models, dates, enums) and results into values of a flow,
    which are held against the annotation: what does not fit fails with
    `output.schema`.  `schema=…` checks something else, `schema=None` nothing.
    """
    if function is None:
        place = here()
        return lambda made: _named(made, options, place)
    return _named(function, options, of_function(function) if inspect.isfunction(function) else here())


def _named(function: Any, options: Mapping[str, Any], place: Place) -> Task[..., Any]:
    """Return the task of a function, and let flows in YAML call it by its name: `call: fetch`."""
    if not inspect.isfunction(function):
        raise TypeError(f"@task takes a function, and this is a {type(function).__name__}")
    made = Task(function, options, place)
    name_task(function.__name__, made)
    return made


__all__ = ["Task", "task"]
