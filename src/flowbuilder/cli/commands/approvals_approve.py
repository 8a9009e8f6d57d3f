"""`flowbuilder approvals approve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.approvals import AS, TASK, decided, filled_in, person_of
from flowbuilder.cli.command import JSON, RUN, STORE, Command, Option
from flowbuilder.cli.payloads import DATA, refused
from flowbuilder.cli.workspace import reader_here
from flowbuilder.core.errors import InputError

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="approvals approve",
    summary="Approve what a run asks for",
    arguments=(RUN, TASK),
    options=(
        Option(
            ("--input", "-i"),
            "A field of the form; its text is converted by the form's schema",
            "KEY=VALUE",
            repeated=True,
        ),
        DATA,
        AS,
        STORE,
        JSON,
    ),
    examples=(("With what the form asks for", "flowbuilder approvals approve 01K7 -i amount=250 --as ada"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Leave a voice for it."""
    by = person_of(arguments)
    with reader_here(arguments.store) as reader:
        approval, _ = reader.approval(arguments.run, arguments.task)
        try:
            form = filled_in(approval.form, arguments.data, arguments.input, COMMAND.name)
            reader.approve(approval.run_id, by, form, task=approval.task)
        except InputError as error:
            return refused(error, "the form")
    return decided(arguments, approval, by, approve=True)
