"""`flowbuilder runs priority`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.choosing import CHOICE, choose
from flowbuilder.cli.command import JSON, SOME_RUNS, STORE, Argument, Command
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.workspace import reader_here
from flowbuilder.storage.api import LIVE_STATUSES

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="runs priority",
    summary="Have live runs go before others, or behind them",
    description=(
        "It holds for whatever the runs begin from now on, wherever they are: in an engine, asleep, or paused. "
        "What waits for its turn already keeps it."
    ),
    arguments=(SOME_RUNS, Argument("N", "0 to 100, more first", takes="integer")),
    options=(*CHOICE, STORE, JSON),
    examples=(("Let all others go first", "flowbuilder runs priority --flow backfill 10 --yes"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Change the priority of each run."""
    from flowbuilder.cli.parsing import UsageError  # start-up time: help needs no store
    from flowbuilder.cli.steering import report, steer, tell, tell_ended
    from flowbuilder.core.errors import InputError
    from flowbuilder.runtime import orders

    try:
        order = orders.priority(arguments.n)
    except InputError:
        raise UsageError("N goes from 0 to 100", COMMAND.name) from None
    reader = reader_here(arguments.store)
    verb = f"give priority {arguments.n} to"
    rows = choose(arguments, reader, COMMAND.name, verb, LIVE_STATUSES)
    if rows is None:
        return DONE
    steered = steer(reader, rows, order, "changing")
    changed = [*steered.written, *steered.told]
    if not arguments.json:
        tell(changed, f"has priority {arguments.n} from now on")
        tell_ended(reader, steered.left)
    return report(arguments, {"changed": changed, "ended": steered.left})
