"""`flowbuilder limits`, in full `flowbuilder limits list`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.cli.command import JSON, STORE, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.results import format_time
from flowbuilder.cli.tables import show_table
from flowbuilder.cli.terminal import data, say
from flowbuilder.cli.workspace import reader_here, workspace_at
from flowbuilder.core.durations import format_size

if TYPE_CHECKING:
    import argparse

    from flowbuilder.runtime.limit_states import LimitState

COMMAND = Command(
    name="limits list",
    summary="List rate limits, circuit breakers, queues and the places of flows, with their state",
    description=(
        "`flowbuilder limits` alone does the same. Figures are those that the store knows: what an engine uses of "
        "a queue or of its machine it tells about once a second."
    ),
    options=(
        Option(
            ("--kind",),
            "Only limits of this kind",
            "KIND",
            choices=("rate", "breaker", "queue", "resources", "concurrency", "debounce"),
        ),
        STORE,
        JSON,
    ),
    examples=(
        ("Which breakers are open", "flowbuilder limits list --kind breaker"),
        ("For another program", "flowbuilder limits list --json | jq '.limits[] | select(.waiting > 0)'"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Print limits as a table, or as an object."""
    from flowbuilder.cli.results import as_json as to_text  # start-up time: help needs no store
    from flowbuilder.runtime.limit_states import as_json

    config = workspace_at(Path.cwd(), arguments.store).config
    with reader_here(arguments.store) as reader:
        found = reader.limits(config)
    if arguments.kind:
        found = [each for each in found if each.kind == arguments.kind]
    if arguments.json:
        data(to_text({"limits": [as_json(each) for each in found]}))
        return DONE
    if not found:
        say("no limit is in use")
        return DONE
    now = time.time()
    header = ("kind", "key", "state", "used", "limit", "waiting", "next", "note")
    rows = [_row(each, now) for each in found]
    show_table(sys.stdout, header, rows, numbers=frozenset({"used", "limit", "waiting"}))
    return DONE


def _row(each: LimitState, now: float) -> tuple[str, ...]:
    size = each.kind == "resources" and each.key.startswith("memory")
    used = "" if each.used is None else _figure(each.used, size=size)
    limit = "" if each.limit is None else _figure(each.limit, size=size)
    waiting = str(each.waiting) if each.waiting else ""
    next_at = "" if each.next_at is None else f"in {format_time(max(0.0, each.next_at - now))}"
    return each.kind, each.key, each.state, used, limit, waiting, next_at, each.about


def _figure(number: float, *, size: bool) -> str:
    return format_size(int(number)) if size else f"{number:g}"
