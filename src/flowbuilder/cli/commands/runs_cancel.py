"""`flowbuilder runs cancel`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.choosing import CHOICE, choose
from flowbuilder.cli.command import JSON, SOME_RUNS, STORE, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.workspace import reader_here, workspace_at
from flowbuilder.storage.api import LIVE_STATUSES

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="runs cancel",
    summary="Cancel runs in order",
    description=(
        "What runs of them is ended (TERM, then KILL), then `finally` runs. The engine that drives a run is "
        "told; a run that nobody drives is brought to its end here."
    ),
    arguments=(SOME_RUNS,),
    options=(
        Option(("--reason",), "Why; kept with the run", "TEXT", default="cancelled by hand"),
        Option(("--no-undo",), "Leave what their tasks did as it is, also where they say how to undo it"),
        *CHOICE,
        STORE,
        JSON,
    ),
    examples=(
        ("What has waited since yesterday", "flowbuilder runs cancel --status waiting --until 1d --dry-run"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Ask for the cancel of each run."""
    from flowbuilder.cli.steering import (
        bring_to_end,
        report,
        steer,
        tell,
        tell_ended,
    )  # start-up time: help needs no store
    from flowbuilder.runtime import orders

    reader = reader_here(arguments.store)
    rows = choose(arguments, reader, COMMAND.name, "cancel", LIVE_STATUSES)
    if rows is None:
        return DONE
    order = orders.cancel(time.time(), arguments.reason, undo=not arguments.no_undo)
    steered = steer(reader, rows, order, "cancelling")
    if not arguments.json:
        tell(steered.ended, "had not begun, and is cancelled")
        tell_ended(reader, steered.left)
    workspace = workspace_at(Path.cwd(), arguments.store)
    ended: dict[str, str] = {}
    if steered.written and not reader.helpers():
        ended = bring_to_end(workspace, steered.written)
    asked = [*steered.told, *(run_id for run_id in steered.written if run_id not in ended)]
    if not arguments.json:
        for status in dict.fromkeys(ended.values()):
            tell([run_id for run_id in ended if ended[run_id] == status], f"is {status}")
        tell(asked, "is asked to cancel", workspace, follow="see its end")
    became = {"cancelled": [*steered.ended, *ended], "asked": asked, "ended": steered.left}
    return report(arguments, became)
