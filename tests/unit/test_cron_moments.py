"""Cron moments, compared with a plain oracle that goes through every minute of years."""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo

import pytest

from flowbuilder.core.calendar import Every, between, jitter
from flowbuilder.core.cron import Cron, CronError

YEARS = {
    "UTC": 2026,
    "Europe/Berlin": 2026,
    "America/New_York": 2026,
    "America/Sao_Paulo": 2018,
    "Australia/Lord_Howe": 2025,
    "Asia/Beirut": 2026,
    "Asia/Kathmandu": 1986,
    "Pacific/Apia": 2011,
    "Africa/Casablanca": 2026,
    "America/Havana": 2026,
    "America/St_Johns": 2006,
    "Africa/Monrovia": 1972,
}
"""Zones whose clocks are changed by an hour, by half of one, at midnight, by a day, by 44 minutes and 30 seconds."""
FIXED = ["30 2 * * *", "0 0 * * *", "15,45 1,2,3 * * *", "59 23 L * *", "0 3 * * 0", "30 1 1-7 * MON"]
SHOWN = ["*/15 * * * *", "0 */2 * * *", "30 * * * *", "* 2 * * SUN"]


def times(text: str, start: dt.datetime, end: dt.datetime) -> set[dt.datetime]:
    """Times of a calendar without a zone that an expression fits, worked out field by field."""
    fields = text.split()

    def fits(field: str, value: int, names: tuple[str, ...] = (), last: int = 0) -> bool:
        for part in field.split(","):
            if part == "L":
                if value == last:
                    return True
                continue
            body, _, step = part.partition("/")
            if body == "*":
                if value % int(step or 1) == 0:
                    return True
                continue
            low, _, high = body.partition("-")
            lowest = names.index(low) if low in names else int(low)
            highest = (names.index(high) if high in names else int(high)) if high else lowest
            if lowest <= value <= highest:
                return True
        return False

    days = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
    found = set()
    time = start
    while time < end:
        month_end = (time.replace(day=28) + dt.timedelta(days=4)).replace(day=1) - dt.timedelta(days=1)
        of_month = fits(fields[2], time.day, last=month_end.day)
        of_week = fits(fields[4], (time.weekday() + 1) % 7, days)
        both = fields[2].startswith("*") or fields[4].startswith("*")
        if (
            fits(fields[3], time.month)
            and ((of_month and of_week) if both else (of_month or of_week))
            and fits(fields[1], time.hour)
            and fits(fields[0], time.minute)
        ):
            found.add(time)
        time += dt.timedelta(minutes=1)
    return found


@functools.cache
def shown_by(zone_name: str, start: float, end: float) -> dict[dt.datetime, list[float]]:
    """Go through all minutes of the world's clock, and read the clock on the wall at each."""
    zone = zoneinfo.ZoneInfo(zone_name)
    shown: dict[dt.datetime, list[float]] = {}
    step = 30 if zone_name == "Africa/Monrovia" else 60
    minute = start
    while minute < end:
        wall = dt.datetime.fromtimestamp(minute, zone).replace(tzinfo=None, fold=0)
        shown.setdefault(wall, []).append(minute)
        minute += step
    return shown


def oracle(text: str, zone_name: str, start: float, end: float) -> list[float]:
    zone = zoneinfo.ZoneInfo(zone_name)
    day = dt.timedelta(days=2)
    naive = times(
        text,
        dt.datetime.fromtimestamp(start, zone).replace(tzinfo=None, fold=0, second=0) - day,
        dt.datetime.fromtimestamp(end, zone).replace(tzinfo=None, fold=0, second=0) + day,
    )
    shown = shown_by(zone_name, start - 2 * 86400, end + 2 * 86400)
    found: set[float] = set()
    if text.split()[0].startswith("*") or text.split()[1].startswith("*"):
        for time in naive:
            found.update(shown.get(time, ()))
    else:
        walls = sorted(shown)
        for time in naive:
            if walls[0] < time < walls[-1]:
                at = time
                while at not in shown:
                    at += dt.timedelta(minutes=1)
                found.add(min(shown[at]))
    return sorted(moment for moment in found if start < moment <= end)


@functools.cache
def changes(zone_name: str) -> list[float]:
    """Midnights before the clocks of a zone change, in its year."""
    zone = zoneinfo.ZoneInfo(zone_name)
    start = dt.datetime(YEARS[zone_name], 1, 1, tzinfo=dt.UTC).timestamp()
    days = [start + number * 86400 for number in range(366)]
    ahead = [dt.datetime.fromtimestamp(day, zone).utcoffset() for day in days]
    return [day for day, now, then in zip(days, ahead, ahead[1:], strict=False) if now != then] or days[:1]


def window(year: int, month: int) -> tuple[float, float]:
    start = dt.datetime(year, month, 1, tzinfo=dt.UTC).timestamp()
    return start, start + 42 * 86400


@pytest.mark.parametrize("zone", list(YEARS))
@pytest.mark.parametrize("text", [*FIXED, *SHOWN])
def test_moments_are_those_of_a_clock_that_is_read_every_minute(text: str, zone: str) -> None:
    cron = Cron(text, zone)
    for change in changes(zone):
        start, end = change - 2 * 86400, change + 3 * 86400
        found = []
        moment = cron.after(start)
        while moment is not None and moment <= end:
            found.append(moment)
            moment = cron.after(moment)

        assert found == oracle(text, zone, start, end)


