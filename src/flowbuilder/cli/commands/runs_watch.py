"""`flowbuilder runs watch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.cli.command import JSON, QUIET, STORE, Argument, Command, Option
from flowbuilder.cli.results import exit_code, show_result
from flowbuilder.cli.workspace import reader_here, store_here
from flowbuilder.core.errors import NotFound
from flowbuilder.storage.api import LIVE_STATUSES, RunFilter

if TYPE_CHECKING:
    import argparse

    from flowbuilder.sdk.reader import Reader

COMMAND = Command(
    name="runs watch",
    summary="Follow a run to its end",
    description=(
        "The exit code is that of the run, as for `flowbuilder run`. Ctrl-C stops watching; the run goes on."
    ),
    arguments=(Argument("RUN", "The run; the newest live one unless given", takes="run", count="optional"),),
    options=(
        Option(
            ("--timeout",), "Wait this long at most; then the exit code is 8", "DURATION", takes="duration"
        ),
        STORE,
        JSON,
        QUIET,
    ),
    examples=(("The newest live run, for a minute at most", "flowbuilder runs watch --timeout 1m"),),
)


def run(arguments: argparse.Namespace) -> int:
    """Wait for a run's end and show it."""
    from flowbuilder.cli.watching import watch  # start-up time: brings the event loop

    reader = reader_here(arguments.store)
    run_id = arguments.run or _newest(reader)
    view, interrupted = watch(
        reader, run_id, timeout=arguments.timeout, shown=not arguments.quiet, cancels=False
    )
    show_result(view, store_here(arguments.store), json=arguments.json, quiet=arguments.quiet)
    return exit_code(view, interrupted=interrupted)


def _newest(reader: Reader) -> str:
    rows = reader.runs(RunFilter(status=LIVE_STATUSES, limit=1))
    if not rows:
        raise NotFound("live run", "", "`flowbuilder runs list` shows those that have ended")
    return rows[0].id
