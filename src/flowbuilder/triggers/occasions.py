"""The moments of a trigger: which calendar they are of, and how each is named and seen."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING

from flowbuilder.core.calendar import Calendar, Every
from flowbuilder.core.cron import Cron
from flowbuilder.core.triggers import CronTrigger, EveryTrigger, Timing

if TYPE_CHECKING:
    from flowbuilder.core.plan import TriggerPlan


def calendar_of(trigger: TriggerPlan) -> Calendar | None:
    """Return the moments of a trigger; None for one that waits for something else than time."""
    match trigger.kind:
        case CronTrigger(text):
            return Cron(text, trigger.timezone)
        case EveryTrigger(seconds, anchor):
            return Every(seconds, anchor)
        case _:
            return None


def timing_of(trigger: TriggerPlan) -> Timing:
    """Return how a trigger of moments deals with those that it missed."""
    assert isinstance(trigger.kind, CronTrigger | EveryTrigger)
    return trigger.kind.timing


def occasion_of(moment: float) -> str:
    """Return a moment as a part of a run's key."""
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat().replace("+00:00", "Z")


def in_zone(moment: float, timezone: str) -> dt.datetime:
    """Return a moment as expressions see it."""
    zone = dt.UTC if timezone == "UTC" else zoneinfo.ZoneInfo(timezone)
    return dt.datetime.fromtimestamp(moment, zone)
