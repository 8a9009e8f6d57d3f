"""Triggers of moments: each is seen to once, whatever becomes of engines and clocks."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Config, Engine
from flowbuilder.core import values
from flowbuilder.runtime.encryption import new_key
from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing import pass_time

if TYPE_CHECKING:
    from flowbuilder.storage.api import RunRow
    from flowbuilder.testing import FakeClock
    from flowbuilder.triggers.happenings import Happening

HOUR = 3600.0
DAY = 86400.0


def write(folder: Path, trigger: str, *, name: str = "beat", tasks: str = "", more: str = "") -> Path:
    path = folder / f"{name}.yaml"
    tasks = tasks or "  a: {type: set, with: '${{ trigger.scheduled_at }}'}\n"
    path.write_text(f"flow: {name}\n{more}triggers:\n{trigger}tasks:\n{tasks}")
    return path


async def moments(engine: Engine) -> list[str]:
    """The scheduled moments of all runs that there are, oldest first."""
    rows = await engine.runs(RunFilter(limit=10_000))
    return [about(row)["scheduled_at"].isoformat() for row in reversed(rows)]


def about(row: RunRow) -> dict[str, Any]:
    assert row.about is not None
    found: dict[str, Any] = values.decode(row.about)["trigger"]
    return found


def store_of(store: MemoryStore) -> MemoryStore:
    """Another engine's view of the same store."""
    return MemoryStore(store.place)


async def test_each_moment_starts_one_run_that_knows_it(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "  - cron: '0 6 * * *'\n    timezone: Europe/Berlin\n    name: daily\n")
    await engine.up(tmp_path, watch=False)

    await pass_time(engine, clock, 3 * DAY)

    assert await moments(engine) == [f"2026-01-0{day}T06:00:00+01:00" for day in (1, 2, 3)]
    row = (await engine.runs())[0]
    assert row.key == "daily@2026-01-03T05:00:00Z"
    assert about(row)["type"] == "cron"
    assert about(row)["name"] == "daily"
    assert about(row)["by"] == "schedule"
    shown = await engine.show(row.id)
    assert shown.tasks["a"].output == dt.datetime(2026, 1, 3, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "trigger", ["every: 1h", "{every: 1h, overlap: queue}", "file: inbox/*", "flow: first"]
)
async def test_a_trigger_goes_on_when_the_key_is_there_that_was_missing(
    clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trigger: str
) -> None:
    monkeypatch.delenv("FLOWBUILDER_ENCRYPTION_KEY", raising=False)
    sensitive = "inputs: {pin: {type: string, sensitive: true, default: '1'}}\n"
    write(tmp_path, f"  - {trigger}\n", more=sensitive, tasks="  a: {type: set, with: 1}\n")
    (tmp_path / "first.yaml").write_text("flow: first\ntasks: {a: {type: set, with: 1}}\n")
    (tmp_path / "inbox").mkdir()
    told: list[Happening] = []
    async with Engine(tmp_path / "store.db", Config(), clock=clock) as engine:
        await engine.up(tmp_path, watch=False, on=told.append)
        (tmp_path / "inbox" / "a.csv").write_text("1")
        await (await engine.start(tmp_path / "first.yaml")).wait(20)
        await pass_time(engine, clock, HOUR)
        for _ in range(3):
            await engine.projects[0].reload()
            await pass_time(engine, clock, 60)
        assert await engine.runs(RunFilter(flow="beat")) == []
        assert any("FLOWBUILDER_ENCRYPTION_KEY" in one.message for one in told if one.what == "warning")

        monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", new_key())
        for _ in range(14):
            await pass_time(engine, clock, 5)
        assert len(await engine.runs(RunFilter(flow="beat"))) == 1


