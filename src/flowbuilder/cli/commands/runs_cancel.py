"""`flowbuilder runs cancel`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flowbuilder.cli.command import RUNS, STORE, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.next_steps import typed
from flowbuilder.cli.terminal import say
from flowbuilder.cli.workspace import reader_here, workspace_at
from flowbuilder.storage.api import LIVE

if TYPE_CHECKING:
    import argparse

    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.sdk.run import Run

COMMAND = Command(
    name="runs cancel",
    summary="Cancel runs in order",
    description=(
        "What runs of them is ended (TERM, then KILL), then `finally` runs. The engine that drives a run is "
        "told; a run that nobody drives is brought to its end here."
    ),
    arguments=(msgspec.structs.replace(RUNS, count="some"),),
    options=(
        Option(("--reason",), "Why; kept with the run", "TEXT", default="cancelled by hand"),
        STORE,
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Ask for the cancel of each run."""
    reader = reader_here(arguments.store)
    alive = {engine.id for engine in reader.engines() if engine.alive}
    asked: list[str] = []
    orphans: list[str] = []
    for row in [reader.row(name) for name in arguments.run]:
        if row.status not in LIVE:
            say(f"run {row.id} has ended already: {row.status}")
            continue
        reader.send_cancel(row.id, arguments.reason)
        if row.owner in alive:
            asked.append(row.id)
        else:
            orphans.append(row.id)
    workspace = workspace_at(Path.cwd(), arguments.store)
    if orphans:
        asked += _finish(workspace, orphans, arguments.reason)
    for run_id in asked:
        say(f"run {run_id} is asked to cancel; see its end: {typed(f'runs watch {run_id}', workspace.store)}")
    return DONE


def _finish(workspace: Workspace, ids: list[str], reason: str) -> list[str]:
    """Drive runs that nobody drives to their end; return those that an engine has come to before us."""
    from flowbuilder.cli.driving import drive  # start-up time: most runs have an engine of their own

    async def begin(engine: Engine) -> list[Run]:
        runs = await engine.resume(ids)
        for run in runs:
            await run.cancel(reason)
        return runs

    views, _ = drive(workspace, begin, shown=False)
    for view in views:
        say(f"run {view.run_id} is {view.status}")
    driven = {view.run_id for view in views}
    return [run_id for run_id in ids if run_id not in driven]
