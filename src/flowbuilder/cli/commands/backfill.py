"""`flowbuilder backfill`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.command import JSON, PROFILE, QUIET, STORE, Argument, Command, Option
from flowbuilder.cli.schedules import FOLDER

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="backfill",
    summary="Start the runs that a schedule would have started in the past",
    description=(
        "The runs go on here, so many at once. They have the keys that the schedule gives: a moment that has "
        "a run is not run again, and after Ctrl-C the same command goes on where it stopped. `overlap` and "
        "`catch_up` of the trigger count for nothing; its `if` counts. A day as --to is included."
    ),
    arguments=(Argument("FLOW", "The flow's file, or its name", takes="file"),),
    options=(
        Option(("--trigger",), "Which trigger; need not be given where there is one of moments", "NAME"),
        Option(
            ("--from",), "The first moment, or day; in the trigger's zone unless it has an offset", "MOMENT"
        ),
        Option(("--to",), "The last moment, or day; now unless given", "MOMENT"),
        Option(("--concurrency",), "Runs at once", "N", takes="integer", default="4"),
        Option(("--reverse",), "The newest first"),
        Option(("--dry-run",), "Show the moments, and which have a run already; start nothing"),
        Option(("--again",), "Start runs for moments that have one already"),
        FOLDER,
        PROFILE,
        STORE,
        JSON,
        QUIET,
    ),
    examples=(
        ("Make up for January", "flowbuilder backfill nightly --from 2026-01-01 --to 2026-01-31"),
        ("See first what that would be", "flowbuilder backfill nightly --from 2026-01-01 --dry-run"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Start the runs, and see them to their end."""
    from flowbuilder.cli.filling import fill  # start-up time: help and completion need no engine

    return fill(arguments)
