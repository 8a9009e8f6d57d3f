"""`flowbuilder runs import`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.command import JSON, STORE, Argument, Command, Option
from flowbuilder.cli.exits import DONE, WRONG_FILE
from flowbuilder.cli.next_steps import typed
from flowbuilder.cli.results import as_json
from flowbuilder.cli.terminal import complain, data, say
from flowbuilder.cli.workspace import workspace_at
from flowbuilder.core.errors import ArchiveError, NotFound

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from flowbuilder.cli.workspace import Workspace

COMMAND = Command(
    name="runs import",
    summary="Bring exported runs into this store",
    description=(
        "Runs keep their ids; those that are here already are left as they are, so that a file may be brought in "
        "twice. A file that is damaged, or holds a run that cannot go on here, changes nothing. Runs that had not "
        "ended are paused, since the store that they come from may carry them on, too: `runs resume` lets them go "
        "on here, where they hear their events and signals and wait for a place as all others do."
    ),
    arguments=(Argument("FILE", "What `flowbuilder runs export` wrote; - for standard input", takes="file"),),
    options=(Option(("--live",), "Have runs that had not ended carried on by the next engine"), STORE, JSON),
    examples=(("Bring in what another machine has written", "flowbuilder runs import runs.jsonl"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Bring in the runs of an archive, and say what became of them."""
    from flowbuilder.cli.steering import tell  # start-up time: help needs no store
    from flowbuilder.sdk.importing import import_runs
    from flowbuilder.storage.folder import make_folder

    workspace = workspace_at(Path.cwd(), arguments.store)
    make_folder(workspace.store.parent)
    try:
        file = open(arguments.file, "rb") if arguments.file != "-" else sys.stdin.buffer  # noqa: SIM115 below
    except FileNotFoundError:
        raise NotFound("file", arguments.file) from None
    with file:
        try:
            done = import_runs(workspace.store, file, live=arguments.live, has_key=_keys_of(workspace))
        except ArchiveError as error:
            name = "standard input" if arguments.file == "-" else arguments.file
            complain(f"{name}: {error}", "`flowbuilder runs export RUN… -o FILE` writes one")
            return WRONG_FILE
    paused = set(done.paused)
    if arguments.json:
        lists = {"brought": done.brought, "paused": done.paused, "known": done.known}
        data(as_json({**lists, "without_key": done.without_key}))
        return DONE
    tell([run_id for run_id in done.brought if run_id not in paused], "is here now")
    tell(done.paused, "is here now, and paused")
    tell(done.known, "is here already, and left as it is")
    tell(done.without_key, "has no key here: it belongs to another run")
    if done.paused:
        say(f"  let one go on: {typed(f'runs resume {done.paused[0]}', workspace.store)}")
    if not done.brought and not done.known:
        say("there are no runs in the archive")
    return DONE


def _keys_of(workspace: Workspace) -> Callable[[bytes], bool]:
    """Return what tells whether a key is known here by which something was encrypted."""
    from flowbuilder.runtime.encryption import Encryption, EncryptionKeyMissing
    from flowbuilder.runtime.project import key_file

    encryption = Encryption(key_file(workspace.project, workspace.config), os.environ)

    def has_key(key: bytes) -> bool:
        try:
            return encryption.keys("runs that are brought in have sensitive values").has(key)
        except EncryptionKeyMissing:
            return False

    return has_key
