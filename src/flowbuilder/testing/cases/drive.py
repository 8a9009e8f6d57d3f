"""Runs one test: in memory, on a virtual clock that jumps over waits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.compiler.codegen import generate
from flowbuilder.compiler.inputs import input_checker
from flowbuilder.compiler.passes import optimize
from flowbuilder.compiler.passes.graphs import all_tasks
from flowbuilder.core import values
from flowbuilder.core.errors import FlowBuilderError, InputError
from flowbuilder.core.failure import failure
from flowbuilder.runtime.plans import Definition
from flowbuilder.runtime.project import find_project
from flowbuilder.runtime.recovered import replay
from flowbuilder.runtime.settings import read_settings
from flowbuilder.runtime.start import Start
from flowbuilder.runtime.views import RunView
from flowbuilder.sdk.engine import Engine
from flowbuilder.sdk.load import load
from flowbuilder.storage.api import LIVE
from flowbuilder.testing.cases.branches import BRANCH, watched
from flowbuilder.testing.cases.case import TYPE
from flowbuilder.testing.cases.mocks import MOCK, Called, Mocks, is_mocked, type_of, with_mocks
from flowbuilder.testing.cases.sending import SOURCE, Sender
from flowbuilder.testing.fake_clock import FakeClock

if TYPE_CHECKING:
    from flowbuilder.compiler import ir
    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.config import Config
    from flowbuilder.sdk.load import LoadedFlow
    from flowbuilder.sdk.run import Run
    from flowbuilder.testing.cases.case import Case

LOOK_AGAIN: Final = 0.002
"""Seconds of real time between two looks at whether the run only waits."""
IDLE_LOOKS: Final = 3
"""So often in a row it must be seen that nothing happens before the time moves on."""
REACHES_OUT: Final = frozenset({"http", "shell", "script", "python", "sql", "file", "email", "llm", "agent"})
"""Types that do something outside of the engine."""


class Outcome(msgspec.Struct):
    """What came of a run in a test."""

    status: str
    outputs: Any = None
    error: dict[str, Any] | None = None
    view: RunView | None = None
    """None where the run did not start."""
    calls: list[Called] = []
    order: list[str] = []
    """Paths of tasks in the order in which they ended."""
    events: list[tuple[str, Any]] = []
    """What was emitted: names and payloads."""
    logs: list[str] = []
    duration: float = 0.0
    """Seconds of virtual time."""
    seconds: float = 0.0
    """Seconds on the wall."""
    problem: str | None = None
    """Why the test could not be carried to its end."""
    branches: dict[str, int] = {}
    """For each task that chooses a value, the number of the case that held."""


async def run_case(case: Case) -> Outcome:
    """Run a test and return what came of it, whatever that is.

    Raises:
        FlowError: the flow is wrong.
        NotFound: there is no such flow.
    """
    config = settings_of(case.flow)
    loaded = load(case.flow, config.for_compiler())
    began = time.perf_counter()
    problems = unknown_mocks(case, loaded.flow)
    if problems:
        return Outcome("not run", problem="; ".join(problems))
    clock = FakeClock() if case.clock is None else FakeClock(case.clock)
    outcome = await _run(case, loaded, clock, config)
    outcome.seconds = time.perf_counter() - began
    return outcome


def settings_of(flow: Path) -> Config:
    """Return the settings of the project that a flow belongs to: its queues, its limits.

    Raises:
        ConfigError: they are wrong.
    """
    return read_settings(find_project(flow.absolute().parent), os.environ).config


def plan_of(case: Case, loaded: LoadedFlow) -> FlowPlan:
    """Return the plan of a flow with mocks in it."""
    flow = watched(with_mocks(loaded.flow, case.mocks))
    definition = Definition(flow.at.file, dict(loaded.sources))
    plan = generate(
        optimize(flow).flow,
        definition=msgspec.msgpack.encode(definition),
        check_inputs=input_checker(flow),
    )
    plan.folder = Path(definition.file).absolute().parent
    return plan


def unknown_mocks(case: Case, flow: ir.Flow) -> list[str]:
    """Return what is wrong with a test's mocks: those of no task, and, if so wanted, what is not mocked."""
    tasks = {path: type_of(task.work) for path, task in all_tasks(flow)}
    known = ", ".join(list(tasks)[:10])
    problems = [
        f"there is no task '{name}' to be mocked; there are {known}"
        for name, mock in case.mocks.items()
        if not name.startswith(TYPE)
        and not any(is_mocked({name: mock}, path, type) for path, type in tasks.items())
    ]
    if case.only_mocks:
        problems += [
            f"the task '{path}' ({type}) is not mocked, and 'only_mocks' is set"
            for path, type in tasks.items()
            if type in REACHES_OUT and not is_mocked(case.mocks, path, type)
        ]
    return problems


