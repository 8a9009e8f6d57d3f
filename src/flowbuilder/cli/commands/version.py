"""`flowbuilder version`."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from flowbuilder import __version__
from flowbuilder.cli.command import JSON, Command
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.terminal import data

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="version",
    summary="Show the version of FlowBuilder, Python and SQLite",
    options=(JSON,),
    examples=(("For a report of what is wrong", "flowbuilder version --json"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Print the versions that a bug report needs."""
    import apsw  # start-up time: the driver is needed by no other small command
    import msgspec

    versions = {
        "flowbuilder": __version__,
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "platform": platform.platform(),
    }
    if arguments.json:
        data(msgspec.json.encode(versions).decode())
    else:
        data("\n".join(f"{name} {version}" for name, version in versions.items()))
    return DONE
