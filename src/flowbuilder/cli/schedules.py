"""What the commands about schedules share."""

from __future__ import annotations

import getpass
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.cli.command import Argument, Option
from flowbuilder.cli.terminal import say
from flowbuilder.cli.workspace import Workspace, workspace_at
from flowbuilder.core.triggers import words_for
from flowbuilder.runtime.views import iso
from flowbuilder.sdk.schedules import Schedule, Schedules

if TYPE_CHECKING:
    import argparse

    from flowbuilder.core.plan import TriggerPlan

NAME: Final = Argument("NAME", "The trigger: flow/trigger, the flow, or the trigger's own name")
NAMES: Final = Argument(
    "NAME", "Triggers: flow/trigger, the flow for all of it, or a trigger's own name", count="some"
)
FOLDER: Final = Option(
    ("--folder",), "Where the flows lie, in place of the project", "FOLDER", takes="folder"
)


def schedules_of(arguments: argparse.Namespace) -> tuple[Workspace, Schedules]:
    """Return the workspace of a command about schedules, and the schedules in it."""
    start = Path(arguments.folder) if arguments.folder else Path.cwd()
    workspace = workspace_at(start, arguments.store)
    folder = start if arguments.folder else workspace.project
    return workspace, Schedules(workspace.store, folder, workspace.config.limits.for_compiler())


def who() -> str:
    """Return the name of whoever types."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid()) if hasattr(os, "getuid") else "somebody"


def tell_of_broken(schedules: Schedules) -> None:
    """Name the files that could not be read."""
    for path, why in schedules.broken.items():
        say(f"{path} is left out: {why.splitlines()[0] if why else 'it is broken'}")


def waits_for(trigger: TriggerPlan) -> str:
    """Return what a trigger waits for, in words."""
    return words_for(trigger.kind, trigger.timezone)


def as_object(schedule: Schedule) -> dict[str, Any]:
    """Return the object that `--json` prints; its shape is stable."""
    progress, pause = schedule.progress, schedule.pause
    following = next(schedule.moments(), None) if schedule.status == "on" else None
    return {
        "name": schedule.name,
        "flow": schedule.armed.plan.name,
        "trigger": schedule.armed.trigger.name,
        "kind": schedule.armed.kind,
        "when": waits_for(schedule.armed.trigger),
        "timezone": schedule.armed.trigger.timezone,
        "status": schedule.status,
        "paused": None if pause is None else {"by": pause.by, "at": iso(pause.at), "reason": pause.reason},
        "next": None if following is None else following.local,
        "last_run": None if progress is None else progress.run,
        "last_run_at": None if progress is None else iso(progress.fired_at),
        "runs": 0 if progress is None else progress.runs,
        "skipped": 0 if progress is None else progress.skipped,
        "queued": 0 if progress is None else len(progress.queue),
        "file": schedule.armed.file,
    }


def distance(moment: float) -> str:
    """Return how far a moment is from now, in its largest units."""
    seconds = moment - time.time()
    sign, seconds = ("in ", seconds) if seconds >= 0 else ("", -seconds)
    text = f"{seconds:.0f}s"
    for unit, name, smaller, below in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= unit:
            rest = int(seconds % unit // smaller)
            text = f"{int(seconds // unit)}{name}" + (f"{rest}{below}" if rest else "")
            break
    return sign + text if sign else f"{text} ago"