async def test_inputs_labels_and_priority_come_from_the_trigger(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(
        tmp_path,
        "  - every: 1h\n    labels: {by: clock}\n    priority: 80\n"
        "    with: {day: '${{ trigger.scheduled_at | date }}'}\n",
        more="inputs: {day: {type: string, format: date}}\nlabels: {team: x}\n",
        tasks="  a: {type: set, with: '${{ inputs.day }}'}\n",
    )
    await engine.up(tmp_path, watch=False)

    await pass_time(engine, clock, HOUR)

    (row,) = await engine.runs()
    assert row.labels == {"team": "x", "by": "clock"}
    assert row.priority == 80
    assert (await engine.show(row.id)).inputs == {"day": dt.date(2026, 1, 1)}


async def test_an_engine_that_comes_back_makes_up_for_the_last_moment_only(
    clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "  - every: 1h\n")

    ran = await _over_a_night(clock, tmp_path)

    assert ran == ["2026-01-01T01:00:00+00:00", "2026-01-01T11:00:00+00:00", "2026-01-01T12:00:00+00:00"]


@pytest.mark.parametrize(
    ("policy", "hours"),
    [
        ("catch_up: none", [1, 12]),
        ("catch_up: last", [1, 11, 12]),
        ("catch_up: all", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        ("catch_up: all\n    catch_up_most: 3", [1, 9, 10, 11, 12]),
        ("catch_up: all\n    catch_up_window: 4h", [1, 8, 9, 10, 11, 12]),
        ("catch_up: last\n    catch_up_window: 10m", [1, 12]),
    ],
)
async def test_what_was_missed_is_made_up_for_as_the_policy_says(
    clock: FakeClock, tmp_path: Path, policy: str, hours: list[int]
) -> None:
    write(tmp_path, f"  - every: 1h\n    {policy}\n")

    ran = await _over_a_night(clock, tmp_path)

    assert ran == [f"2026-01-01T{hour:02}:00:00+00:00" for hour in hours]


async def _over_a_night(clock: FakeClock, folder: Path) -> list[str]:
    """An engine for an hour, none for ten and a half, one again for an hour."""
    store = MemoryStore()
    async with Engine(":memory:", Config(), clock=clock, store=store) as engine:
        await engine.up(folder, watch=False)
        await pass_time(engine, clock, HOUR)
    clock.advance(10.5 * HOUR)
    async with Engine(":memory:", Config(), clock=clock, store=store_of(store)) as engine:
        await engine.up(folder, watch=False)
        await pass_time(engine, clock, HOUR)
        return await moments(engine)


async def test_a_machine_that_slept_for_a_day_makes_up_as_the_policy_says(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "  - cron: '0 * * * *'\n    catch_up: all\n    catch_up_most: 2\n")
    told: list[Happening] = []
    project = await engine.up(tmp_path, watch=False, on=told.append)

    clock.advance(DAY + 1)
    await project.settled()

    assert await moments(engine) == ["2026-01-01T23:00:00+00:00", "2026-01-02T00:00:00+00:00"]
    assert [one.message for one in told if one.what == "skipped"] == [
        "moments from 2026-01-01T01:00:00+00:00 on were missed; 2 made up for"
    ]


async def test_a_clock_that_is_set_forward_loses_no_moment_and_fires_none_twice(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "  - cron: '0 * * * *'\n    catch_up: all\n")
    await engine.up(tmp_path, watch=False)
    await pass_time(engine, clock, 1.5 * HOUR)

    clock.set(clock.now() + 2 * HOUR)
    await pass_time(engine, clock, HOUR)

    assert await moments(engine) == [f"2026-01-01T0{hour}:00:00+00:00" for hour in (1, 2, 3, 4)]


async def test_a_clock_that_is_set_back_a_little_fires_nothing_twice(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "  - cron: '0 * * * *'\n")
    await engine.up(tmp_path, watch=False)
    await pass_time(engine, clock, 2.5 * HOUR)

    clock.set(clock.now() - 2 * HOUR)
    await pass_time(engine, clock, 3.5 * HOUR)

    assert await moments(engine) == [f"2026-01-01T0{hour}:00:00+00:00" for hour in (1, 2, 3, 4)]


async def test_a_clock_that_was_years_ahead_leaves_no_schedule_silent(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "  - cron: '0 * * * *'\n")
    project = await engine.up(tmp_path, watch=False)
    start = clock.now()
    clock.set(start + 4 * 365 * DAY)
    clock.advance(61)
    await project.settled()
    ahead = len(await moments(engine))

    clock.set(start + 122)
    clock.advance(61)
    await project.settled()
    await pass_time(engine, clock, 2 * HOUR)

    assert ahead == 1
    assert (await moments(engine))[1:] == [f"2026-01-01T0{hour}:00:00+00:00" for hour in (1, 2)]


async def test_two_engines_on_one_store_start_each_moment_once(clock: FakeClock, tmp_path: Path) -> None:
    write(tmp_path, "  - every: 1h\n    catch_up: all\n")
    store = MemoryStore()
    async with (
        Engine(":memory:", Config(), clock=clock, store=store) as one,
        Engine(":memory:", Config(), clock=clock, store=store_of(store)) as other,
    ):
        await one.up(tmp_path, watch=False)
        await other.up(tmp_path, watch=False)
        for _ in range(5):
            clock.advance(HOUR)
            for engine in (one, other):
                await pass_time(engine, clock, 0)

        assert await moments(one) == [f"2026-01-01T0{hour}:00:00+00:00" for hour in range(1, 6)]


async def test_a_trigger_with_other_moments_begins_anew(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "  - cron: '30 * * * *'\n    catch_up: all\n")
    project = await engine.up(tmp_path, watch=False)
    await pass_time(engine, clock, 0.75 * HOUR)

    write(tmp_path, "  - cron: '40 * * * *'\n    catch_up: all\n")
    await project.reload()
    await pass_time(engine, clock, HOUR)

    assert await moments(engine) == ["2026-01-01T00:30:00+00:00", "2026-01-01T01:40:00+00:00"]


async def test_a_disabled_trigger_starts_nothing(engine: Engine, clock: FakeClock, tmp_path: Path) -> None:
    write(tmp_path, "  - every: 1h\n    enabled: false\n")
    await engine.up(tmp_path, watch=False)

    await pass_time(engine, clock, 5 * HOUR)

    assert await engine.runs() == []


async def test_a_condition_that_does_not_hold_starts_nothing(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "  - every: 1h\n    if: hour(trigger.scheduled_at) % 2 == 0\n")
    await engine.up(tmp_path, watch=False)

    await pass_time(engine, clock, 4 * HOUR)

    assert await moments(engine) == ["2026-01-01T02:00:00+00:00", "2026-01-01T04:00:00+00:00"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("${{ [1][year(trigger.scheduled_at)] }}", "expression."),
        ("${{ 'x' + str(hour(trigger.scheduled_at)) }}", "$.n"),
    ],
)
async def test_inputs_that_cannot_be_had_are_seen_as_a_failed_run(
    engine: Engine, clock: FakeClock, tmp_path: Path, given: str, says: str
) -> None:
    write(
        tmp_path,
        f'  - every: 1h\n    with: {{n: "{given}"}}\n',
        more="inputs: {n: {type: integer}}\n",
        tasks="  a: {type: set, with: '${{ inputs.n }}'}\n",
    )
    await engine.up(tmp_path, watch=False)

    await pass_time(engine, clock, 2 * HOUR)

    rows = await engine.runs()
    assert [row.status for row in rows] == ["failed", "failed"]
    shown = await engine.show(rows[0].id)
    assert shown.error is not None
    assert shown.error["kind"] == "input"
    assert "trigger 'every-1'" in shown.error["message"]
    assert says in shown.error["message"]


async def test_a_key_of_its_own_makes_moments_share_a_run(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "  - every: 1h\n    key: ${{ trigger.scheduled_at | date }}\n")
    await engine.up(tmp_path, watch=False)

    await pass_time(engine, clock, 25 * HOUR)

    assert [row.key for row in await engine.runs()] == ["2026-01-02", "2026-01-01"]


SLOW = "  a: {type: sleep, with: {for: 100m}}\n"


@pytest.mark.parametrize(
    ("overlap", "began", "ended"),
    [
        ("allow", [1, 2, 3, 4, 5, 6], {"succeeded"}),
        ("skip", [1, 3, 5], {"succeeded"}),
        ("queue", [1, 2, 3, 4], {"succeeded"}),
        ("cancel", [1, 2, 3, 4, 5, 6], {"cancelled"}),
    ],
)
async def test_a_moment_while_the_run_before_is_live_is_treated_as_the_trigger_says(
    engine: Engine, clock: FakeClock, tmp_path: Path, overlap: str, began: list[int], ended: set[str]
) -> None:
    write(tmp_path, f"  - every: 1h\n    overlap: {overlap}\n", tasks=SLOW)
    await engine.up(tmp_path, watch=False)

    await pass_time(engine, clock, 6.5 * HOUR)

    assert await moments(engine) == [f"2026-01-01T0{hour}:00:00+00:00" for hour in began]
    live = ("running", "waiting")
    assert {row.status for row in await engine.runs() if row.status not in live} == ended
    if overlap != "allow":
        assert sum(row.status in live for row in await engine.runs()) == 1


async def test_a_queue_outlives_the_engine(clock: FakeClock, tmp_path: Path) -> None:
    write(tmp_path, "  - every: 1h\n    overlap: queue\n", tasks=SLOW)
    store = MemoryStore()
    async with Engine(":memory:", Config(), clock=clock, store=store) as engine:
        await engine.up(tmp_path, watch=False)
        await pass_time(engine, clock, 2.1 * HOUR)
    async with Engine(":memory:", Config(), clock=clock, store=store_of(store)) as engine:
        await engine.up(tmp_path, watch=False)
        await pass_time(engine, clock, 0.7 * HOUR)

        assert await moments(engine) == ["2026-01-01T01:00:00+00:00", "2026-01-01T02:00:00+00:00"]


async def test_jitter_puts_the_start_off_and_not_the_moment(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "  - every: 1h\n    jitter: 30m\n")
    await engine.up(tmp_path, watch=False)

    await pass_time(engine, clock, 24.6 * HOUR)

    rows = [row for row in await engine.runs(RunFilter(limit=100))]
    delays = [row.created_at - about(row)["scheduled_at"].timestamp() for row in rows]
    assert len(rows) == 24
    assert all(0 <= delay < 1800 for delay in delays)
    assert len({round(delay) for delay in delays}) > 12
