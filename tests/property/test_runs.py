"""Whatever flow, whichever passes, wherever an engine dies: a run comes to what the oracle says."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from flowbuilder import Config, Engine, TaskFailed
from flowbuilder.compiler.codegen import generate
from flowbuilder.compiler.inputs import input_checker
from flowbuilder.compiler.ir import Group, Invoke
from flowbuilder.compiler.passes import PASSES, optimize
from flowbuilder.compiler.passes.graphs import all_tasks
from flowbuilder.compiler.pipeline import compile_text
from flowbuilder.runtime.config import EngineConfig, QueueConfig
from flowbuilder.runtime.plans import Definition
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.tasks.catalogue import CATALOGUE
from flowbuilder.tasks.python import name_function
from flowbuilder.testing.crashing_store import Crash, CrashingStore
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import finish, run_flow
from oracle import undoing
from oracle.evaluate import Failure
from oracle.flows import simulate
from strategies import INPUTS, Case, cases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder import RunView
    from flowbuilder.compiler.ir import Flow, Task
    from flowbuilder.core.plan import FlowPlan
    from oracle.flows import Outcome

bounded = functools.partial(
    settings, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
calls: list[tuple[str, Any]] = []
told_of: list[Any] = []
"""Called with each effect as it begins."""
CONFIG = Config(
    engine=EngineConfig(crashes=100),  # a run that crashes three engines is given up otherwise
    queues={"few": QueueConfig(concurrency=2)},
)


def leave(path: str, value: Any, fails: str | None = None) -> Any:
    """Write down that a task had an effect."""
    calls.append((path, value))
    for tell in told_of:
        tell()
    if fails is not None:
        raise TaskFailed(fails, "it was to be")
    return value


name_function("leave", leave)


@pytest.fixture(autouse=True, scope="module")
def _key() -> Iterator[None]:
    """Have a key for what is sensitive."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FLOWBUILDER_ENCRYPTION_KEY", "0a" * 32)
        yield


def one_by_one(tasks: dict[str, Any]) -> None:
    """Have maps take their elements one after the other, as the oracle does."""
    for task in tasks.values():
        if "for_each" in task or "matrix" in task:
            task["concurrency"] = 1
        one_by_one(task.get("tasks", {}))
        if isinstance(task.get("on_error"), dict):
            one_by_one(task["on_error"].get("tasks", {}))


def compiled(case: Case) -> Flow:
    for graph in ("tasks", "on_failure", "finally"):
        one_by_one(case.flow.get(graph, {}))
    return compile_text(case.text, "random.yaml", catalogue=CATALOGUE).flow


def planned(flow: Flow, case: Case, chosen: set[Any]) -> FlowPlan:
    """Return a flow's plan, made with some of the passes."""
    definition = msgspec.msgpack.encode(Definition("random.yaml", {"random.yaml": case.text}))
    better = optimize(flow, [one for one in PASSES if one in chosen]).flow
    plan = generate(better, definition=definition, check_inputs=input_checker(flow), steps=1_000_000)
    plan.content_hash = flow.content_hash
    plan.folder = Path.cwd()
    return plan


def is_one(task: Task) -> bool:
    """Tell whether a task can fail in one way only at a time."""
    return (
        task.map is None and not isinstance(task.work, Group) and not (task.on_error and task.on_error.graph)
    )


def hidden(flow: Flow) -> set[str]:
    """Return the tasks whose outputs nobody may see, or that are chance: the ids of events."""
    return {
        path
        for path, task in all_tasks(flow)
        if task.sensitive or (isinstance(task.work, Invoke) and task.work.type == "emit")
    }


def expected(flow: Flow, outcome: Outcome) -> dict[str, Any]:
    one = {path for path, task in all_tasks(flow) if is_one(task)}
    unseen = hidden(flow)
    return {
        "status": outcome.status,
        "outputs": outcome.outputs,
        "tasks": {
            path: (
                task.status,
                None if path in unseen else task.output,
                task.error if path in one else bool(task.error),
                len(task.errors or ()),
            )
            for path, task in outcome.tasks.items()
        },
    }


def told(flow: Flow, view: RunView, paths: set[str]) -> dict[str, Any]:
    one = {path for path, task in all_tasks(flow) if is_one(task)}
    unseen = hidden(flow)
    return {
        "status": view.status,
        "outputs": view.outputs,
        "tasks": {
            path: (
                task.status,
                None if path in unseen else task.output,
                (task.error and task.error["kind"]) if path in one else bool(task.error),
                len(task.errors or ()),
            )
            for path, task in view.tasks.items()
            if path in paths
        },
    }


def of_python(params: Any) -> Any:
    """Do what `leave` does, for the oracle."""
    args = params["args"]
    if args.get("fails") is not None:
        raise Failure(args["fails"])
    return args["value"]


