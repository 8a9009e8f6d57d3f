"""`flowbuilder runs import`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.command import STORE, Argument, Command, Option
from flowbuilder.cli.exits import DONE, WRONG_FILE
from flowbuilder.cli.next_steps import typed
from flowbuilder.cli.terminal import complain, say
from flowbuilder.cli.workspace import workspace_at
from flowbuilder.core.errors import ArchiveError, NotFound

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="runs import",
    summary="Bring exported runs into this store",
    description=(
        "Runs keep their ids; those that are here already are left as they are. Runs that had not ended are "
        "paused, since the store that they come from may carry them on, too: `runs resume` lets them go on here."
    ),
    arguments=(Argument("FILE", "What `flowbuilder runs export` wrote; - for standard input", takes="file"),),
    options=(Option(("--live",), "Have runs that had not ended carried on by the next engine"), STORE),
)


def run(arguments: argparse.Namespace) -> int:
    """Bring in the runs of an archive, and say what became of them."""
    from flowbuilder.cli.steering import tell  # start-up time: help needs no store
    from flowbuilder.sdk.archives import import_runs
    from flowbuilder.storage.folder import make_folder

    workspace = workspace_at(Path.cwd(), arguments.store)
    make_folder(workspace.store.parent)
    if arguments.file == "-":
        done = import_runs(workspace.store, sys.stdin.buffer, live=arguments.live)
    else:
        try:
            file = open(arguments.file, "rb")  # noqa: SIM115 it is closed below
        except FileNotFoundError:
            raise NotFound("file", arguments.file) from None
        with file:
            try:
                done = import_runs(workspace.store, file, live=arguments.live)
            except ArchiveError as error:
                complain(f"{arguments.file}: {error}", "`flowbuilder runs export RUN… -o FILE` writes one")
                return WRONG_FILE
    paused = set(done.paused)
    tell([run_id for run_id in done.brought if run_id not in paused], "is here now")
    tell(done.paused, "is here now, and paused")
    tell(done.known, "is here already, and left as it is")
    tell(done.without_key, "has no key here: it belongs to another run")
    if done.paused:
        say(f"  let one go on: {typed(f'runs resume {done.paused[0]}', workspace.store)}")
    if not done.brought and not done.known:
        say("there are no runs in the archive")
    return DONE
