"""`flowbuilder runs list`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.cli.command import JSON, STORE, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.labels import label_option, read_labels
from flowbuilder.cli.next_steps import typed
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.results import ENDED_STATUSES, as_json, format_time
from flowbuilder.cli.tables import show_table
from flowbuilder.cli.terminal import data, say
from flowbuilder.cli.waits import until, waits_for
from flowbuilder.cli.workspace import reader_here, store_here
from flowbuilder.core.durations import format_duration
from flowbuilder.runtime.views import iso
from flowbuilder.storage.api import LIVE_STATUSES, RunFilter
from flowbuilder.storage.lanes import waits_its_turn

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from flowbuilder.sdk.reader import Reader
    from flowbuilder.storage.api import RunRow

MOST_LOOKED_AT: Final = 100
"""Runs of a page whose journals are read for what they wait for."""
COMMAND = Command(
    name="runs list",
    summary="List runs, newest first",
    options=(
        Option(("--flow",), "Only runs of this flow", "NAME"),
        Option(
            ("--status",),
            "Only runs that stand so",
            "STATUS",
            choices=(*LIVE_STATUSES, *ENDED_STATUSES),
            repeated=True,
        ),
        Option(("--parent",), "Only runs that this one has started", "RUN", takes="run"),
        label_option("Only runs that have this label; of several all"),
        Option(("--since",), "Only runs that were started since then", "MOMENT", takes="moment"),
        Option(("--until",), "Only runs that were started before then", "MOMENT", takes="moment"),
        Option(("--before",), "Only runs older than this one: the next page", "RUN", takes="run"),
        Option(("--limit", "-n"), "At most so many", "N", takes="integer", default="20"),
        Option(("--ids",), "Print ids only, one a line"),
        STORE,
        JSON,
    ),
    examples=(
        ("What failed today", "flowbuilder runs list --status failed --since 1d"),
        ("The runs of one team", "flowbuilder runs list --label team=reports"),
        (
            "Delete what was cancelled",
            "flowbuilder runs list --status cancelled --ids | xargs flowbuilder runs delete",
        ),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Print a page of runs."""
    if arguments.limit < 1:
        raise UsageError("--limit is 1 or more", COMMAND.name)
    reader = reader_here(arguments.store)
    rows = reader.runs(
        RunFilter(
            flow=arguments.flow,
            status=tuple(arguments.status),
            since=arguments.since,
            until=arguments.until,
            parent=None if arguments.parent is None else reader.row(arguments.parent).id,
            before=arguments.before,
            limit=arguments.limit,
            labels=read_labels(arguments.label, COMMAND.name),
        )
    )
    if arguments.json:
        data(as_json({"runs": [_as_object(row) for row in rows]}))
    elif arguments.ids:
        data("\n".join(row.id for row in rows))
    else:
        columns = ("run", "flow", "status", "started", "took", "waits")
        found = list(zip((_row(row) for row in rows), _waits(reader, rows), strict=True))
        some = any(waits for _, waits in found)  # a column that says something
        shown = [(*row, waits) if some else row for row, waits in found]
        show_table(sys.stdout, columns if some else columns[:-1], shown, numbers=frozenset({"took"}))
        if len(rows) == arguments.limit:
            say(f"older ones: {typed(f'runs list --before {rows[-1].id}', store_here(arguments.store))}")
    return DONE


def _waits(reader: Reader, rows: Sequence[RunRow]) -> Iterator[str]:
    """Yield what each run waits for; of very many only until when."""
    looked_at = 0
    for row in rows:
        if waits_its_turn(row):
            yield "for its turn" + ("" if row.wake_at is None else f", {until(row.wake_at)}")
        elif row.status != "waiting" or looked_at >= MOST_LOOKED_AT:
            yield until(row.wake_at) if row.status == "waiting" and row.wake_at is not None else ""
        else:
            looked_at += 1
            yield _what_it_waits_for(reader, row)


def _what_it_waits_for(reader: Reader, row: RunRow) -> str:
    view = reader.show(row.id)
    waits = [
        f"{path} {about.removeprefix('waits ')}"
        for path, task in (*view.tasks.items(), *view.elements.items())
        if (about := waits_for(task))
    ]
    return "; ".join(waits[:1]) + (f"; and {len(waits) - 1} more" if len(waits) > 1 else "")


def _row(row: RunRow) -> tuple[str, str, str, str, str]:
    began = row.started_at or row.created_at
    took = format_time(row.ended_at - began) if row.ended_at is not None else ""
    return row.id, row.flow, row.status, _ago(time.time() - began), took


def _ago(seconds: float) -> str:
    """Return how long ago something was, in its largest unit."""
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= unit:
            return f"{seconds // unit:.0f}{name} ago"
    return f"{format_duration(max(round(seconds), 0))} ago"


def _as_object(row: RunRow) -> dict[str, Any]:
    return {
        "run_id": row.id,
        "flow": row.flow,
        "status": row.status,
        "key": row.key,
        "priority": row.priority,
        "created_at": iso(row.created_at),
        "started_at": iso(row.started_at),
        "ended_at": iso(row.ended_at),
        "wake_at": iso(row.wake_at),
        "parent": row.parent,
        "labels": row.labels,
    }
