"""`flowbuilder limits reset`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.answers import answer
from flowbuilder.cli.command import JSON, STORE, Argument, Command
from flowbuilder.cli.workspace import reader_here

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="limits reset",
    summary="Have a rate limit or a circuit breaker begin anew",
    description=(
        "A breaker is closed again, with no failure counted; a rate limit forgets the moments that it has "
        "reserved. Engines see it within a second; attempts that have a moment already keep it. Places of queues "
        "and of flows need no reset: they belong to attempts and runs, and are free when those have ended."
    ),
    arguments=(
        Argument("KIND", "What it is", choices=("rate", "breaker")),
        Argument("KEY", "Its key, as `flowbuilder limits` shows it"),
    ),
    options=(STORE, JSON),
    examples=(("The service is well again", "flowbuilder limits reset breaker shop.example"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Forget what the store knows of the limit."""
    from flowbuilder.runtime.limit_states import reset  # start-up time: help needs no store

    with reader_here(arguments.store) as reader:
        reset(reader.facts(), arguments.kind, arguments.key)
    what = "rate limit" if arguments.kind == "rate" else "circuit breaker"
    said = f"the {what} '{arguments.key}' begins anew"
    return answer(arguments, {"kind": arguments.kind, "key": arguments.key}, said)
