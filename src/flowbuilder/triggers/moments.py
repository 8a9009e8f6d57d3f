"""Moments as people read them: in their zone, with what clocks do on that day."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from flowbuilder.core.cron import Cron
from flowbuilder.triggers.occasions import in_zone

if TYPE_CHECKING:
    from flowbuilder.core.calendar import Calendar


class Moment(msgspec.Struct, frozen=True):
    """One moment of a schedule."""

    at: float
    """Seconds since 1970 UTC."""
    local: str
    """ISO 8601 in the schedule's zone."""
    notes: tuple[str, ...] = ()
    """What clocks do on that day, if they do anything."""


def upcoming(calendar: Calendar, timezone: str, after: float) -> Iterator[Moment]:
    """Yield the moments behind one, without end where the schedule has none."""
    before = in_zone(after, timezone).utcoffset()
    moment = calendar.after(after)
    while moment is not None:
        local = in_zone(moment, timezone)
        yield Moment(moment, local.isoformat(), tuple(_notes(calendar, local, before)))
        before = local.utcoffset()
        moment = calendar.after(moment)


def _notes(calendar: Calendar, local: dt.datetime, before: dt.timedelta | None) -> Iterator[str]:
    ahead = local.utcoffset()
    assert ahead is not None
    if before is not None and ahead != before:
        way = "forward" if ahead > before else "back"
        yield f"clocks have gone {way} by {_length(abs(ahead - before))}: UTC{_offset(ahead)} from here on"
    if isinstance(calendar, Cron) and not calendar.names(local):
        yield "its own time is left out on this day"
    other = local.replace(fold=1 - local.fold)
    if isinstance(local.tzinfo, zoneinfo.ZoneInfo) and other.utcoffset() != ahead:
        there = dt.datetime.fromtimestamp(other.timestamp(), local.tzinfo)
        if there.replace(tzinfo=None, fold=0) == local.replace(tzinfo=None, fold=0):
            yield f"this time comes twice on this day; this is the {'second' if local.fold else 'first'}"


def _length(delta: dt.timedelta) -> str:
    minutes = int(delta.total_seconds()) // 60
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


def _offset(delta: dt.timedelta) -> str:
    minutes = int(delta.total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
