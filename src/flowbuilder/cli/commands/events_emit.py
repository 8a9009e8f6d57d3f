"""`flowbuilder events emit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.answers import answer
from flowbuilder.cli.command import JSON, STORE, Argument, Command
from flowbuilder.cli.payloads import DATA, ID, PAIRS, payload_of, refused
from flowbuilder.cli.workspace import reader_here
from flowbuilder.core.errors import InputError

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="events emit",
    summary="Emit an event: it wakes runs that wait for it, and starts flows",
    description="Prints the event's id as soon as the event is on disk. Where no engine is there, the next sees it.",
    arguments=(Argument("NAME", "The event's name: dotted words"), PAIRS),
    options=(DATA, ID, STORE, JSON),
    examples=(("An order was paid", "flowbuilder events emit order.paid order=A7 amount=12.5"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Emit it."""
    payload = payload_of(arguments.data, getattr(arguments, "key=value"), COMMAND.name)
    with reader_here(arguments.store) as reader:
        try:
            id = reader.emit(arguments.name, payload, id=arguments.id)
        except InputError as error:
            return refused(error, "the event")
    return answer(arguments, {"id": id, "name": arguments.name}, text=id)
