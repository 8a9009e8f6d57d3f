"""What an engine carries on when it is asked to, and what is left to those that live."""

from pathlib import Path

import pytest

from flowbuilder import Engine, Reader
from flowbuilder.runtime.config import Config
from flowbuilder.testing import FakeClock
from flowbuilder.testing.flows import finish

SLEEPING = """
flow: sleeping
tasks:
  nap: {type: sleep, with: {for: 2m}}
  after: {needs: [nap], type: set, with: awake}
outputs: {said: "${{ tasks.after.output }}"}
"""


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    file = tmp_path / "sleeping.yaml"
    file.write_text(SLEEPING)
    return file


def engine_at(store: Path, clock: FakeClock) -> Engine:
    return Engine(store, Config(), clock=clock, recover=False, secrets={})


async def test_a_run_that_sleeps_is_carried_on_when_its_engine_is_gone(tmp_path: Path, flow: Path) -> None:
    clock, store = FakeClock(), tmp_path / "runs.db"
    async with engine_at(store, clock) as first:
        run = await first.start(flow)

    with Reader(store) as reader:
        assert [row.id for row in reader.waiting()] == [run.id]
    async with engine_at(store, clock) as second:
        resumed = await second.resume()
        assert [one.id for one in resumed] == [run.id]
        await finish(second, resumed[0], clock)
        assert await resumed[0].result() == {"said": "awake"}

    assert sum(clock.slept) == pytest.approx(120, abs=5)


async def test_a_run_that_sleeps_beside_its_engine_is_left_to_it(tmp_path: Path, flow: Path) -> None:
    clock, store = FakeClock(start=4e9), tmp_path / "runs.db"  # far from overdue by any clock
    async with engine_at(store, clock) as owner:
        run = await owner.start(flow)
        async with engine_at(store, FakeClock(start=4e9)) as other:
            assert await other.resume() == []
        await finish(owner, run, clock)

        assert await run.result() == {"said": "awake"}
