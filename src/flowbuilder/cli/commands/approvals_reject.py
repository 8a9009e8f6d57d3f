"""`flowbuilder approvals reject`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.approvals import AS, TASK, decided, person_of
from flowbuilder.cli.command import JSON, RUN, STORE, Command, Option
from flowbuilder.cli.workspace import reader_here

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="approvals reject",
    summary="Reject what a run asks for",
    description="One rejection is enough: the task fails with the kind `approval.rejected`.",
    arguments=(RUN, TASK),
    options=(Option(("--reason",), "Why; the task's error has it", "TEXT", default=""), AS, STORE, JSON),
    examples=(
        (
            "With the reason, which the task's error has",
            'flowbuilder approvals reject 01K7 --reason "too dear"',
        ),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Leave a voice against it."""
    by = person_of(arguments)
    with reader_here(arguments.store) as reader:
        approval = reader.reject(arguments.run, by, arguments.reason, task=arguments.task)
    return decided(arguments, approval, by, approve=False)
