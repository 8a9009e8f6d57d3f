"""`overlap` in several engines of one store: they decide by what the store says, once for each moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine
from flowbuilder.core import values
from flowbuilder.storage.api import LIVE_STATUSES, RunFilter
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing import FakeClock, pass_time

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder.triggers.happenings import Happening

NOON = 1_767_225_600.0
MINUTE = 60.0


def write(folder: Path, overlap: str, lasts: str) -> Path:
    (folder / "beat.yaml").write_text(f"""
flow: beat
triggers: [{{every: 1h, name: hourly, overlap: {overlap}}}]
tasks: {{a: {{type: sleep, with: {{for: {lasts}}}}}}}
""")
    return folder


async def hours_of_two(folder: Path, hours: int, *, behind: float) -> tuple[list[str], list[Happening], int]:
    """Let two engines go on, the clock of one behind; the moments that had runs, what was told, the most at once."""
    store = MemoryStore()
    told: list[Happening] = []
    clocks = FakeClock(NOON), FakeClock(NOON - behind)
    most = 0
    async with (
        Engine(":memory:", Config(), store=store, clock=clocks[0], secrets={}) as one,
        Engine(":memory:", Config(), store=MemoryStore(store.place), clock=clocks[1], secrets={}) as other,
    ):
        for engine in (one, other):
            await engine.up(folder, watch=False, on=told.append)
        for _ in range(hours * 12):
            for engine, clock in zip((one, other), clocks, strict=True):
                await pass_time(engine, clock, 5 * MINUTE)
                live = await engine.runs(RunFilter(flow="beat", status=LIVE_STATUSES))
                most = max(most, len(live))
        rows = await one.runs(RunFilter(limit=1000))
    about = [values.decode(row.about or b"\x80") for row in reversed(rows)]
    return [one["trigger"]["scheduled_at"].strftime("%H:%M") for one in about], told, most


async def test_what_one_engine_has_left_out_no_other_starts(tmp_path: Path) -> None:
    """The run of an hour ends while the next hour has struck in one engine, and not yet in the other."""
    folder = write(tmp_path, "skip", "65m")

    moments, told, most = await hours_of_two(folder, 6, behind=10 * MINUTE)

    assert most == 1
    assert moments == ["01:00", "03:00", "05:00"]
    assert len([one for one in told if one.what == "skipped"]) == 3


@pytest.mark.parametrize("behind", [0.0, 10 * MINUTE])
async def test_moments_that_wait_have_their_turn_in_order_whichever_engine_starts_them(
    tmp_path: Path, behind: float
) -> None:
    folder = write(tmp_path, "queue", "80m")

    moments, _, most = await hours_of_two(folder, 8, behind=behind)

    assert most == 1
    assert moments == ["01:00", "02:00", "03:00", "04:00", "05:00", "06:00"]


async def test_what_waited_when_its_engine_died_is_started_by_the_other(tmp_path: Path) -> None:
    folder, store, clock = write(tmp_path, "queue", "90m"), MemoryStore(), FakeClock(NOON)
    async with Engine(":memory:", Config(), store=store, clock=clock, secrets={}) as engine:
        await engine.up(folder, watch=False)
        await pass_time(engine, clock, 2.1 * 3600)
    async with Engine(
        ":memory:", Config(), store=MemoryStore(store.place), clock=clock, secrets={}
    ) as engine:
        await engine.up(folder, watch=False)
        await pass_time(engine, clock, 0.6 * 3600)
        assert len(await engine.runs()) == 2