def test_a_moment_far_ahead_is_found_across_changes_of_the_clock() -> None:
    start = dt.datetime(2026, 2, 1, tzinfo=dt.UTC).timestamp()

    found = Cron("*/30 4 15 11 *", "Europe/Berlin").after(start)

    assert found == dt.datetime(2026, 11, 15, 4, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")).timestamp()


@pytest.mark.parametrize("year", range(2020, 2031))
def test_half_past_two_comes_once_on_the_days_when_clocks_change(year: int) -> None:
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    cron = Cron("30 2 * * *", "Europe/Berlin")
    start = dt.datetime(year, 1, 1, tzinfo=zone).timestamp()
    end = dt.datetime(year + 1, 1, 1, tzinfo=zone).timestamp()

    moments = between(cron, start, end - 1, 1000)

    days = [dt.datetime.fromtimestamp(moment, zone) for moment in moments]
    assert len({day.date() for day in days}) == len(days) == (366 if year % 4 == 0 else 365)
    odd = [day for day in days if (day.hour, day.minute) != (2, 30)]
    assert [(day.month, day.hour, day.minute) for day in odd] == [(3, 3, 0)]
    assert all(day.fold == 0 for day in days)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_seconds_in_front_follow_the_same_rule(zone: str) -> None:
    start, end = window(2026, 3)

    with_seconds = between(Cron("10 30 2 * * *", zone), start, end, 1000)
    without = between(Cron("30 2 * * *", zone), start, end, 1000)

    assert [int(moment) // 86400 for moment in with_seconds] == [int(moment) // 86400 for moment in without]
    shifted = [a - b for a, b in zip(with_seconds, without, strict=True)]
    assert set(shifted) <= {10.0, 0.0}
    assert shifted.count(0.0) == 1


def test_asking_between_moments_gives_the_same_ones() -> None:
    cron = Cron("*/7 1-3 * * *", "Europe/Berlin")
    start, end = window(2026, 10)
    moments = between(cron, start, end, 10_000)

    for before, moment in zip([start, *moments], moments, strict=False):
        assert cron.after(before) == moment
        assert cron.after(moment - 0.25) == moment
        assert cron.after((before + moment) / 2) == moment


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("60 * * * *", "'60' as minute"),
        ("* 24 * * *", "'24' as hour"),
        ("* * 32 * *", "'32' as day of the month"),
        ("* * * 13 *", "'13' as month"),
        ("* * * * 9", "'9' as day of the week"),
        ("* * * * MOO", "'moo' as day of the week"),
        ("*/0 * * * *", "'*/0' as minute"),
        ("0 0 30 2 *", "no month has that day"),
        ("61 * * * * *", "'61' as second"),
        ("@dayly", "has 1 fields"),
        ("x" * 1000 + " * * * *", "as minute"),
    ],
)
def test_what_is_no_expression_is_said_field_by_field(text: str, says: str) -> None:
    with pytest.raises(CronError, match=says.replace("*", r"\*")):
        Cron(text)


def test_nicknames_mean_what_cron_means() -> None:
    start = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC).timestamp()

    assert Cron("@hourly").after(start) == start + 3600
    assert Cron("@daily").after(start) == start + 12 * 3600
    assert Cron("@weekly").after(start) == dt.datetime(2026, 1, 4, tzinfo=dt.UTC).timestamp()


def test_intervals_go_on_from_their_anchor_and_never_give_a_moment_twice() -> None:
    every = Every(0.1, anchor=1_767_225_600.05)
    moment = 1_767_225_600.0
    seen = []
    for _ in range(10_000):
        following = every.after(moment)
        assert following > moment
        seen.append(following)
        moment = following

    assert seen[-1] - seen[0] == pytest.approx(999.9)
    assert Every(600.0).after(1_767_225_599.0) == 1_767_225_600.0
    assert Every(600.0, anchor=2e9).after(1_767_225_599.0) == pytest.approx(1_767_225_800.0)


def test_the_newest_of_many_missed_moments_are_found_without_going_through_all() -> None:
    asked = 0

    class Counting(Every):
        __slots__ = ()

        def after(self, moment: float) -> float:
            nonlocal asked
            asked += 1
            return super().after(moment)

    now = 1_767_225_600.0
    moments = between(Counting(1.0), now - 30 * 86400, now, 5)

    assert moments == [now - 4, now - 3, now - 2, now - 1, now]
    assert asked < 1000
    assert between(Every(60.0), now - 150, now, 100) == [now - 120, now - 60, now]
    assert between(Every(60.0), now, now, 100) == []
    assert between(Every(60.0), now - 150, now, 0) == []


def test_jitter_is_the_same_for_everybody_and_spread_out() -> None:
    found = [jitter("a/b", moment, 60.0) for moment in range(0, 60_000, 60)]

    assert found == [jitter("a/b", moment, 60.0) for moment in range(0, 60_000, 60)]
    assert all(0.0 <= delay < 60.0 for delay in found)
    assert 25.0 < sum(found) / len(found) < 35.0
    assert jitter("a/b", 60, 60.0) != jitter("a/c", 60, 60.0)
