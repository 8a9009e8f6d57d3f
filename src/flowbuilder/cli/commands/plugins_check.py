"""`flowbuilder plugins check`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.command import JSON, Argument, Command
from flowbuilder.cli.exits import DONE, FAILED
from flowbuilder.cli.results import as_json
from flowbuilder.cli.terminal import data, say
from flowbuilder.core.errors import NotFound

if TYPE_CHECKING:
    import argparse

    from flowbuilder.plugins.kinds import Provided

COMMAND = Command(
    name="plugins check",
    summary="Check that plug-ins can be loaded and are described, and run their examples",
    description=(
        "Looked at are the schemas of parameters and output, the effect, the words for people, the page and "
        "the example, which runs in memory. The exit code is 1 if anything is wrong."
    ),
    arguments=(Argument("NAME", "Plug-ins by name; all of them unless given", count="any"),),
    options=(JSON,),
    examples=(("One of them, while it is written", "flowbuilder plugins check greet"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Check, and print what was found."""
    from flowbuilder.plugins.registry import everything  # start-up time: help needs no plug-ins
    from flowbuilder.tasks import registry  # noqa: F401 - says which task types come with the engine

    there: dict[str, list[Provided]] = {}
    for each in everything(Path.cwd()):
        if each.origin != "flowbuilder":
            there.setdefault(each.name, []).append(each)
    wanted = arguments.name or list(there)
    for name in wanted:
        if name not in there:
            raise NotFound("plug-in", name, "`flowbuilder plugins list` shows those there are")
    found = {name: [what for each in there[name] for what in _problems(each)] for name in wanted}
    if arguments.json:
        data(as_json({"plugins": [{"name": name, "problems": problems} for name, problems in found.items()]}))
    else:
        for name, problems in found.items():
            data(f"{name}: {'fine' if not problems else ''}".rstrip())
            for problem in problems:
                data(f"  - {problem}")
        if not found:
            say("there are no plug-ins to check")
    return FAILED if any(found.values()) else DONE


def _problems(plugin: Provided) -> list[str]:
    if plugin.why:
        return [f"it cannot be used: {plugin.why}"]
    if plugin.kind != "tasks":
        return []
    from flowbuilder.testing.plugin_check import check_task_type  # start-up time: as above

    return asyncio.run(check_task_type(plugin.made, Path.cwd()))
