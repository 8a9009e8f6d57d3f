"""`flowbuilder plugins list`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.command import JSON, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.results import as_json
from flowbuilder.cli.tables import show_table
from flowbuilder.cli.terminal import data, say

if TYPE_CHECKING:
    import argparse

    from flowbuilder.plugins.kinds import Provided as Plugin

COMMAND = Command(
    name="plugins list",
    summary="List what there is: task types, stores, secret providers, executors, front ends",
    description=(
        "Those of installed packages and of the project's `plugins` folder; --all adds what comes with the "
        "engine. What cannot be used is listed with the reason; flows that do not need it run all the same."
    ),
    options=(Option(("--all", "-a"), "Also what comes with the engine"), JSON),
    examples=(("What is installed, for a script", "flowbuilder plugins list --json"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Print the list."""
    from flowbuilder.plugins.kinds import TITLES, Provided  # start-up time: help needs no plug-ins
    from flowbuilder.plugins.registry import everything
    from flowbuilder.tasks.registry import CATALOGUE

    found = [each for each in everything(Path.cwd()) if arguments.all or each.origin != "flowbuilder"]
    if arguments.all:
        found = [Provided("tasks", name, "flowbuilder") for name in sorted(CATALOGUE)] + found
    if arguments.json:
        data(as_json({"plugins": [_json(each) for each in found]}))
        return DONE
    if not found:
        say(
            "there are no plug-ins: install a package, or put a Python file into the project's `plugins` folder"
        )
        return DONE
    rows = [
        (TITLES[each.kind], each.name, each.origin, each.why and f"cannot be used: {each.why}")
        for each in found
    ]
    show_table(sys.stdout, ("kind", "name", "from", "note"), rows)
    return DONE


def _json(each: Plugin) -> dict[str, object]:
    return {
        "kind": each.kind,
        "name": each.name,
        "from": each.origin,
        "usable": not each.why,
        "why": each.why or None,
    }
