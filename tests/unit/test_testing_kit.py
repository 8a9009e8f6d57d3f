"""The kit is found where the guide says, and a day of waiting takes no time."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import flowbuilder.testing
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing import Crash, CrashingStore, FakeClock, run_flow

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "testing.md"
SLEEPS = "flow: t\ntasks: {a: {type: sleep, with: {for: 1d}}, b: {type: set, needs: [a], with: 1}}\n"


def test_all_that_the_guide_imports_is_there() -> None:
    imports = re.findall(r"^from flowbuilder.*$", GUIDE.read_text(), re.MULTILINE)
    assert len(imports) >= 3
    for line in imports:
        exec(line, {})
    assert flowbuilder.testing.StoreContract.__name__ == "StoreContract"


def test_flows_can_be_tested_without_pytest() -> None:
    code = "import sys, flowbuilder.testing; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_a_day_is_over_at_once() -> None:
    clock = FakeClock()
    run = await run_flow(SLEEPS, clock=clock, timeout=5)

    assert run.tasks["b"].output == 1
    assert clock.slept == [86400]


async def test_a_store_that_dies_is_an_engine_that_was_killed() -> None:
    kept, clock = MemoryStore(), FakeClock()
    with pytest.raises(Crash):
        await run_flow(SLEEPS, key="k", clock=clock, store=CrashingStore(MemoryStore(kept.place), at=3))

    run = await run_flow(SLEEPS, key="k", clock=clock, store=MemoryStore(kept.place))

    assert run.status == "succeeded"


async def test_a_run_that_does_not_end_is_told(world: object) -> None:
    with pytest.raises(TimeoutError):
        await run_flow(
            "flow: t\ntasks: {a: {type: python, with: {call: hold, args: {name: a}}}}\n", timeout=0.1
        )
