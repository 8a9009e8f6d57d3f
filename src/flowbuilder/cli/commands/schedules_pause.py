"""`flowbuilder schedules pause`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.answers import answer
from flowbuilder.cli.command import JSON, STORE, Command, Option
from flowbuilder.cli.schedules import FOLDER, NAMES, schedules_of, who

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
        JSON,
    ),
    examples=(("Over a holiday", 'flowbuilder schedules pause nightly --reason "holiday"'),),
)


def run(arguments: argparse.Namespace) -> int:
    """Pause triggers."""
    _, schedules = schedules_of(arguments)
    found = {one.name: one for name in arguments.name for one in schedules.find(name)}
    fresh = [name for name, one in found.items() if one.pause is None]
    schedules.pause(fresh, getattr(arguments, "as") or who(), arguments.reason)
    said = [
        f"{name} is paused" + (f" already, by {one.pause.by}" if one.pause is not None else "")
        for name, one in found.items()
    ]
    return answer(
        arguments, {"paused": fresh, "already": [name for name in found if name not in fresh]}, *said
    )
