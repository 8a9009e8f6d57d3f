"""`flowbuilder runs pause`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flowbuilder.cli.choosing import CHOICE, choose
from flowbuilder.cli.command import JSON, SOME_RUNS, STORE, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.results import ENDED_STATUSES
from flowbuilder.cli.workspace import reader_here

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="runs pause",
    summary="Have nothing more of runs start, until they are resumed",
    description=(
        "What is in flight may end, and is kept; waits that are over meanwhile are taken in when the run goes "
        "on. The engine that drives a run is told; a run that nobody drives is paused in the store. Time that a "
        "run is paused does not count for its `timeout`. `runs resume` lets it go on, `runs cancel` ends it."
    ),
    arguments=(SOME_RUNS,),
    options=(
        Option(("--reason",), "Why; kept with the run", "TEXT", default=""),
        Option(("--with-children",), "Also the runs that they have started, and those that these have"),
        *CHOICE,
        STORE,
        JSON,
    ),
    examples=(("Hold everything of a flow", "flowbuilder runs pause --flow daily-report --yes"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Pause each run, wherever it is."""
    from flowbuilder.cli.steering import report, steer, tell, tell_ended  # start-up time: help needs no store
    from flowbuilder.runtime import orders

    reader = reader_here(arguments.store)
    rows = choose(arguments, reader, COMMAND.name, "pause", ("queued", "running", "waiting"))
    if rows is None:
        return DONE
    if arguments.with_children:
        known = {row.id for row in rows}
        rows += [row for row in reader.descendants(list(known)) if row.id not in known]
    steered = steer(reader, rows, orders.pause(time.time(), arguments.reason), "pausing")
    ended = [id for id in steered.left if reader.row(id).status in ENDED_STATUSES]
    already = [id for id in steered.left if id not in set(ended)]
    if not arguments.json:
        tell(steered.written, "is paused")
        tell(steered.told, "is asked to pause")
        tell(already, "is paused")
        tell_ended(reader, ended)
    became = {"paused": steered.written, "asked": steered.told, "already": already, "ended": ended}
    return report(arguments, became)
