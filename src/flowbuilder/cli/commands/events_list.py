"""`flowbuilder events list`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from flowbuilder.cli.command import STORE, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.results import as_json
from flowbuilder.cli.terminal import data
from flowbuilder.cli.workspace import reader_here
from flowbuilder.core import values
from flowbuilder.runtime.views import iso

if TYPE_CHECKING:
    import argparse

    from flowbuilder.sdk.reader import Reader
    from flowbuilder.storage.events import Event

COMMAND = Command(
    name="events list",
    summary="List events, oldest first",
    description="Signals are not among them: they are of one run. Events are kept for `events.keep`.",
    options=(
        Option(("--name",), "Only events of this name", "NAME", repeated=True),
        Option(("--since",), "Only events since then", "MOMENT", takes="moment"),
        Option(("--limit", "-n"), "The newest so many", "N", takes="integer", default="50"),
        Option(("--follow", "-f"), "Go on with those that come, until Ctrl-C"),
        STORE,
        Option(("--json",), "Print one JSON object a line"),
    ),
    examples=(("Follow what is paid", "flowbuilder events list --name order.paid --follow"),),
)

_EVERY = 0.2


def run(arguments: argparse.Namespace) -> int:
    """Print those that are there, and those that come."""
    if arguments.limit < 1:
        raise UsageError("--limit is 1 or more", COMMAND.name)
    names = tuple(arguments.name)
    with reader_here(arguments.store) as reader:
        seen = _show(reader, arguments.json, names, since=arguments.since, limit=arguments.limit)
        while arguments.follow:
            time.sleep(_EVERY)
            seen = _show(reader, arguments.json, names, after=seen) or seen
    return DONE


def _show(reader: Reader, json: bool, names: tuple[str, ...], **which: Any) -> int:
    """Print events; return the number of the last."""
    last = 0
    for event in reader.events(*names, **which):
        data(as_json(_as_object(event)) if json else _as_line(event))
        last = event.number
    sys.stdout.flush()
    return last


def _as_object(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "name": event.name,
        "at": iso(event.at),
        "source": event.source,
        "payload": values.to_json(values.decode(event.payload)),
    }


def _as_line(event: Event) -> str:
    moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.at))
    payload = as_json(values.to_json(values.decode(event.payload)))
    source = f"  ({event.source})" if event.source else ""
    return f"{moment}  {event.name}  {payload}{source}"
