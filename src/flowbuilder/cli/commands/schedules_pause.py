"""`flowbuilder schedules pause`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.command import STORE, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.schedules import FOLDER, NAMES, schedules_of, who
from flowbuilder.cli.terminal import say

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="schedules pause",
    summary="Keep triggers from starting anything",
    description=(
        "They stay paused across restarts, until `schedules resume`. Runs that are live go on. An engine that "
        "is up is told at once; none need be."
    ),
    arguments=(NAMES,),
    options=(
        Option(("--reason",), "Why; shown in the list", "TEXT", default=""),
        Option(("--as",), "Who does it; the login name unless given", "NAME"),
        FOLDER,
        STORE,
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Pause triggers."""
    _, schedules = schedules_of(arguments)
    found = {one.name: one for name in arguments.name for one in schedules.find(name)}
    fresh = [name for name, one in found.items() if one.pause is None]
    schedules.pause(fresh, getattr(arguments, "as") or who(), arguments.reason)
    for name, one in found.items():
        say(f"{name} is paused" + (f" already, by {one.pause.by}" if one.pause is not None else ""))
    return DONE
