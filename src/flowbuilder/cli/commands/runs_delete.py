"""`flowbuilder runs delete`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.command import RUNS, STORE, Command, Option
from flowbuilder.cli.exits import DONE, FAILED
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.results import ENDED_STATUSES
from flowbuilder.cli.terminal import complain, say
from flowbuilder.cli.workspace import reader_here, workspace_at
from flowbuilder.storage.api import LIVE, RunFilter

if TYPE_CHECKING:
    import argparse

    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.sdk.reader import Reader

COMMAND = Command(
    name="runs delete",
    summary="Delete ended runs, with their journals, logs and outputs",
    description="A run that has not ended is refused: cancel it first.",
    arguments=(RUNS,),
    options=(
        Option(
            ("--older-than",),
            "Instead of RUN: all that ended longer ago than this",
            "DURATION",
            takes="duration",
        ),
        STORE,
    ),
    examples=(("Keep a week", "flowbuilder runs delete --older-than 7d"),),
)

_PAGE = 500


def run(arguments: argparse.Namespace) -> int:
    """Delete the runs that were named, or those of an age."""
    if bool(arguments.run) == (arguments.older_than is not None):
        raise UsageError("name runs, or give --older-than", COMMAND.name)
    reader = reader_here(arguments.store)
    workspace = workspace_at(Path.cwd(), arguments.store)
    if arguments.older_than is not None:
        ids = _ended_before(reader, time.time() - arguments.older_than)
    else:
        rows = [reader.row(name) for name in arguments.run]
        if live := [row.id for row in rows if row.status in LIVE]:
            complain(f"not ended yet: {', '.join(live)}", "`flowbuilder runs cancel` ends a run")
            return FAILED
        ids = [row.id for row in rows]
    count = _delete(workspace, ids) if ids else 0
    say(f"deleted {count} run{'' if count == 1 else 's'}")
    return DONE


def _ended_before(reader: Reader, moment: float) -> list[str]:
    """Return the ids of all runs that ended before a moment."""
    ids: list[str] = []
    before = None
    while True:
        page = reader.runs(RunFilter(status=ENDED_STATUSES, until=moment, before=before, limit=_PAGE))
        ids += [row.id for row in page if row.ended_at is not None and row.ended_at < moment]
        if len(page) < _PAGE:
            return ids
        before = page[-1].id


def _delete(workspace: Workspace, ids: list[str]) -> int:
    from flowbuilder.sdk.engine import Engine  # start-up time: a refused command needs no engine
    from flowbuilder.sdk.loop import run_loop

    async def delete() -> int:
        async with Engine(workspace.store, workspace.config, recover=False) as engine:
            return await engine.delete(ids)

    return run_loop(workspace.config, delete())
