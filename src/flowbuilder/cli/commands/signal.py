"""`flowbuilder signal`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.answers import answer
from flowbuilder.cli.command import JSON, RUN, STORE, Argument, Command, Option
from flowbuilder.cli.payloads import DATA, ID, PAIRS, payload_of, refused
from flowbuilder.cli.workspace import reader_here
from flowbuilder.core.errors import InputError

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="signal",
    summary="Send a signal to a run",
    description=(
        "The signal is kept for the run until a task of type `wait` takes it, also where no engine is "
        "there to wake the run. A name that nothing in the run's flow waits for is refused."
    ),
    arguments=(RUN, Argument("NAME", "The signal's name: dotted words"), PAIRS),
    options=(
        DATA,
        ID,
        Option(("--anyway",), "Send it also where nothing in the flow waits for a signal of that name"),
        STORE,
        JSON,
    ),
    examples=(
        ("Let an order go on", "flowbuilder signal 01K7 shipped carrier=dhl parcels=2"),
        ("With a payload from a file", "flowbuilder signal 01K7 shipped -d @parcel.json"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Send it."""
    payload = payload_of(arguments.data, getattr(arguments, "key=value"), COMMAND.name)
    with reader_here(arguments.store) as reader:
        row = reader.row(arguments.run)
        try:
            id = reader.signal(row.id, arguments.name, payload, id=arguments.id, anyway=arguments.anyway)
        except InputError as error:
            return refused(error, "the signal")
    said = f"signal '{arguments.name}' is kept for run {row.id}"
    return answer(arguments, {"id": id, "name": arguments.name, "run_id": row.id}, said)
