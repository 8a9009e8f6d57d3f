"""Dates, datetimes (always with an offset) and durations.

Zones come from the `tzdata` package where the machine's would differ: so a
flow means the same everywhere.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import zoneinfo
from typing import Any

from flowbuilder.core.durations import parse_duration
from flowbuilder.core.functions.support import (
    Budget,
    charge,
    integer,
    kind_of,
    number,
    text,
    too_much,
    wrong_type,
    wrong_value,
)

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DATETIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|z|[+-]\d{2}:?\d{2})?", re.ASCII
)
_DIRECTIVES = re.compile(r"%(.?)")
_UNITS = ("year", "month", "week", "day", "hour", "minute", "second")


@functools.lru_cache(maxsize=64)
def zone(name: str) -> dt.tzinfo:
    """Return a time zone by its name, such as `Europe/Berlin`, or an offset such as `+02:00`."""
    if len(name) > 100:
        wrong_value("there is no time zone with so long a name")
    if name in ("UTC", "Z"):
        return dt.UTC
    if re.fullmatch(r"[+-]\d{2}:\d{2}", name):
        hours, minutes = int(name[1:3]), int(name[4:6])
        offset = dt.timedelta(hours=hours, minutes=minutes)
        if offset < dt.timedelta(days=1):
            return dt.timezone(-offset if name[0] == "-" else offset)
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return wrong_value("there is no such time zone; write for example 'Europe/Berlin' or '+02:00'")


def now(context: Any) -> dt.datetime:
    """Return the moment when the task became ready, in the flow's time zone."""
    return dt.datetime.fromtimestamp(context.moment, dt.UTC).astimezone(zone(context.timezone))


def today(context: Any, zone_name: Any = None) -> dt.date:
    """Return the day of `now()`, in the flow's time zone or another."""
    moment = now(context)
    return (moment if zone_name is None else moment.astimezone(zone(text(zone_name, "'today'")))).date()


def date(value: Any, month: Any = None, day: Any = None) -> dt.date:
    """Return a date: of a text such as `2026-01-05`, of a datetime in its own zone, of three numbers."""
    if month is not None or day is not None:
        parts = [integer(part, "'date'") for part in (value, month, day)]
        try:
            return dt.date(*parts)
        except (ValueError, OverflowError):
            return wrong_value("there is no such date")
    if type(value) is dt.date:
        return value
    if type(value) is dt.datetime:
        return value.date()
    plain = _short(value, "'date'")
    if _DATE.fullmatch(plain):
        try:
            return dt.date.fromisoformat(plain)
        except ValueError:
            return wrong_value("there is no such date")
    if _DATETIME.fullmatch(plain):
        try:
            return dt.datetime.fromisoformat(plain).date()
        except ValueError:
            return wrong_value("there is no such date")
    return wrong_value("a date is written as 2026-01-05")


def datetime(value: Any, zone_name: Any = None) -> dt.datetime:
    """Return a datetime: of a text in ISO 8601, of a date (its midnight), of seconds since 1970.

    A text without an offset, and a date, need a zone.
    """
    place = None if zone_name is None else zone(text(zone_name, "'datetime'"))
    if type(value) is dt.datetime:
        return value if place is None else value.astimezone(place)
    if type(value) is dt.date:
        return dt.datetime.combine(value, dt.time(), place or _needs_zone())
    if type(value) is int or type(value) is float:
        try:
            return dt.datetime.fromtimestamp(value, place or dt.UTC)
        except (ValueError, OverflowError, OSError):
            return too_much("a moment out of range")
    plain = _short(value, "'datetime'")
    if _DATE.fullmatch(plain):
        return dt.datetime.combine(date(plain), dt.time(), place or _needs_zone())
    if not _DATETIME.fullmatch(plain):
        return wrong_value("a datetime is written as 2026-01-05T12:00:00Z")
    try:
        made = dt.datetime.fromisoformat(plain)
    except ValueError:
        return wrong_value("there is no such moment")
    if made.tzinfo is None:
        return made.replace(tzinfo=place or _needs_zone())
    return made if place is None else made.astimezone(place)


def _short(value: Any, what: str) -> str:
    """Return a text without white space around it, which cannot be what is asked for if it is long."""
    if len(text(value, what)) > 1000:
        wrong_value(f"{what} takes a text of at most 1,000 characters")
    return value.strip()  # type: ignore[no-any-return]


def _needs_zone() -> dt.tzinfo:
    return wrong_value("a datetime without an offset needs a zone: `datetime(x, 'Europe/Berlin')`")


def duration(value: Any) -> dt.timedelta:
    """Return a duration: of a text such as `1h30m` or `PT10S`, of a number of seconds."""
    if type(value) is dt.timedelta:
        return value
    try:
        if type(value) is int or type(value) is float:
            return dt.timedelta(seconds=value)
        return dt.timedelta(seconds=parse_duration(_short(value, "'duration'")))
    except OverflowError:
        return too_much("a duration out of range")
    except ValueError:
        return wrong_value("a duration is written as 250ms, 10s, 1h30m, 2d or PT10S")


def _span(**parts: Any) -> dt.timedelta:
    try:
        return dt.timedelta(**parts)
    except OverflowError:
        return too_much("a duration out of range")


def days(count: Any) -> dt.timedelta:
    """Return so many days: added to a datetime, calendar days in its zone."""
    return _span(days=number(count, "'days'"))


def hours(count: Any) -> dt.timedelta:
    """Return so many hours."""
    return _span(hours=number(count, "'hours'"))


