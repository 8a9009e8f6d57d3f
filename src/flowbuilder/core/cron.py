"""Moments that a cron expression names, in a time zone.

What happens when clocks are put forward or back is Debian cron's rule, which
people know.  A job at fixed times (neither minute nor hour begins with `*`)
runs once a day that has it: where its time falls into the hour that is left
out, at the first moment behind it; where its time comes twice, at the first
of both.  Any other runs whenever the clock on the wall shows a time that fits.
"""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo
from typing import Final

from cronsim import CronSim, CronSimError

NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS: Final = ("minute", "hour", "day of the month", "month", "day of the week")
_RANGES: Final = {
    "second": "0 to 59",
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day of the month": "1 to 31, or L for the last",
    "month": "1 to 12, or JAN to DEC",
    "day of the week": "0 to 7 or SUN to SAT, where 0 and 7 are Sunday",
}
_NAIVE: Final = dt.datetime(2000, 1, 1)
_EPOCH: Final = dt.datetime(1970, 1, 1)
_STEP: Final = dt.timedelta(minutes=1)
_SECOND: Final = dt.timedelta(seconds=1)
_WEEK: Final = 7 * 86400
_LONGEST_GAP: Final = 2 * 24 * 60
"""Minutes; a zone has left out a whole day when it changed sides of the date line."""


class CronError(ValueError):
    """A text is no cron expression; says which part of it."""


class Cron:
    """A cron expression of five fields, or of six with seconds in front, in a zone.

    Raises:
        CronError: it is none, or no moment ever fits it.
    """

    __slots__ = ("_fixed", "_sim", "_zone", "text", "timezone")

    def __init__(self, text: str, timezone: str = "UTC") -> None:
        self.text = text
        self.timezone = timezone
        self._zone = _zone(timezone)
        fields = fields_of(text)
        self._sim = _parse(fields)
        self._fixed = not fields[-5].startswith("*") and not fields[-4].startswith("*")

    def after(self, moment: float) -> float | None:
        """Return the first moment behind one, in seconds since 1970 UTC; None if there is none."""
        return self._fixed_after(moment) if self._fixed else self._shown_after(moment)

    def names(self, local: dt.datetime) -> bool:
        """Tell whether the clock on the wall shows a time that the expression names, at a moment in its zone."""
        shown = local.replace(tzinfo=None, fold=0)
        return next(self._from(shown - _SECOND), None) == shown

    def _fixed_after(self, moment: float) -> float | None:
        """Go through the times that a calendar without a zone has, and place each in ours."""
        local = dt.datetime.fromtimestamp(moment // 1, self._zone).replace(tzinfo=None, fold=0)
        for time in self._from(local):
            found = self._placed(time)
            if found > moment:  # where clocks went back, later times than this have been shown before
                return found
        return None

    def _placed(self, time: dt.datetime) -> float:
        """Return when the clock on the wall shows a time first, or would have shown it."""
        placed = time.replace(tzinfo=self._zone)
        for _ in range(_LONGEST_GAP):
            moment = placed.timestamp()
            if dt.datetime.fromtimestamp(moment, self._zone).replace(tzinfo=None, fold=0) == time:
                return moment
            time = (time + _STEP).replace(second=0)
            placed = time.replace(tzinfo=self._zone)
        return placed.timestamp()

    def _shown_after(self, moment: float) -> float | None:
        """Go through the times that the clock on the wall shows, from one change of it to the next."""
        at = int(moment // 1)
        local, offset = self._wall(at)
        while True:
            time = next(self._from(local), None)
            if time is None:
                return None
            found = int((time - _EPOCH).total_seconds()) - offset
            change = self._change(at, found, offset)
            if change is None:
                return float(found)
            at = change
            local, offset = self._wall(at)
            local -= _SECOND  # the first moment of the new offset counts too

    def _wall(self, at: int) -> tuple[dt.datetime, int]:
        """Return what the clock on the wall shows at a moment, and how far it is ahead of UTC, in seconds."""
        shown = dt.datetime.fromtimestamp(at, self._zone).replace(tzinfo=None, fold=0)
        return shown, int((shown - _EPOCH).total_seconds()) - at

    def _change(self, after: int, until: int, offset: int) -> int | None:
        """Return the first moment with another offset, behind `after` and not behind `until`."""
        while after < until:
            ahead = min(after + _WEEK, until)  # no zone has gone forth and back within a week
            if self._wall(ahead)[1] != offset:
                while ahead - after > 1:
                    middle = (after + ahead) // 2
                    if self._wall(middle)[1] == offset:
                        after = middle
                    else:
                        ahead = middle
                return ahead
            after = ahead
        return None

    def _from(self, start: dt.datetime) -> CronSim:
        """Return what yields times behind one; parsed once, for ten thousand schedules ask again and again."""
        sim = self._sim
        sim.dt = start.replace(microsecond=0)
        return sim


def fields_of(text: str) -> list[str]:
    """Return the fields of an expression, a nickname such as `@daily` written out."""
    fields = text.upper().split()
    if len(fields) == 1 and (named := NICKNAMES.get(text.strip().lower())):
        fields = named.split()
    if len(fields) not in (5, 6):
        raise CronError(
            f"has {len(fields)} fields, and a cron expression has five (minute, hour, day of the month, month, "
            "day of the week), or six with seconds in front"
        )
    return fields


def _parse(fields: list[str]) -> CronSim:
    """Return an expression's times, begun at a naive one: what clocks do is our own concern."""
    try:
        sim = CronSim(" ".join(fields), _NAIVE)
        next(sim)
    except StopIteration:
        raise CronError("never comes: no day fits it") from None
    except (CronSimError, ValueError) as error:
        raise CronError(_problem(fields, str(error))) from None
    return sim


def _problem(fields: list[str], why: str) -> str:
    """Say which field is wrong, and what it takes."""
    names = _FIELDS if len(fields) == 5 else ("second", *_FIELDS)
    for name, field in zip(names, fields, strict=True):
        alone = ["0", "0", "*", "*", "*"] if len(fields) == 5 else ["0", "0", "0", "*", "*", "*"]
        alone[names.index(name)] = field
        try:
            CronSim(" ".join(alone), _NAIVE)
        except (CronSimError, ValueError):
            hint = "; any is `*`" if field == "?" else ""
            return f"has '{field.lower()[:40]}' as {name}, which goes from {_RANGES[name]}{hint}"
    if "Bad day-of-month" in why:
        return "never comes: no month has that day"
    return f"cannot be read: {why}"


@functools.lru_cache(maxsize=256)
def _zone(name: str) -> dt.tzinfo:
    return dt.UTC if name == "UTC" else zoneinfo.ZoneInfo(name)
