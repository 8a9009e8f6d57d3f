"""`flowbuilder runs delete`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flowbuilder.cli.choosing import CHOICE, choose, count_of, in_batches
from flowbuilder.cli.command import SOME_RUNS, STORE, Command, Option
from flowbuilder.cli.exits import DONE, FAILED
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.results import ENDED_STATUSES
from flowbuilder.cli.terminal import complain, say
from flowbuilder.cli.workspace import reader_here
from flowbuilder.storage.api import LIVE, RunFilter

if TYPE_CHECKING:
    import argparse

    from flowbuilder.sdk.reader import Reader
    from flowbuilder.storage.api import RunRow

COMMAND = Command(
    name="runs delete",
    summary="Delete ended runs, with their journals, logs and outputs",
    description="A run that has not ended is refused, or left out of a choice: cancel it first.",
    arguments=(SOME_RUNS,),
    options=(
        Option(
            ("--older-than",),
            "Instead of RUN: all that ended longer ago than this",
            "DURATION",
            takes="duration",
        ),
        *CHOICE,
        STORE,
    ),
    examples=(
        ("Keep a week", "flowbuilder runs delete --older-than 7d"),
        ("What was cancelled", "flowbuilder runs delete --status cancelled --yes"),
    ),
)

_PAGE = 500


def run(arguments: argparse.Namespace) -> int:
    """Delete the runs that were named, those of an age, or a choice."""
    if arguments.older_than is not None and (arguments.run or arguments.flow or arguments.status):
        raise UsageError("--older-than stands alone", COMMAND.name, "`--until` chooses runs by their start")
    reader = reader_here(arguments.store)
    if arguments.older_than is not None:
        rows: list[RunRow] | None = _ended_before(reader, time.time() - arguments.older_than)
    else:
        rows = choose(arguments, reader, COMMAND.name, "delete", ENDED_STATUSES)
    if rows is None:
        return DONE
    if live := [row.id for row in rows if row.status in LIVE]:
        complain(f"not ended yet: {', '.join(live)}", "`flowbuilder runs cancel` ends a run")
        return FAILED
    count = sum(reader.delete([row.id for row in batch]) for batch in in_batches(rows, "deleting"))
    say(f"deleted {count_of(range(count))}")
    return DONE


def _ended_before(reader: Reader, moment: float) -> list[RunRow]:
    """Return all runs that ended before a moment."""
    found: list[RunRow] = []
    before = None
    while True:
        page = reader.runs(RunFilter(status=ENDED_STATUSES, until=moment, before=before, limit=_PAGE))
        found += [row for row in page if row.ended_at is not None and row.ended_at < moment]
        if len(page) < _PAGE:
            return found
        before = page[-1].id
