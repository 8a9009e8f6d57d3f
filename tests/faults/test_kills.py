"""A real engine process, killed with SIGKILL at random moments, again and again.

What must hold: no run that was accepted is lost, no task whose end was on
disk is executed again, no run is stuck, and all outputs are right.  The seed
reproduces the moments as well as a machine allows.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from killing import Driver, Killing, Ledger, soak

from flowbuilder import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 20260105
KILLS = 210
SOAK_KILLS = 3000
RUNS = 24
ROUND = 0.25
"""Seconds within which a process is killed, counted from its fork."""


@pytest.fixture
def driver() -> Iterator[Driver]:
    """A driver, closed afterwards."""
    driver = Driver(Path(__file__).parent / "kills" / "drive.py")
    try:
        yield driver
    finally:
        driver.close()


def expected(n: int) -> int:
    """Return what the run `n` must yield."""
    chain = (n + 2) * 2 + 2
    match n % 4:
        case 0:
            return chain
        case 1:
            items = [n * 100 + i for i in range(12)]
            return sum(i + 1 for i in items) + sum((i + 1) + (i + 2) for i in items[:6]) + 1
        case 2:
            return chain + n + 1 + 1
        case _:
            polled = sum(n + index + 1 for index in range(4))
            return polled + 20_000 + sum(2 * index + 2 for index in range(30)) + polled + 4


@pytest.mark.timeout(600)
def test_two_hundred_kills_lose_nothing_and_repeat_nothing(driver: Driver, tmp_path: Path) -> None:
    kill_again_and_again(driver, tmp_path, SEED, KILLS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_thousands_of_kills_at_ever_new_moments(driver: Driver, tmp_path: Path) -> None:
    kill_again_and_again(driver, tmp_path, *soak(SOAK_KILLS))


def kill_again_and_again(driver: Driver, tmp_path: Path, seed: int, least: int) -> None:
    """Start runs and kill their engines until at least so many have died; then look at every run."""
    print(f"seed {seed}")  # pytest shows it where the test fails
    ledger = Ledger(tmp_path / "store.db", tmp_path / "effects")
    Killing(
        driver,
        ledger,
        random.Random(seed),
        runs=RUNS,
        within=ROUND,
        longer=1 / 20,
        words=lambda first: (ledger.store, tmp_path, ledger.effects, first, RUNS),
    ).go_on(least)
    with Reader(ledger.store) as reader:
        for key, run_id in ledger.accepted.items():
            view = reader.show(run_id)
            assert view.status == "succeeded", (key, view.error)
            assert view.outputs == {"total": expected(int(key[1:]))}, key
            assert all(task.status == "succeeded" for task in view.tasks.values()), view.tasks
        assert not reader.waiting()
