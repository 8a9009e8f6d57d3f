"""`flowbuilder runs export`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.answers import answer
from flowbuilder.cli.choosing import CHOICE, choose, count_of
from flowbuilder.cli.command import JSON, SOME_RUNS, STORE, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.results import ENDED_STATUSES
from flowbuilder.cli.terminal import flush_data
from flowbuilder.cli.workspace import reader_here
from flowbuilder.storage.api import LIVE_STATUSES

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="runs export",
    summary="Write runs to a file, with all that belongs to them",
    description=(
        "Journals, logs, large outputs and the versions of the flows are in the one file, with the runs that a run "
        "has started, what it waits for, and the signals and events that it has not looked at; `flowbuilder runs "
        "import` brings it into another store. Outputs are in it as they are, sensitive ones encrypted; secrets "
        "are not, nor are caches and kept values, which belong to the store."
    ),
    arguments=(SOME_RUNS,),
    options=(
        Option(("--output", "-o"), "The file; standard output unless given", "FILE", takes="file"),
        *CHOICE,
        STORE,
        JSON,
    ),
    examples=(
        ("One run, for somebody else to look at", "flowbuilder runs export RUN -o run.fbruns"),
        ("All of a day", "flowbuilder runs export --since 1d -o today.fbruns --yes"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Write the archive; a file appears when it is whole."""
    if arguments.output is None and sys.stdout.isatty():
        raise UsageError("an archive is nothing for a terminal", COMMAND.name, "give a file with -o")
    if arguments.output is None and arguments.json and not arguments.dry_run:
        raise UsageError("--json stands on standard output, and so would the archive", COMMAND.name, "add -o")
    reader = reader_here(arguments.store)
    rows = choose(arguments, reader, COMMAND.name, "export", (*LIVE_STATUSES, *ENDED_STATUSES))
    if not rows:
        return DONE if rows is None else answer(arguments, {"file": None, "runs": 0})
    ids = [row.id for row in reversed(rows)]
    if arguments.output is None:
        flush_data()
        reader.export(ids, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return DONE
    target = Path(arguments.output)
    aside = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with open(aside, "wb") as file:
            count = reader.export(ids, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return answer(
        arguments, {"file": str(target), "runs": count}, f"exported {count_of(range(count))} to {target}"
    )
