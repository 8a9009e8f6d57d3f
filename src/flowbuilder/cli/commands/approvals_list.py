"""`flowbuilder approvals list`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from flowbuilder.cli.approvals import as_object
from flowbuilder.cli.command import JSON, STORE, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.results import as_json
from flowbuilder.cli.tables import show_table
from flowbuilder.cli.terminal import data, say
from flowbuilder.cli.workspace import reader_here
from flowbuilder.core.durations import format_duration

if TYPE_CHECKING:
    import argparse

    from flowbuilder.core.approvals import OpenApproval

COMMAND = Command(
    name="approvals list",
    summary="List what is to be decided, oldest first",
    options=(
        Option(("--run",), "Only of this run", "RUN", takes="run"),
        Option(("--as",), "Only what this person may decide", "NAME"),
        STORE,
        JSON,
    ),
    examples=(("What ada may decide", "flowbuilder approvals list --as ada"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Print what is open."""
    person = getattr(arguments, "as")
    with reader_here(arguments.store) as reader:
        found = [
            approval
            for approval in reader.approvals(arguments.run)
            if person is None or approval.assignees is None or person in approval.assignees
        ]
    if arguments.json:
        shown: dict[str, Any] = {"approvals": [as_object(approval, approval.voices) for approval in found]}
        data(as_json(shown))
    elif found:
        columns = ("run", "task", "waits for", "due", "message")
        show_table(sys.stdout, columns, [_row(approval) for approval in found])
    else:
        say("nothing is to be decided")
    return DONE


def _row(approval: OpenApproval) -> tuple[str, ...]:
    who = ", ".join(approval.assignees) if approval.assignees is not None else "anybody"
    if approval.quorum > 1:
        who += f" ({len(approval.voices)} of {approval.quorum})"
    due = "" if approval.due_at is None else _in(approval.due_at - time.time())
    return approval.run_id, approval.task, who, due, approval.message


def _in(seconds: float) -> str:
    return f"in {format_duration(float(round(seconds)))}" if seconds >= 1 else "now"
