"""`flowbuilder runs resume`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.command import QUIET, RUNS, STORE, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.results import exit_code, show_summary
from flowbuilder.cli.terminal import say
from flowbuilder.cli.workspace import reader_here, workspace_at

if TYPE_CHECKING:
    import argparse

    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.runtime.views import RunView
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.sdk.run import Run

COMMAND = Command(
    name="runs resume",
    summary="Carry on runs that a crash or an interrupt left",
    description=(
        "Runs whose engine is gone are taken over and driven to their end, with the version of the flow that "
        "they began with; sleeping ones are woken when their moment comes. Tasks whose end is on disk are not "
        "executed again. Ctrl-C cancels these runs in order, as for `flowbuilder run`."
    ),
    arguments=(RUNS,),
    options=(
        Option(("--all",), "All that wait for an engine"),
        STORE,
        QUIET,
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Take runs over and drive them; the exit code is the worst of theirs."""
    if bool(arguments.run) == arguments.all:
        raise UsageError("name runs, or give --all", COMMAND.name)
    reader = reader_here(arguments.store)
    ids = [reader.row(name).id for name in arguments.run] or None
    workspace = workspace_at(Path.cwd(), arguments.store)
    views, interrupted = _resume(workspace, ids, shown=not arguments.quiet)
    if not arguments.quiet:
        for view in views:
            show_summary(view, workspace.store, left=interrupted)
        if not views:
            ended = [reader.row(id) for id in ids or ()]
            for row in ended:
                say(f"run {row.id} is {row.status}: there is nothing to carry on")
            if not ended:
                say("no run waits to be carried on")
    return max((exit_code(view, interrupted=interrupted) for view in views), default=DONE)


def _resume(workspace: Workspace, ids: list[str] | None, *, shown: bool) -> tuple[list[RunView], bool]:
    from flowbuilder.cli.driving import drive  # start-up time: a wrong id needs no engine

    async def begin(engine: Engine) -> list[Run]:
        runs = await engine.resume(ids)
        if shown and len(runs) > 1:
            say(f"carrying on {len(runs)} runs")
        return runs

    return drive(workspace, begin, shown=shown)
