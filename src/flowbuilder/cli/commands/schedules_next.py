"""`flowbuilder schedules next`."""

from __future__ import annotations

import datetime as dt
import itertools
import sys
from typing import TYPE_CHECKING

from flowbuilder.cli.command import JSON, STORE, Command, Option
from flowbuilder.cli.exits import DONE
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.results import as_json
from flowbuilder.cli.schedules import FOLDER, NAME, distance, schedules_of, waits_for
from flowbuilder.cli.tables import show_table
from flowbuilder.cli.terminal import data, say
from flowbuilder.runtime.views import iso

if TYPE_CHECKING:
    import argparse

COMMAND = Command(
    name="schedules next",
    summary="Show the next moments of a trigger",
    description=(
        "Each moment is shown in the trigger's zone, with what clocks do on that day: a time that is left out, "
        "or that comes twice."
    ),
    arguments=(NAME,),
    options=(
        Option(("--count", "-n"), "So many", "N", takes="integer", default="10"),
        Option(("--from",), "From this moment on, in place of the present", "MOMENT"),
        FOLDER,
        STORE,
        JSON,
    ),
    examples=(
        ("See what a change of the clocks does", "flowbuilder schedules next nightly --from 2026-03-27 -n 5"),
    ),
)


def run(arguments: argparse.Namespace) -> int:
    """Print moments."""
    if arguments.count < 1:
        raise UsageError("--count is 1 or more", COMMAND.name)
    _, schedules = schedules_of(arguments)
    schedule = schedules.one(arguments.name)
    trigger = schedule.armed.trigger
    after = None
    if (given := getattr(arguments, "from")) is not None:
        after = moment_of(given, trigger.timezone, "--from", COMMAND.name) - 0.001
    moments = list(itertools.islice(schedule.moments(after), arguments.count))
    if arguments.json:
        shown = [{"at": iso(one.at), "local": one.local, "notes": list(one.notes)} for one in moments]
        data(as_json({"name": schedule.name, "timezone": trigger.timezone, "moments": shown}))
        return DONE
    if not moments:
        say(f"{schedule.name} waits for no time: {waits_for(trigger)}")
        return DONE
    rows = [(one.local, iso(one.at)[:19] + "Z", distance(one.at), "; ".join(one.notes)) for one in moments]  # type: ignore[index]
    show_table(sys.stdout, (trigger.timezone, "UTC", "from now", "note"), rows)
    if schedule.status != "on":
        say(f"{schedule.name} is {schedule.status}: nothing is started")
    return DONE


def moment_of(text: str, timezone: str, option: str, command: str) -> float:
    """Return a moment that was typed: a date, or a date and time; without an offset in a zone.

    Raises:
        UsageError: it is none.
    """
    import zoneinfo  # start-up time: only where a moment was typed

    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} takes a moment such as 2026-01-05 or 2026-01-05T06:00, and not '{text}'", command
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zoneinfo.ZoneInfo(timezone))
    return moment.timestamp()
