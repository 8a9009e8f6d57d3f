"""`@flow`: a function that states a flow."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from flowbuilder.core.errors import FlowBuilderError
from flowbuilder.sdk.pyflows import kinds
from flowbuilder.sdk.pyflows.places import Place, here, of_function
from flowbuilder.sdk.pyflows.recorder import current

if TYPE_CHECKING:
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.sdk.load import LoadedFlow
    from flowbuilder.sdk.pyflows.building import Built
    from flowbuilder.sdk.pyflows.recorded import Recorded
    from flowbuilder.sdk.run import Run

P = ParamSpec("P")
R = TypeVar("R")


class Flow(Generic[P, R]):
    """A flow that is stated by a function: its parameters are the inputs, what it returns are the outputs.

    Called inside of another flow it is a task there: a run of its own.
    Called anywhere else it runs, and returns what the run gives.
    """

    def __init__(self, function: Callable[P, R], options: Mapping[str, Any], place: Place) -> None:
        functools.update_wrapper(self, function)
        self.fn = function
        self.options = dict(options)
        self.name: str = self.options.pop("name", None) or _flow_name(function.__name__)
        self.place = place
        self._loaded: tuple[Any, LoadedFlow] | None = None

    def __repr__(self) -> str:
        return f"<flow {self.name} of {self.fn.__module__}:{self.fn.__qualname__}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Record a sub-flow inside of another flow; run it elsewhere."""
        if current() is not None:
            return self._record(args, kwargs, here())  # type: ignore[return-value]
        if inspect.iscoroutinefunction(self.fn):
            return self._later(args, kwargs)  # type: ignore[return-value]
        return self.run(*args, **kwargs)

    def _check_no_import(self) -> None:
        """Run nothing while an engine imports the file: it would start the flow again, and never come to an end."""
        from flowbuilder.tasks.modules import is_importing  # start-up time

        if is_importing():
            raise FlowBuilderError(
                f"'{self.name}' is run while its file is only imported: "
                'put the call under `if __name__ == "__main__":`'
            )

    async def _later(self, args: tuple[Any, ...], words: Mapping[str, Any]) -> Any:
        import asyncio

        self._check_no_import()
        return await asyncio.to_thread(self.run, *args, **words)

    @property
    def file(self) -> Path:
        """The Python file with the name of the function behind it: where the flow's text is said to be."""
        file = inspect.unwrap(self.fn).__code__.co_filename
        if not os.path.isfile(file):  # a cell of a notebook
            file = os.path.join(os.getcwd(), "notebook.py")
        return Path(f"{os.path.abspath(file)}:{self.fn.__qualname__}")

    def with_options(self, **options: Any) -> Flow[P, R]:
        """Return the same flow with other keys: `name`, `timeout`, `priority`, `secrets`, …."""
        return Flow(self.fn, {"name": self.name, **self.options, **options}, here())

    def map(self, over: Any, *further: Any, **words: Any) -> list[R]:
        """Inside of another flow: run it once for each element of a list, see `Task.map`."""
        from flowbuilder.sdk.pyflows.maps import map_task

        return map_task(self, (over, *further), words, here())  # type: ignore[no-any-return]

    def build(self, *, tolerant: bool = False) -> Built:
        """Call the function once, with stand-ins for its inputs, and return what it states.

        Args:
            tolerant: return what has problems too, with them in it.

        Raises:
            FlowError: with all that is wrong, at the Python lines.
        """
        from flowbuilder.sdk.pyflows.building import build

        return build(self, tolerant=tolerant)

    def load(self, limits: Any = None) -> LoadedFlow:
        """Return the flow, checked and planned: what an engine starts.

        The function runs each time; what it states is compiled when that has changed.

        Raises:
            FlowError: with all that is wrong, at the Python lines.
        """
        from flowbuilder.sdk.load import plans_for
        from flowbuilder.sdk.pyflows.compiling import compile_built, version_of

        built = self.build(tolerant=True)
        version = (version_of(built), limits)
        if self._loaded is None or self._loaded[0] != version:
            self._loaded = (version, compile_built(built, plans_for(limits)))
        return self._loaded[1]

    def to_yaml(self) -> str:
        """Return the flow as the YAML file that states the same."""
        return self.build().text

    def run(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the flow to its end, in the store of its project, and return what it gives.

        Blocks; works in a notebook, where the run shows itself as a table.

        Raises:
            FlowError, InputError, RunFailed, RunCancelled, StoreError: as `Engine` raises them.
        """
        self._check_no_import()
        from flowbuilder.sdk.pyflows.notebook import shown_here
        from flowbuilder.sdk.sync import run_loaded

        inputs = self.inputs_of(args, kwargs)
        built = self.build()
        outputs = run_loaded(self.load(), inputs, show=shown_here())
        return self._value(outputs, single=built.single)  # type: ignore[no-any-return]

    async def start(self, engine: Engine, /, *args: P.args, **kwargs: P.kwargs) -> Run:
        """Start a run of the flow; its `result()` is what `run` returns.

        For a key, a priority or labels: `engine.start(flow, inputs, key=…)`.
        """
        from flowbuilder.sdk.pyflows.flow_run import FlowRun

        single = self.build().single
        run = await engine.start(self.load(), self.inputs_of(args, kwargs))
        return FlowRun(engine, await engine.row(run.id), functools.partial(self._value, single=single))

    def _value(self, outputs: Any, *, single: bool) -> Any:
        """Return what a run has given as the function is annotated to return it."""
        from flowbuilder.sdk.pyflows.building import RESULT

        value = outputs[RESULT] if single and isinstance(outputs, dict) else outputs
        convert = kinds.converter_to(kinds.annotations_of(self.fn).get("return", Any))
        if convert is None:
            return value
        try:
            return convert(value)
        except ValueError:
            return value  # the run has succeeded, and this is what it has given

    def inputs_of(self, args: tuple[Any, ...], words: Mapping[str, Any]) -> dict[str, Any]:
        """Return a call's arguments as the inputs of a run.

        Raises:
            InputError: the flow does not take them.
        """
        from flowbuilder.core.errors import InputError
        from flowbuilder.sdk.pyflows.building import parameters_of

        try:
            bound = inspect.Signature(list(parameters_of(self))).bind_partial(*args, **words)
        except TypeError as error:
            raise InputError([("$", f"{self.name}: {error}")]) from None
        return {name: kinds.output_of(value) for name, value in bound.arguments.items()}

    def explain(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the plan and what it is expected to cost, as `flowbuilder explain` prints it."""
        from flowbuilder.compiler.costs import estimate
        from flowbuilder.compiler.explain import explain, render
        from flowbuilder.compiler.passes import optimize

        flow = self.load().flow
        optimized = optimize(flow)
        defaults = {one.name: one.default for one in flow.inputs if not one.required}
        costs = estimate(optimized.flow, {}, inputs={**defaults, **self.inputs_of(args, kwargs)})
        return render(explain(flow, optimized, costs, None), optimized.flow, "text")

    def graph(self, format: str = "text") -> str:
        """Return the flow's graph as `flowbuilder graph` draws it: `text`, `mermaid` or `dot`."""
        from flowbuilder.compiler.graph import draw_graph

        return draw_graph(self.load().flow, format)

    def _record(
        self, args: tuple[Any, ...], words: Mapping[str, Any], place: Place, over: Any = None
    ) -> Recorded:
        from flowbuilder.sdk.pyflows.sub_flow import record_sub_flow

        return record_sub_flow(self, args, words, place, over)


def _flow_name(function: str) -> str:
    return function.strip("_").lower().replace("_", "-")[:64] or "flow"


@overload
def flow(function: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(**options: Any) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def flow(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a flow: `@flow`, or `@flow(timeout="1h", secrets=["SHOP_TOKEN"])`.

    Every key of a flow is an option; `name` is its name, else that of the
    function with hyphens.  `on_failure` and `finally_` take functions of
    tasks.  The first lines of the docstring are its description.
    """
    if function is None:
        place = here()
        return lambda made: Flow(made, options, place)
    if not inspect.isfunction(function):
        raise TypeError(f"@flow takes a function, and this is a {type(function).__name__}")
    return Flow(function, options, of_function(function))


def find_flow(module: Any, name: str, where: str) -> Flow[..., Any]:
    """Return the flow that a module has under a name; with an empty name its only one.

    Raises:
        NotFound: there is none, or which one is meant cannot be told.
    """
    from flowbuilder.core.errors import NotFound, Several

    flows = {key: value for key, value in vars(module).items() if isinstance(value, Flow)}
    own = {key: value for key, value in flows.items() if value.fn.__module__ == module.__name__} or flows
    if not name:
        if len(own) == 1:
            return next(iter(own.values()))
        if own:
            raise Several("flow", where, "name one of them: " + ", ".join(f"{where}:{key}" for key in own))
        raise NotFound("flow", where, "none of its functions has @flow")
    found = module
    for step in name.split("."):
        found = getattr(found, step, None)
    if isinstance(found, Flow):
        return found
    named = next((value for value in own.values() if value.name == name), None)
    if named is not None:
        return named
    import difflib

    close = difflib.get_close_matches(name, flows, 1)
    hint = (
        f"did you mean '{where}:{close[0]}'?"
        if close
        else f"its flows are {', '.join(flows)}"
        if flows
        else ""
    )
    if found is not None:
        hint = f"'{name}' is there, but has no @flow" + (f"; {hint}" if hint else "")
    raise NotFound("flow", f"{where}:{name}", hint)