def right(case: Case, flow: Flow, view: RunView, store: MemoryStore, *, repeated: int = 0) -> None:
    """Check a run against the oracle; so many effects at most may have been executed again."""
    outcome = simulate(flow, case.inputs, {"python": of_python})
    assume(not outcome.ambiguous)
    assert told(flow, view, set(outcome.tasks)) == expected(flow, outcome)
    must = collections.Counter(
        (params["args"]["path"], repr(params["args"]["value"]))
        for _, params in outcome.effects
        if "args" in params
    )
    were = collections.Counter((path, repr(value)) for path, value in calls)
    if repeated:  # what was in flight at a crash and then failed cleanly is in doubt, and undone too
        for name in [name for name in were - must if name[0].endswith("~undo") and name[1] == "None"]:
            del were[name]
    assert not must - were
    assert (were - must).total() <= repeated
    if not repeated:
        not_undone = (view.error or {}).get("not_undone", [])
        assert sorted(one["kind"] for one in not_undone) == sorted(outcome.not_undone)
    undone_as_it_must(flow, view, store)


def undone_as_it_must(flow: Flow, view: RunView, store: MemoryStore) -> None:
    """Check by the journal that exactly what was done was undone, once, the newest first."""
    undoable = {task.id for _, task in all_tasks(flow) if task.undo is not None}
    look = MemoryStore(store.place)
    look.open(None)
    undoing.read(look.journal(view.run_id), undoable).check(ended_well=view.status == "succeeded")


@bounded(max_examples=80)
@given(cases(effects="leave") | cases(effects="leave", fails=True), st.sets(st.sampled_from(PASSES)))
def test_a_run_comes_to_what_the_oracle_says(case: Case, chosen: set[Any]) -> None:
    flow = compiled(case)
    calls.clear()

    store = MemoryStore()

    view = asyncio.run(run_flow(planned(flow, case, chosen), case.inputs, store=store, config=CONFIG))

    right(case, flow, view, store)


crashed_cases = given(
    cases(effects="leave") | cases(effects="leave", fails=True),
    st.sets(st.sampled_from(PASSES)),
    st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=3),
)


@bounded(max_examples=80)
@crashed_cases
def test_a_run_that_is_crashed_and_carried_on_by_other_plans_comes_to_the_same(
    case: Case, chosen: set[Any], crashes: list[tuple[int, bool]]
) -> None:
    crash_and_carry_on(case, chosen, crashes)


@pytest.mark.soak
@bounded(max_examples=5000)
@crashed_cases
def test_thousands_of_crashed_runs_come_to_the_same(
    case: Case, chosen: set[Any], crashes: list[tuple[int, bool]]
) -> None:
    crash_and_carry_on(case, chosen, crashes)


def crash_and_carry_on(case: Case, chosen: set[Any], crashes: list[tuple[int, bool]]) -> None:
    """Run a case in engines that die one after the other, and in one that lives; compare with the oracle."""
    flow = compiled(case)
    calls.clear()
    first = MemoryStore()
    died = 0

    async def attempt(at: int, after: bool, plan: FlowPlan) -> RunView:
        nonlocal died
        store = CrashingStore(MemoryStore(first.place), at, after=after)
        try:
            return await run_flow(plan, case.inputs, store=store, key="k", config=CONFIG)
        except Crash:
            died += 1
            raise

    for at, after in crashes:
        with contextlib.suppress(Crash):
            asyncio.run(attempt(at, after, planned(flow, case, chosen)))
    view = asyncio.run(attempt(0, False, planned(flow, case, set(PASSES))))

    # what is in flight when an engine dies may be done again: as many effects as lie side by side
    right(case, flow, view, MemoryStore(first.place), repeated=died * 24)


@bounded(max_examples=60)
@given(
    cases(effects="leave") | cases(effects="leave", fails=True),
    st.sets(st.sampled_from(PASSES)),
    st.integers(1, 12),
    st.booleans(),
)
def test_whatever_was_done_when_a_run_is_cancelled_is_undone_or_left_as_it_is(
    case: Case, chosen: set[Any], at: int, undo: bool
) -> None:
    cancel_and_look(case, chosen, at, undo)


def cancel_and_look(case: Case, chosen: set[Any], at: int, undo: bool) -> None:
    """Cancel a run as it begins an effect, the first time that so many have begun."""
    flow = compiled(case)
    calls.clear()
    store, clock = MemoryStore(), FakeClock()

    async def drive() -> RunView:
        engine = Engine(":memory:", CONFIG, clock=clock, store=store)
        loop = asyncio.get_running_loop()
        async with engine:
            run = await engine.start(planned(flow, case, chosen), case.inputs)
            machine = engine.core.machine

            def cancel() -> None:
                if (state := machine.runs.live.get(run.id)) is not None:
                    machine.cancellation.cancel(state, "enough", undo=undo)

            def tell() -> None:
                if len(calls) == at:
                    loop.call_soon_threadsafe(cancel)

            told_of.append(tell)
            try:
                await finish(engine, run, clock)
            finally:
                told_of.remove(tell)
            return await engine.show(run.id)

    view = asyncio.run(drive())

    undone_as_it_must(flow, view, store)


def test_a_constant_behind_a_variable_keeps_its_place() -> None:
    given = {name: schema["default"] for name, schema in INPUTS.items()}
    case = Case(
        {
            "flow": "random",
            "inputs": INPUTS,
            "vars": {"a": "${{ inputs.n }}", "b": "${{ 0 }}", "c": "${{ inputs.word }}"},
            "tasks": {"t": {"type": "set", "with": 1}},
            "outputs": {"all": "${{ [vars.a, vars.b, vars.c] }}"},
        },
        given,
    )

    view = asyncio.run(run_flow(planned(compiled(case), case, set()), given))

    assert view.outputs == {"all": [3, 0, "abc"]}
