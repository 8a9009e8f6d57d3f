"""`flowbuilder runs logs`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from flowbuilder.cli.command import RUN, STORE, Argument, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.results import as_json, task_of
from flowbuilder.cli.terminal import data, is_rich
from flowbuilder.cli.workspace import reader_here
from flowbuilder.core import values
from flowbuilder.storage.api import LIVE

if TYPE_CHECKING:
    import argparse

    from flowbuilder.sdk.reader import Reader
    from flowbuilder.storage.api import Log

COMMAND = Command(
    name="runs logs",
    summary="Show what a run's tasks have written",
    arguments=(
        RUN,
        Argument("TASK", "Only what this task wrote", takes="task", count="optional"),
    ),
    options=(
        Option(("--follow", "-f"), "Go on until the run has ended"),
        STORE,
        Option(("--json",), "Print one JSON object a line"),
    ),
    examples=(("What one task writes, as it comes", "flowbuilder runs logs 01K7 fetch --follow"),),
)

_EVERY = 0.2
_COLOURS = {"debug": "2", "warning": "33", "error": "31"}


def run(arguments: argparse.Namespace) -> int:
    """Print the lines that are there, and those that come."""
    reader = reader_here(arguments.store)
    row = reader.row(arguments.run)
    seen = _print_new(reader, row.id, arguments, 0)
    if arguments.task and not seen:
        task_of(reader.show(row.id), arguments.task)
    while arguments.follow:
        live = reader.row(row.id).status in LIVE
        if live:
            time.sleep(_EVERY)
        seen = _print_new(reader, row.id, arguments, seen)
        if not live:
            break
    return DONE


def _print_new(reader: Reader, run_id: str, arguments: argparse.Namespace, after: int) -> int:
    """Print the lines behind number `after`; return the number of the last."""
    for number, line in reader.logs(run_id, None, after):
        if arguments.task and not _is_of(line.task, arguments.task):
            continue
        data(
            as_json(_as_object(line))
            if arguments.json
            else _as_line(line, with_task=line.task != arguments.task)
        )
        after = number
    sys.stdout.flush()
    return after


def _is_of(path: str, task: str) -> bool:
    """Tell whether a path is a task's, or lies inside of it: one of its elements, or a task of its graph."""
    return path == task or (path.startswith(task) and path[len(task)] in "[.#!")


def _as_object(line: Log) -> dict[str, Any]:
    detail = values.decode(line.data) if line.data else None
    return {"at": line.at, "task": line.task, "level": line.level, "message": line.message, "data": detail}


def _as_line(line: Log, *, with_task: bool) -> str:
    moment = time.strftime("%H:%M:%S", time.localtime(line.at)) + f".{int(line.at % 1 * 1000):03d}"
    task = f"{line.task}  " if with_task else ""
    detail = "  " + as_json(values.decode(line.data)) if line.data else ""
    text = f"{moment}  {task}{line.message}{detail}"
    if is_rich(sys.stdout):
        colour = _COLOURS.get(line.level)
        return f"\x1b[{colour}m{text}\x1b[0m" if colour else text
    return text if line.level == "info" else f"{moment}  {task}{line.level}: {line.message}{detail}"
