"""What a test runs on: the settings of its project, the flow with mocks in it, made-up secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.compiler.codegen import generate
from flowbuilder.compiler.inputs import input_checker
from flowbuilder.compiler.passes import optimize
from flowbuilder.runtime.plans import Definition
from flowbuilder.runtime.project import find_project
from flowbuilder.runtime.settings import read_settings
from flowbuilder.runtime.start import Start
from flowbuilder.testing.cases.branches import watched
from flowbuilder.testing.cases.mocks import with_mocks

if TYPE_CHECKING:
    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.config import Config
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.sdk.load import LoadedFlow
    from flowbuilder.sdk.run import Run
    from flowbuilder.testing.cases.case import Case, CaseRun


def settings_of(flow: Path) -> Config:
    """Return the settings of the project that a flow belongs to: its queues, its limits.

    Raises:
        ConfigError: they are wrong.
    """
    return read_settings(find_project(flow.absolute().parent), os.environ).config


def plan_of(case: Case, loaded: LoadedFlow) -> FlowPlan:
    """Return the plan of a flow with mocks in it."""
    flow = watched(with_mocks(loaded.flow, case.mocks, case.only_mocks))
    definition = Definition(flow.at.file, dict(loaded.sources))
    plan = generate(
        optimize(flow).flow,
        definition=msgspec.msgpack.encode(definition),
        check_inputs=input_checker(flow),
    )
    plan.folder = Path(definition.file).absolute().parent
    return plan


async def start(engine: Engine, plan: FlowPlan, case: Case, run: CaseRun) -> Run:
    """Start a run of a test, with the profile and the configuration that the test wants.

    A connection that the profile lacks is missed by the task that uses it, if that is not mocked.

    Raises:
        InputError: the inputs break their schemas, or the key's run has others.
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
    how = Start(key=run.key, priority=run.priority, labels=run.labels or None, about=about or None)
    row = await machine.starts.start(plan, run.inputs, how)
    return await engine.get(row.id)


def secrets_of(case: Case, loaded: LoadedFlow) -> dict[str, str]:
    """Return the values of secrets: those of the test, and for the others one that shows what it is."""
    return {name: f"secret-{name}-of-the-test" for name in loaded.flow.secrets} | dict(case.secrets)
