"""`flowbuilder up`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.command import PROFILE, QUIET, STORE, Argument, Command, Option

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="up",
    summary="Run the flows of a folder and their triggers until stopped",
    description=(
        "All flows below the folder are read, those in Python files too, and their triggers put in force; a file "
        "that is broken is reported and left out. Files that change are read again: runs in flight keep their version, and a "
        "broken edit keeps the last good one. Runs that an engine has left are carried on.\n\n"
        "What happens goes to standard error, a line each; with --json to standard output, an object each. "
        "Ctrl-C or SIGTERM fires nothing more, gives what runs its time (`engine.grace`), and leaves the rest "
        "to the next engine; the second one gives it no time, the third leaves at once."
    ),
    arguments=(
        Argument("FOLDER", "Where the flows lie; the current folder unless given", "folder", "optional"),
    ),
    options=(
        Option(("--once",), "Start what is due now, made-up moments among it, see it to its end, and leave"),
        Option(("--no-reload",), "Do not read files again that change"),
        PROFILE,
        STORE,
        Option(("--json",), "Print one JSON object a line"),
        QUIET,
    ),
    examples=(
        ("Run everything in a folder", "flowbuilder up flows"),
        (
            "See what happens as JSON, a line each",
            "flowbuilder up --json | jq -c 'select(.what == \"ended\")'",
        ),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Stay up until a signal comes."""
    from flowbuilder.cli.serving import serve  # start-up time: help and completion need no engine

    return serve(arguments)