async def _run(case: Case, loaded: LoadedFlow, clock: FakeClock, config: Config) -> Outcome:
    mocks = Mocks(case.mocks, clock)
    plan = plan_of(case, loaded)
    engine = Engine(":memory:", config, clock=clock, secrets=_secrets(case, loaded))
    started_at = clock.now()
    try:
        async with asyncio.timeout(case.timeout), engine:
            engine.core.machine.attempts.teach(MOCK, mocks)
            engine.core.machine.plans.know(plan)
            try:
                run = await _start(engine, plan, case)
            except InputError as error:
                return Outcome("refused", error=failure("input", str(error)))
            problem = await _to_the_end(
                engine, run, clock, mocks, Sender(case.sendings, engine, run, started_at)
            )
            return await _outcome(engine, run, mocks, clock.now() - started_at, problem)
    except TimeoutError:
        return Outcome("not ended", calls=mocks.calls, problem=f"it did not end within {case.timeout:g} s")
    except FlowBuilderError as error:
        return Outcome("not run", calls=mocks.calls, problem=str(error))


async def _start(engine: Engine, plan: FlowPlan, case: Case) -> Run:
    """Start the run, with the profile and the configuration that the test wants.

    A connection that the profile lacks is missed by the task that uses it, if that is not mocked.
    """
    machine = engine.core.machine
    about: dict[str, Any] = {} if case.profile is None else {"profile": case.profile}
    if plan.connections or case.config is not None:
        profile = machine.profiles.profile(plan.folder, case.profile)
        plan.connections = {
            name: type for name, type in plan.connections.items() if name in profile.connections
        }
        if case.config is not None and plan.check_config is not None:
            about["config"] = plan.check_config({**profile.config, **case.config})
    row = await machine.runs.start(plan, case.inputs, Start(about=about or None))
    return await engine.get(row.id)


def _secrets(case: Case, loaded: LoadedFlow) -> dict[str, str]:
    """Return the values of secrets: those of the test, and for the others one that shows what it is."""
    return {name: f"secret-{name}-of-the-test" for name in loaded.flow.secrets} | dict(case.secrets)


async def _to_the_end(engine: Engine, run: Run, clock: FakeClock, mocks: Mocks, sender: Sender) -> str | None:
    """Return when the run has ended, or why it never will; jumps over its waits."""
    ended = asyncio.ensure_future(run.wait())
    looks = 0
    try:
        while True:
            await asyncio.wait({ended}, timeout=LOOK_AGAIN)
            if ended.done():
                await ended
                return None
            looks = looks + 1 if _only_waits(engine, mocks) else 0
            if looks < IDLE_LOOKS:
                continue
            looks = 0
            if await sender.send_due(clock.now()):
                continue
            moments = (engine.core.machine.timers.next_moment(), mocks.next_moment(), sender.next_moment())
            known = [moment for moment in moments if moment is not None]
            if (await engine.row(run.id)).status not in LIVE or not _only_waits(engine, mocks):
                continue  # it has ended a moment ago, or goes on
            if known:
                clock.jump(min(known))
            elif not await sender.send_next():
                return await _stuck(engine, run)
    finally:
        ended.cancel()
        with contextlib.suppress(BaseException):
            await ended


def _only_waits(engine: Engine, mocks: Mocks) -> bool:
    """Tell whether nothing happens until the time moves on or somebody sends something."""
    machine = engine.core.machine
    if machine.committer.outstanding or machine.recovery.busy:
        return False
    working = 0
    for run in machine.runs.live.values():
        if run.dirty or run.busy or run.ready:
            return False
        working += len(run.executions) - run.parked
    return working == mocks.sleeping


async def _stuck(engine: Engine, run: Run) -> str:
    view = await engine.show(run.id)
    waiting = [path for path, task in view.tasks.items() if task.status in ("waiting", "running")]
    await run.cancel("the test has nothing more to send")
    what = ", ".join(waiting) or "nothing"
    return f"the run waits for ever, in {what}: `send` what it waits for, or give it a `timeout`"


async def _outcome(engine: Engine, run: Run, mocks: Mocks, duration: float, problem: str | None) -> Outcome:
    view = await engine.show(run.id)
    branches = {path: view.tasks.pop(path).output for path in list(view.tasks) if path.endswith(BRANCH)}
    store = engine.core.machine.store
    journal = replay(store.journal(run.id), store.blobs().get)
    return Outcome(
        status=view.status,
        outputs=values.to_json(view.outputs),
        error=view.error,
        view=view,
        calls=mocks.calls,
        order=[path for path in journal.ended if not path.endswith(BRANCH)],
        events=[
            (event.name, values.decode(event.payload))
            for event in await engine.events()
            if event.source != SOURCE
        ],
        logs=[line.message for _, line in await engine.logs(run.id)],
        duration=duration,
        problem=problem,
        branches={
            path.removesuffix(BRANCH): number for path, number in branches.items() if number is not None
        },
    )
