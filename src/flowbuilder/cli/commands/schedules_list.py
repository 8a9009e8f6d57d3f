"""`flowbuilder schedules list`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from flowbuilder.cli.command import JSON, STORE, Command
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.results import as_json
from flowbuilder.cli.schedules import FOLDER, as_object, distance, schedules_of, tell_of_broken, waits_for
from flowbuilder.cli.tables import show_table
from flowbuilder.cli.terminal import data, say

if TYPE_CHECKING:
    import argparse

    from flowbuilder.sdk.schedules import Schedule

COMMAND = Command(
    name="schedules list",
    summary="List triggers: what each waits for, when it comes next, what it started last",
    description="All triggers of the project's flows are listed, whether or not `flowbuilder up` runs.",
    options=(FOLDER, STORE, JSON),
    examples=(("The triggers of another folder", "flowbuilder schedules list --folder flows"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Print a table of triggers."""
    _, schedules = schedules_of(arguments)
    listed = schedules.listed()
    tell_of_broken(schedules)
    if arguments.json:
        data(as_json({"schedules": [as_object(one) for one in listed]}))
    elif listed:
        columns = ("trigger", "when", "status", "next", "last", "run")
        show_table(sys.stdout, columns, [_row(one) for one in listed])
    else:
        say("no flow here has triggers")
    return DONE


def _row(schedule: Schedule) -> tuple[str, str, str, str, str, str]:
    progress = schedule.progress
    following = next(schedule.moments(), None) if schedule.status == "on" else None
    last = "" if progress is None or progress.fired_at is None else distance(progress.fired_at)
    run_id = "" if progress is None else progress.run or ""
    shown = "" if following is None else f"{following.local} ({distance(following.at)})"
    return schedule.name, waits_for(schedule.armed.trigger), schedule.status, shown, last, run_id
