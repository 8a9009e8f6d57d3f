"""Who gets a place when there are too few."""

import asyncio
import contextlib

import pytest

from flowbuilder.core.urgency import NORMAL, POINT_SECONDS, Urgency
from flowbuilder.runtime.executors.places import Places
from flowbuilder.testing import FakeClock


class Line:
    """People who wait for the one place, by name, and the order in which they got it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.places = Places(1, self.clock.monotonic)
        self.order: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, name: str, urgency: Urgency = NORMAL) -> asyncio.Task[None]:
        async def visit() -> None:
            async with self.places.hold(urgency):
                self.order.append(name)

        task = asyncio.create_task(visit())
        self.tasks.append(task)
        await asyncio.sleep(0)
        return task

    @contextlib.asynccontextmanager
    async def full(self):
        async with self.places.hold(NORMAL):
            yield
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
def line() -> Line:
    return Line()


async def test_the_run_of_higher_priority_goes_first(line: Line) -> None:
    async with line.full():
        for name, priority in (("low", 10), ("high", 90), ("normal", 50)):
            await line.come(name, Urgency(priority))

    assert line.order == ["high", "normal", "low"]


async def test_within_a_priority_the_task_and_then_the_longest_path_decide(line: Line) -> None:
    async with line.full():
        await line.come("short", Urgency(50, 50, 1.0))
        await line.come("long", Urgency(50, 50, 9.0))
        await line.come("preferred", Urgency(50, 60, 0.0))

    assert line.order == ["preferred", "long", "short"]


async def test_the_equally_urgent_go_in_the_order_in_which_they_came(line: Line) -> None:
    names = [str(number) for number in range(20)]
    async with line.full():
        for name in names:
            await line.come(name)

    assert line.order == names


async def test_age_brings_everybody_to_the_front(line: Line) -> None:
    async with line.full():
        await line.come("old and low", Urgency(10))
        line.clock.advance(81 * POINT_SECONDS)
        await line.come("new and high", Urgency(90))

    assert line.order == ["old and low", "new and high"]


async def test_who_gives_up_leaves_the_place_to_the_next(line: Line) -> None:
    async with line.full():
        first = await line.come("first")
        await line.come("second")
        first.cancel()

    assert line.order == ["second"]


async def test_who_is_cancelled_with_the_place_in_hand_gives_it_back(line: Line) -> None:
    async with line.places.hold(NORMAL):
        first = await line.come("first")
        await line.come("second")
    first.cancel()  # it has been given the place, and has not gone on yet
    await asyncio.gather(*line.tasks, return_exceptions=True)

    assert line.order == ["second"]
    async with asyncio.timeout(1), line.places.hold(NORMAL):
        pass
