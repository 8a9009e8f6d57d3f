"""`flowbuilder schedules resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.answers import answer
from flowbuilder.cli.command import JSON, STORE, Command
from flowbuilder.cli.schedules import FOLDER, NAMES, schedules_of

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="schedules resume",
    summary="Let paused triggers go on",
    description="They go on from now: what came while they were paused is not made up for (`backfill` does that).",
    arguments=(NAMES,),
    options=(FOLDER, STORE, JSON),
    examples=(("After the holiday", "flowbuilder schedules resume nightly"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Resume triggers."""
    _, schedules = schedules_of(arguments)
    found = {one.name: one for name in arguments.name for one in schedules.find(name)}
    schedules.resume([name for name, one in found.items() if one.pause is not None])
    said: list[str] = []
    resumed: list[dict[str, str | None]] = []
    for name, one in found.items():
        following = next(one.moments(), None)
        comes = "" if following is None else f"; it comes next at {following.local}"
        said.append(f"{name} goes on{comes}" if one.pause is not None else f"{name} is not paused")
        if one.pause is not None:
            resumed.append({"name": name, "next": None if following is None else following.local})
    already = [name for name, one in found.items() if one.pause is None]
    return answer(arguments, {"resumed": resumed, "already": already}, *said)
