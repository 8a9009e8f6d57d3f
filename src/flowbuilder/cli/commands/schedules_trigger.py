"""`flowbuilder schedules trigger`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from flowbuilder.cli.command import JSON, PROFILE, QUIET, STORE, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.next_steps import typed
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.profiles import check_profile
from flowbuilder.cli.results import as_json, exit_code, show_result
from flowbuilder.cli.schedules import FOLDER, NAME, schedules_of, who
from flowbuilder.cli.terminal import data, say
from flowbuilder.core.errors import ExpressionError

if TYPE_CHECKING:
    import argparse

    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.sdk.run import Run
    from flowbuilder.sdk.schedules import Schedule

_GIVEN: Final = {"file": "file", "event": "event", "flow": "run"}
"""What the inputs of a trigger's runs are made of, where it is nothing that the clock knows."""

COMMAND = Command(
    name="schedules trigger",
    summary="Start a run of a trigger now",
    description=(
        "Its inputs, labels and priority are the trigger's; its `if`, and whether it is paused, count for "
        "nothing. Where an engine is up that has the trigger, it starts the run, whose id is printed. "
        "Otherwise the run goes on here, as with `flowbuilder run`."
    ),
    arguments=(NAME,),
    options=(
        Option(("--as",), "Who asks; the login name unless given", "NAME"),
        FOLDER,
        PROFILE,
        STORE,
        JSON,
        QUIET,
    ),
    examples=(("The nightly batch, at noon", "flowbuilder schedules trigger nightly"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Have the run started by whoever is up, or here."""
    workspace, schedules = schedules_of(arguments)
    schedule = schedules.one(arguments.name)
    by = getattr(arguments, "as") or who()
    if arguments.profile is not None:
        check_profile(workspace, schedule.armed.plan, arguments.profile)
    _check_given(schedule, by)
    run_id = schedules.ask(schedule, by, profile=arguments.profile)
    if run_id is None:
        return _here(workspace, schedule, by, arguments)
    if arguments.json:
        data(as_json({"run_id": run_id}))
        return DONE
    data(run_id)
    if not arguments.quiet:
        say(
            f"  runs in the engine that is up; follow it with: {typed(f'runs watch {run_id}', workspace.store)}"
        )
    return DONE


def _check_given(schedule: Schedule, by: str) -> None:
    """Refuse a trigger whose inputs are made of what it waits for: there is nothing of it now.

    Raises:
        UsageError: says what to do instead.
    """
    armed = schedule.armed
    given = _GIVEN.get(armed.kind)
    if given is None or armed.trigger.inputs is None:
        return
    try:
        armed.trigger.inputs(armed.scope(time.time(), {"trigger": armed.view(by)}, by))
    except ExpressionError as error:
        what = f"the trigger '{schedule.name}' makes inputs of the {given} that it waits for ({error})"
        raise UsageError(
            f"{what}; start a run by hand with `flowbuilder run {armed.file}`", COMMAND.name
        ) from None


def _here(workspace: Workspace, schedule: Schedule, by: str, arguments: argparse.Namespace) -> int:
    from flowbuilder.cli.driving import drive  # start-up time: only where no engine is up
    from flowbuilder.sdk.backfill import fire_by_hand

    async def begin(engine: Engine) -> list[Run]:
        return [await fire_by_hand(engine, schedule.armed, by, profile=arguments.profile)]

    (view,), interrupted = drive(workspace, begin, shown=not arguments.quiet)
    show_result(view, workspace.store, json=arguments.json, quiet=arguments.quiet, left=interrupted)
    return exit_code(view, interrupted=interrupted)
