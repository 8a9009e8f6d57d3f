"""`flowbuilder runs resume`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.choosing import CHOICE, choose
from flowbuilder.cli.command import JSON, PROFILE, QUIET, SOME_RUNS, STORE, Command, Option
from flowbuilder.cli.exits import DONE, FAILED
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.profiles import named
from flowbuilder.cli.results import ENDED_STATUSES, as_json, exit_code, show_summary
from flowbuilder.cli.terminal import data, say
from flowbuilder.cli.workspace import reader_here, workspace_at
from flowbuilder.storage.api import LIVE_STATUSES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.runtime.views import RunView
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.sdk.reader import Reader
    from flowbuilder.sdk.run import Run
    from flowbuilder.storage.api import RunRow

COMMAND = Command(
    name="runs resume",
    summary="Carry on runs that somebody paused, or that a crash or an interrupt left",
    description=(
        "Runs whose engine is gone are taken over and driven to their end, with the version of the flow that "
        "they began with; sleeping ones are woken when their moment comes. Tasks whose end is on disk are not "
        "executed again. A paused run goes on in the engine that drives it, in one that carries on whatever "
        "nobody drives, else here. Ctrl-C cancels the runs that are driven here in order, as for "
        "`flowbuilder run`. With --profile their connections are those of that profile from now on; the values of "
        "`config` stay what they were."
    ),
    arguments=(SOME_RUNS,),
    options=(
        Option(("--all",), "All that wait for an engine; paused ones are named or chosen"),
        *CHOICE,
        PROFILE,
        STORE,
        JSON,
        QUIET,
    ),
    examples=(
        ("All that was paused of a flow", "flowbuilder runs resume --status paused --flow daily-report"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Take runs over and drive them; the exit code is the worst of theirs."""
    from flowbuilder.cli.steering import tell_ended  # start-up time: help needs no store

    reader = reader_here(arguments.store)
    workspace = workspace_at(Path.cwd(), arguments.store)
    ids: list[str] | None = None
    elsewhere: list[str] = []
    ended: list[str] = []
    if not arguments.all:
        rows = choose(arguments, reader, COMMAND.name, "resume", LIVE_STATUSES)
        if not rows:
            return DONE
        ended = [row.id for row in rows if row.status in ENDED_STATUSES]
        live = [row for row in rows if row.status not in ENDED_STATUSES]
        ids, elsewhere = _let_go_on(reader, live, workspace, quiet=arguments.quiet or arguments.json)
    elif arguments.run or arguments.flow or arguments.status:
        raise UsageError("--all stands alone", COMMAND.name)
    if arguments.profile is not None and elsewhere:
        say("runs that go on in another engine keep the profile that they have")
    profile = named(workspace, arguments.profile)
    views: list[RunView] = []
    interrupted = False
    if ids or ids is None:
        shown = not arguments.quiet and not arguments.json
        views, interrupted = _resume(workspace, ids, profile, shown=shown)
    driven = {view.run_id for view in views}
    others = [reader.row(id) for id in ids or () if id not in driven]
    ended += [row.id for row in others if row.status in ENDED_STATUSES]
    elsewhere += [row.id for row in others if row.status not in ENDED_STATUSES]
    if arguments.json:
        runs = [view.to_json() for view in views]
        data(as_json({"runs": runs, "elsewhere": elsewhere, "ended": ended}))
    elif not arguments.quiet:
        for view in views:
            show_summary(view, workspace.store, left=interrupted)
        for row in others:
            if row.status not in ENDED_STATUSES:
                say(f"run {row.id} is carried on elsewhere: {row.status}")
        tell_ended(reader, ended)
        if not (views or others or ended or elsewhere):
            say("no run waits to be carried on")
    codes = [exit_code(view, interrupted=interrupted) for view in views]
    return max([*codes, FAILED if ended else DONE])


def _let_go_on(
    reader: Reader, rows: Sequence[RunRow], workspace: Workspace, *, quiet: bool
) -> tuple[list[str], list[str]]:
    """End the pauses of runs; returns those that are to be carried on here, and those that go on elsewhere."""
    from flowbuilder.cli.steering import steer, tell  # start-up time: a wrong id needs no engine
    from flowbuilder.runtime import orders

    paused = [row for row in rows if row.status == "paused"]
    steered = steer(reader, paused, orders.resume(time.time()), "resuming")
    elsewhere = list(steered.told)
    ours = [row.id for row in rows if row.id not in set(steered.told)]
    if steered.written and reader.helpers():
        elsewhere += steered.written
        ours = [id for id in ours if id not in set(steered.written)]
    if not quiet:
        tell(elsewhere, "goes on in its engine", workspace, follow="follow it")
    return ours, elsewhere


def _resume(
    workspace: Workspace, ids: list[str] | None, profile: str | None, *, shown: bool
) -> tuple[list[RunView], bool]:
    from flowbuilder.cli.driving import drive  # start-up time: a wrong id needs no engine

    async def begin(engine: Engine) -> list[Run]:
        runs = await (engine.resume(profile=profile) if ids is None else engine.adopt(ids, profile=profile))
        if shown and len(runs) > 1:
            say(f"carrying on {len(runs)} runs")
        return runs

    return drive(workspace, begin, shown=shown)
