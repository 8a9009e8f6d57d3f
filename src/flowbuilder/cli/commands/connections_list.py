"""`flowbuilder connections list`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.command import JSON, PROFILE, Command
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.profiles import profiles_of, shown
from flowbuilder.cli.results import as_json
from flowbuilder.cli.tables import show_table
from flowbuilder.cli.terminal import data, say
from flowbuilder.cli.workspace import workspace_at

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="connections list",
    summary="List the connections of a profile, without their secrets",
    description="Connections stand in flowbuilder.toml, under [profiles.NAME.connections].",
    options=(PROFILE, JSON),
    examples=(("Those of production", "flowbuilder connections list --profile prod"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Print the connections."""
    workspace = workspace_at(Path.cwd())
    profiles = profiles_of(workspace)
    profile = profiles.profile(workspace.project, arguments.profile)
    rows = [
        (name, profiles.connections.type_of(described), shown(described))
        for name, described in profile.connections.items()
    ]
    if arguments.json:
        found = [{"name": name, "type": type, "options": options} for name, type, options in rows]
        data(as_json({"profile": profile.name, "connections": found}))
        return DONE
    if rows:
        listed = [(n, t, ", ".join(f"{key}={value}" for key, value in o.items())) for n, t, o in rows]
        show_table(sys.stdout, ("connection", "type", "options"), listed)
    say(
        f"profile {profile.name or '(none)'} of {workspace.project}: {len(rows)} connection{'' if len(rows) == 1 else 's'}"
    )
    return DONE
