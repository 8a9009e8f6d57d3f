"""`flowbuilder cache list`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from flowbuilder.cli.caches import CHOICE, chosen
from flowbuilder.cli.command import JSON, STORE, Command
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.results import as_json
from flowbuilder.cli.tables import show_table
from flowbuilder.cli.terminal import data
from flowbuilder.cli.workspace import reader_here
from flowbuilder.core.durations import format_duration
from flowbuilder.runtime.views import iso

if TYPE_CHECKING:
    import argparse

    from flowbuilder.core.cache import Entry
    from flowbuilder.storage.api import Fact

COMMAND = Command(
    name="cache list",
    summary="List outputs that are kept for later executions with the same key",
    description="`size` is what the output takes; `expires` is how long it still counts.",
    options=(*CHOICE, STORE, JSON),
    examples=(("What is kept of one task", "flowbuilder cache list --flow rates --task fetch"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Print what is kept and has not expired."""
    now = time.time()
    with reader_here(arguments.store) as reader:
        found = [
            (fact, entry)
            for fact, entry in chosen(reader.facts(), arguments)
            if fact.expires_at is None or fact.expires_at > now
        ]
    if arguments.json:
        data(as_json({"outputs": [_as_object(fact, entry) for fact, entry in found]}))
        return DONE
    rows = [_row(fact, entry, now) for fact, entry in found]
    columns = ("flow", "task", "scope", "size", "kept", "expires", "key")
    show_table(sys.stdout, columns, rows, numbers=frozenset({"size"}))
    return DONE


def _row(fact: Fact, entry: Entry, now: float) -> tuple[str, ...]:
    left = (
        "never"
        if fact.expires_at is None
        else "in " + format_duration(float(round(fact.expires_at - now)) or 1.0)
    )
    kept = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.at))
    return entry.flow, entry.task, entry.scope, f"{entry.size:,}", kept, left, entry.key


def _as_object(fact: Fact, entry: Entry) -> dict[str, object]:
    return {
        "flow": entry.flow,
        "task": entry.task,
        "scope": entry.scope,
        "key": entry.key,
        "run_id": entry.run_id,
        "size": entry.size,
        "kept_at": iso(entry.at),
        "expires_at": iso(fact.expires_at),
    }