def minutes(count: Any) -> dt.timedelta:
    """Return so many minutes."""
    return _span(minutes=number(count, "'minutes'"))


def seconds(count: Any) -> Any:
    """Return so many seconds as a duration; of a duration its seconds as a number."""
    if type(count) is dt.timedelta:
        return count.total_seconds()
    return _span(seconds=number(count, "'seconds'"))


def in_zone(value: Any, zone_name: Any) -> dt.datetime:
    """Return the same moment in another time zone."""
    return _moment(value, "'in_zone'").astimezone(zone(text(zone_name, "'in_zone'")))


def format_date(budget: Budget, value: Any, pattern: Any = "%Y-%m-%d") -> str:
    """Return a date or datetime as text, by `%Y %m %d %H %M %S %f %j %y %B %b %A %a %p %I %z %Z %V %u %%`.

    Names are English on every machine.
    """
    moment = value if type(value) is dt.datetime else None
    day = value.date() if moment is not None else value
    if type(day) is not dt.date:
        return wrong_type(f"'format_date' takes a date or datetime, not {kind_of(value)}")
    if len(text(pattern, "'format_date'")) > 1000:
        wrong_value("'format_date' takes a pattern of at most 1,000 characters")
    charge(budget, 20 * pattern.count("%") + 1)
    return _DIRECTIVES.sub(lambda found: _directive(found[1], day, moment), pattern)


_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def _directive(letter: str, day: dt.date, moment: dt.datetime | None) -> str:
    time = moment or dt.datetime.combine(day, dt.time())
    offset = time.utcoffset()
    made = {
        "Y": f"{day.year:04d}",
        "y": f"{day.year % 100:02d}",
        "m": f"{day.month:02d}",
        "d": f"{day.day:02d}",
        "j": f"{day.timetuple().tm_yday:03d}",
        "H": f"{time.hour:02d}",
        "I": f"{(time.hour + 11) % 12 + 1:02d}",
        "M": f"{time.minute:02d}",
        "S": f"{time.second:02d}",
        "f": f"{time.microsecond:06d}",
        "p": "AM" if time.hour < 12 else "PM",
        "B": _MONTHS[day.month - 1],
        "b": _MONTHS[day.month - 1][:3],
        "A": _DAYS[day.weekday()],
        "a": _DAYS[day.weekday()][:3],
        "V": f"{day.isocalendar().week:02d}",
        "G": f"{day.isocalendar().year:04d}",
        "u": str(day.isoweekday()),
        "z": "" if offset is None else _offset(offset),
        "Z": time.tzname() or "",
        "%": "%",
    }.get(letter)
    return made if made is not None else wrong_value(f"'format_date' has no directive '%{letter}'")


def _offset(offset: dt.timedelta) -> str:
    total = int(offset.total_seconds()) // 60
    return f"{'-' if total < 0 else '+'}{abs(total) // 60:02d}{abs(total) % 60:02d}"


def start_of(value: Any, unit: Any) -> Any:
    """Return the start of the year, month, week (Monday), day, hour, minute or second of a moment."""
    if text(unit, "'start_of'") not in _UNITS:
        wrong_value(f"'start_of' takes one of {', '.join(_UNITS)}")
    if type(value) is dt.date:
        if unit in ("hour", "minute", "second"):
            wrong_type(f"a date has no {unit}; make it a datetime first")
        return _start_of_day(value, unit)
    moment = _moment(value, "'start_of'")
    match unit:
        case "second":
            return moment.replace(microsecond=0)
        case "minute":
            return moment.replace(second=0, microsecond=0)
        case "hour":
            return moment.replace(minute=0, second=0, microsecond=0)
    return dt.datetime.combine(_start_of_day(moment.date(), unit), dt.time(), moment.tzinfo)


def _start_of_day(day: dt.date, unit: str) -> dt.date:
    match unit:
        case "year":
            return day.replace(month=1, day=1)
        case "month":
            return day.replace(day=1)
        case "week":
            return day - dt.timedelta(days=day.weekday())
        case _:
            return day


def timestamp(value: Any) -> float:
    """Return a moment as seconds since 1970 UTC."""
    return _moment(value, "'timestamp'").timestamp()


def _moment(value: Any, what: str) -> dt.datetime:
    if type(value) is dt.datetime:
        return value
    return wrong_type(f"{what} takes a datetime, not {kind_of(value)}")


def _day(value: Any, what: str) -> dt.date:
    if type(value) is dt.date or type(value) is dt.datetime:
        return value
    return wrong_type(f"{what} takes a date or datetime, not {kind_of(value)}")


def year(value: Any) -> int:
    """Return the year of a date or datetime."""
    return _day(value, "'year'").year


def month(value: Any) -> int:
    """Return the month of a date or datetime, 1 to 12."""
    return _day(value, "'month'").month


def day(value: Any) -> int:
    """Return the day of the month of a date or datetime."""
    return _day(value, "'day'").day


def weekday(value: Any) -> int:
    """Return the day of the week: 1 is Monday, 7 Sunday."""
    return _day(value, "'weekday'").isoweekday()


def hour(value: Any) -> int:
    """Return the hour of a datetime."""
    return _moment(value, "'hour'").hour


def minute(value: Any) -> int:
    """Return the minute of a datetime."""
    return _moment(value, "'minute'").minute


def second(value: Any) -> int:
    """Return the second of a datetime."""
    return _moment(value, "'second'").second
