"""`flowbuilder approvals show`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flowbuilder.cli.approvals import TASK, as_object
from flowbuilder.cli.command import JSON, RUN, STORE, Command
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.results import as_json
from flowbuilder.cli.terminal import data
from flowbuilder.cli.workspace import reader_here

if TYPE_CHECKING:
    import argparse

    from flowbuilder.core.approvals import OpenApproval, Voice

COMMAND = Command(
    name="approvals show",
    summary="Show what is to be decided: the form, who may decide, who has",
    arguments=(RUN, TASK),
    options=(STORE, JSON),
    examples=(
        ("The form of one of several things that a run asks for", "flowbuilder approvals show 01K7 review"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Print one approval."""
    with reader_here(arguments.store) as reader:
        approval, voices = reader.approval(arguments.run, arguments.task)
    if arguments.json:
        data(as_json(as_object(approval, voices)))
    else:
        data("\n".join(_lines(approval, voices)))
    return DONE


def _lines(approval: OpenApproval, voices: list[Voice]) -> list[str]:
    who = ", ".join(approval.assignees) if approval.assignees is not None else "anybody"
    lines = [
        f"run        {approval.run_id}",
        f"task       {approval.task}",
        f"flow       {approval.flow}",
        f"message    {approval.message}",
        f"waits for  {who}",
        f"quorum     {approval.quorum}",
        f"since      {_moment(approval.opened_at)}",
    ]
    if approval.due_at is not None:
        lines.append(f"until      {_moment(approval.due_at)}")
    if approval.escalated_at is not None:
        lines.append(f"escalated  {_moment(approval.escalated_at)}")
    for voice in voices:
        said = "approved" if voice.approve else "rejected"
        about = as_json(voice.form) if voice.form else voice.reason_shown()
        lines.append(f"{said:<9}  {voice.by}, {_moment(voice.at)}" + (f": {about}" if about else ""))
    if approval.form is not None:
        lines.append("form       " + as_json(approval.form, indent=True))
    return lines


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(at))
