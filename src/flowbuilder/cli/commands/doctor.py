"""`flowbuilder doctor`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.command import JSON, STORE, Command, Option
from flowbuilder.cli.exits import DONE, FAILED
from flowbuilder.cli.health import examine
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.results import as_json
from flowbuilder.cli.tables import show_table
from flowbuilder.cli.terminal import data, say
from flowbuilder.cli.workspace import workspace_at

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="doctor",
    summary="Look for what is wrong with the set-up and the store",
    description=(
        "Checks Python, bash, Node, settings, disk, the store's integrity and format, engines, stuck runs, the "
        "clock and the file of secrets. The exit code is 1 if something is wrong."
    ),
    options=(
        Option(("--runs",), "Look over all live runs instead: what each owns that will carry it on"),
        Option(("--repair",), "With --runs: have runs that are stuck read again"),
        STORE,
        JSON,
    ),
    examples=(("Is any run stuck?", "flowbuilder doctor --runs"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Examine and report."""
    if arguments.repair and not arguments.runs:
        raise UsageError("--repair goes with --runs", "doctor")
    if arguments.runs:
        from flowbuilder.cli.run_health import look_over_runs  # start-up time

        return look_over_runs(arguments)
    findings = examine(workspace_at(Path.cwd(), arguments.store))
    if arguments.json:
        checks = [
            {"check": one.check, "status": one.status, "what": one.what, "hint": one.hint} for one in findings
        ]
        data(as_json({"checks": checks}))
    else:
        show_table(
            sys.stdout,
            ("check", "status", "finding"),
            [(one.check, one.status, one.what) for one in findings],
        )
        for one in findings:
            if one.hint:
                say(f"{one.check}: {one.hint}")
    return FAILED if any(one.status == "error" for one in findings) else DONE
