"""`flowbuilder run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.command import FLOW, JSON, PROFILE, QUIET, STORE, Command, Option
from flowbuilder.cli.labels import label_option

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="run",
    summary="Run a flow and show what comes of it",
    description=(
        "The flow is checked, its start is put on disk, and then it runs, here and now. What it yields goes "
        "to standard output as JSON, everything else to standard error.\n\n"
        "Ctrl-C cancels the run in order: what runs is ended, then `finally` runs. A second Ctrl-C leaves at "
        "once, and the next engine on the store completes the cancel. SIGTERM starts nothing more, waits "
        "up to 10 s for what runs, and leaves the rest to `flowbuilder runs resume`."
    ),
    arguments=(FLOW,),
    options=(
        Option(
            ("--input", "-i"),
            "An input; its text is converted by the input's schema",
            "KEY=VALUE",
            repeated=True,
        ),
        Option(("--input-file",), "A JSON file of inputs; -i wins over it", "FILE", takes="file"),
        Option(
            ("--key",),
            "Start at most one run: the same key gives the same run again, and other inputs are an error",
            "KEY",
        ),
        label_option("A label, to find the run by; added to those of the flow"),
        PROFILE,
        STORE,
        Option(("--priority",), "0 to 100, more goes first", "N", takes="integer"),
        Option(
            ("--timeout",),
            "Wait this long at most; the run then goes on in the background, and the exit code is 8",
            "DURATION",
            takes="duration",
        ),
        Option(("--detach", "-d"), "Leave the run to a background engine as soon as its start is on disk"),
        JSON,
        QUIET,
    ),
    examples=(
        ("Run a flow with an input", "flowbuilder run report.yaml -i day=2026-01-05"),
        ("Use the result in a script", "flowbuilder run report.yaml --json | jq .outputs"),
        ("Start it once a day, however often cron tries", 'flowbuilder run report.yaml --key "$(date +%F)"'),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Run the flow, here or in the background."""
    from flowbuilder.cli.running import run_flow  # start-up time: help and completion need no engine

    return run_flow(arguments)
