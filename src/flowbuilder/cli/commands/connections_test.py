"""`flowbuilder connections test`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.command import JSON, PROFILE, Argument, Command
from flowbuilder.cli.exits import DONE, FAILED
from flowbuilder.cli.profiles import profiles_of
from flowbuilder.cli.results import as_json
from flowbuilder.cli.tables import show_table
from flowbuilder.cli.terminal import data, say
from flowbuilder.cli.workspace import workspace_at
from flowbuilder.core.errors import NotFound

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="connections test",
    summary="Connect to what a profile describes, and say what is wrong",
    description="The exit code is 1 if a connection does not work. Nothing is written anywhere.",
    arguments=(Argument("NAME", "Only these connections", count="any"),),
    options=(PROFILE, JSON),
    examples=(
        ("All of production", "flowbuilder connections test --profile prod"),
        ("One of them", "flowbuilder connections test shop"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Try the connections one by one."""
    from flowbuilder.cli.parsing import nearest  # start-up time: help needs none of this
    from flowbuilder.sdk.connections import Tried, try_connections

    workspace = workspace_at(Path.cwd())
    profiles = profiles_of(workspace)
    profile = profiles.profile(workspace.project, arguments.profile)
    for name in arguments.name:
        if name not in profile.connections:
            raise NotFound("connection", name, nearest(name, list(profile.connections)) or profile.where)
    names = arguments.name or list(profile.connections)
    tried: list[Tried] = asyncio.run(try_connections(profiles, profile, names))
    bad = [one for one in tried if one.problem]
    if arguments.json:
        found = [
            {
                "name": one.name,
                "type": one.type,
                "ok": not one.problem,
                "what": one.what,
                "problem": one.problem,
                "hint": one.hint,
                "where": one.where,
            }
            for one in tried
        ]
        data(as_json({"profile": profile.name, "connections": found}))
    else:
        rows = [
            (one.name, one.type, "ok" if not one.problem else "FAILED", one.problem or one.what)
            for one in tried
        ]
        if rows:
            show_table(sys.stdout, ("connection", "type", "result", "what"), rows)
        for one in bad:
            say(f"{one.where}: '{one.name}' does not work")
            if one.hint:
                say(f"  = {one.hint}")
        say(f"profile {profile.name or '(none)'}: {len(tried) - len(bad)} of {len(tried)} connections work")
    return FAILED if bad else DONE
