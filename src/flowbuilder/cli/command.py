"""What a command is: data, from which parser, help, completion and reference are made.

Not typer or click: the parser stands on the way of every `flowbuilder run`,
whose whole time from start to exit is to be 130 ms.  Beside what an engine
imports anyhow, typer costs 40 to 75 ms, click 10 to 25 ms, argparse 2 ms
(by the clock, on two cores of a small server).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    import argparse
    from types import ModuleType

Values = Literal["text", "file", "folder", "integer", "duration", "moment", "run", "task"]
"""What an option or argument takes; completion offers files and runs.  A moment is told by how long ago
it was, or as a date and time."""


class Argument(msgspec.Struct, frozen=True):
    """Something that stands at its place."""

    name: str
    help: str
    takes: Values = "text"
    count: Literal["one", "optional", "any", "some"] = "one"
    """`any` may be none, `some` is one at least."""
    choices: tuple[str, ...] = ()


class Option(msgspec.Struct, frozen=True):
    """Something that is named: `--store PATH`, `-f`."""

    names: tuple[str, ...]
    help: str
    value: str | None = None
    """What stands for its value in the help; None: a switch."""
    takes: Values = "text"
    choices: tuple[str, ...] = ()
    default: str | None = None
    repeated: bool = False

    @property
    def field(self) -> str:
        """Return the name that its value is found by."""
        long = next((name for name in self.names if name.startswith("--")), self.names[0])
        return long.lstrip("-").replace("-", "_")


class Command(msgspec.Struct, frozen=True):
    """A command, and all that a user may be told about it."""

    name: str
    """With its group: `runs list`."""
    summary: str
    """One line without a full stop."""
    description: str = ""
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    examples: tuple[tuple[str, str], ...] = ()
    """(what it does, how it is typed) pairs."""


FLOW: Final = Argument(
    "FILE", "The flow, in YAML or JSON; in Python: `flows.py:report` or `package.module:report`", takes="file"
)
RUN: Final = Argument("RUN", "The run's id, or enough of its beginning", takes="run")
SOME_RUNS: Final = Argument(
    "RUN", "The runs' ids, or enough of their beginnings; none with a choice below", takes="run", count="any"
)
RUNS: Final = Argument("RUN", "The runs' ids, or enough of their beginnings", takes="run", count="any")
QUIET: Final = Option(("--quiet", "-q"), "Say nothing but errors")
STORE: Final = Option(("--store",), "The store's file, in place of the project's", "PATH", takes="file")
PROFILE: Final = Option(
    ("--profile",),
    "The profile of flowbuilder.toml that gives config and connections, in place of FLOWBUILDER_PROFILE",
    "NAME",
)
JSON: Final = Option(("--json",), "Print one JSON object, the same in every release")

TABLE: Final[Mapping[str, str]] = {
    "run": "run",
    "validate": "validate",
    "explain": "explain",
    "graph": "graph",
    "schema": "schema",
    "plugins list": "plugins_list",
    "plugins new": "plugins_new",
    "plugins check": "plugins_check",
    "test": "test",
    "up": "up",
    "backfill": "backfill",
    "schedules list": "schedules_list",
    "schedules next": "schedules_next",
    "schedules pause": "schedules_pause",
    "schedules resume": "schedules_resume",
    "schedules trigger": "schedules_trigger",
    "runs list": "runs_list",
    "runs show": "runs_show",
    "runs watch": "runs_watch",
    "runs logs": "runs_logs",
    "runs cancel": "runs_cancel",
    "runs export": "runs_export",
    "runs import": "runs_import",
    "runs pause": "runs_pause",
    "runs rerun": "runs_rerun",
    "runs fork": "runs_fork",
    "runs priority": "runs_priority",
    "runs delete": "runs_delete",
    "runs resume": "runs_resume",
    "cache list": "cache_list",
    "cache clear": "cache_clear",
    "limits list": "limits_list",
    "limits reset": "limits_reset",
    "signal": "signal",
    "events emit": "events_emit",
    "events list": "events_list",
    "approvals list": "approvals_list",
    "approvals show": "approvals_show",
    "approvals approve": "approvals_approve",
    "approvals reject": "approvals_reject",
    "connections list": "connections_list",
    "connections test": "connections_test",
    "keys new": "keys_new",
    "doctor": "doctor",
    "config": "config",
    "version": "version",
    "completion": "completion",
}
"""Every command and the module of `cli.commands` that has its `COMMAND` and its `run`."""

GROUPS: Final[Mapping[str, str]] = {
    "plugins": "See what plug-ins there are, make and check them",
    "runs": "Look at runs, and act on them",
    "cache": "Look at outputs that are kept, and clear them",
    "limits": "See what bounds tasks and flows, and how it stands",
    "events": "Emit events, and see which there were",
    "approvals": "See what is to be decided, and decide it",
    "connections": "Look at what flows connect to, and try it",
    "keys": "Keys for what is sensitive",
    "schedules": "Look at triggers, and act on them",
}


ALONE: Final[Mapping[str, str]] = {"limits": "limits list"}
"""What a group does that is named alone."""


def module_of(name: str) -> ModuleType:
    """Import a command's module: only the one that is asked for, for start-up time."""
    return importlib.import_module(f"flowbuilder.cli.commands.{TABLE[name]}")


def command_of(name: str) -> Command:
    """Return what a command is."""
    found: Command = module_of(name).COMMAND
    return found


def carry_out(name: str, arguments: argparse.Namespace) -> int:
    """Do a command and return the exit code."""
    code: int = module_of(name).run(arguments)
    return code
