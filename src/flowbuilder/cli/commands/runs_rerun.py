"""`flowbuilder runs rerun`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.choosing import CHOICE, choose
from flowbuilder.cli.command import JSON, PROFILE, QUIET, SOME_RUNS, STORE, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.results import ENDED_STATUSES
from flowbuilder.cli.workspace import reader_here

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="runs rerun",
    summary="Start runs again with the same inputs: whole, or only what failed",
    description=(
        "A new run of the version that the run had, linked with it; the old one stays as it is. With --failed "
        "or --from the recorded outputs of the rest are taken over, and not executed again."
    ),
    arguments=(SOME_RUNS,),
    options=(
        Option(("--failed",), "Only what failed or was not reached, and what follows it"),
        Option(
            ("--from",),
            "Only this task, and what follows it: fetch, build.compile, enrich[3]",
            "TASK",
            takes="task",
            repeated=True,
        ),
        Option(("--latest",), "Of the version that is in the flow's file now"),
        Option(("--detach", "-d"), "Leave the run to a background engine as soon as its start is on disk"),
        *CHOICE,
        PROFILE,
        STORE,
        JSON,
        QUIET,
    ),
    examples=(
        ("Only what failed", "flowbuilder runs rerun RUN --failed"),
        ("Whatever failed today", "flowbuilder runs rerun --status failed --since 1d --failed --yes"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Start the new runs and drive them to their ends; the exit code is the worst of theirs."""
    from flowbuilder.cli.forking import Fork, run_forks  # start-up time: help needs no engine

    rows = choose(arguments, reader_here(arguments.store), COMMAND.name, "rerun", ENDED_STATUSES)
    if not rows:
        return DONE
    again = vars(arguments)["from"]
    forks = [
        Fork(
            run=row.id,
            from_tasks=again,
            failed=arguments.failed,
            latest=arguments.latest,
            profile=arguments.profile,
        )
        for row in reversed(rows)
    ]
    return run_forks(arguments, forks)
