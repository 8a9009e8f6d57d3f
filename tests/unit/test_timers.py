"""One heap for all moments: due ones are done in order, and one that fails stops no other."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from flowbuilder.runtime.timers import Timers
from flowbuilder.testing import FakeClock

if TYPE_CHECKING:
    import pytest


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_is_due_is_done_in_order_and_a_fault_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, done = FakeClock(), list[str]()
    timers = Timers(clock)
    now = clock.now()
    serving = asyncio.ensure_future(timers.run())

    def fault() -> None:
        done.append("fault")
        raise RuntimeError("ours")

    timers.at(now + 3, lambda: done.append("third"))
    timers.at(now + 1, lambda: done.append("first"))
    timers.at(now + 2, fault)
    never = timers.at(now + 2, lambda: done.append("never"))
    never.cancel()
    await turns()
    assert (done, timers.next_moment()) == ([], now + 1)

    with caplog.at_level(logging.ERROR):
        clock.advance(3)
        await turns()

    assert done == ["first", "fault", "third"]
    assert "ours" in caplog.text
    assert timers.next_moment() is None
    serving.cancel()


async def test_an_earlier_moment_is_not_slept_over() -> None:
    clock, done = FakeClock(), list[int]()
    timers = Timers(clock)
    serving = asyncio.ensure_future(timers.run())
    timers.at(clock.now() + 1000, lambda: done.append(1000))
    await turns()
    timers.at(clock.now() + 5, lambda: done.append(5))
    await turns()

    clock.advance(5)
    await turns()

    assert done == [5]
    serving.cancel()


async def test_a_clock_that_is_set_forward_is_noticed_within_a_minute() -> None:
    clock, done = FakeClock(), list[str]()
    timers = Timers(clock)
    serving = asyncio.ensure_future(timers.run())
    timers.at(clock.now() + 86400, lambda: done.append("due"))
    await turns()

    clock.set(clock.now() + 86400)
    clock.advance(60)
    await turns()

    assert done == ["due"]
    serving.cancel()


async def test_what_goes_by_the_time_that_passes_does_so_however_the_clock_is_set() -> None:
    clock, done = FakeClock(), list[str]()
    timers = Timers(clock)
    serving = asyncio.ensure_future(timers.run())
    timers.after(5, lambda: done.append("before it was set"))
    await turns()
    clock.set(clock.now() - 3600)
    timers.after(6, lambda: done.append("behind it"))
    clock.advance(5)
    await turns()
    assert done == ["before it was set"]

    clock.set(clock.now() + 86400)
    timers.after(3600, lambda: done.append("late"))
    await turns()
    assert done == ["before it was set"]
    clock.advance(1)
    await turns()

    assert done == ["before it was set", "behind it"]
    serving.cancel()


async def test_timers_that_are_cancelled_do_not_pile_up() -> None:
    clock = FakeClock()
    timers = Timers(clock)
    kept = [timers.at(clock.now() + hours * 3600, lambda: None) for hours in range(1, 51)]
    for _ in range(20_000):
        timers.at(clock.now() + 3600, lambda: None).cancel()

    assert len(timers._heap) < 3000
    assert len(timers) == len(kept)
    assert timers.next_moment() == kept[0].at


async def test_an_action_is_given_its_argument_and_one_that_is_over_cannot_be_cancelled() -> None:
    clock, done = FakeClock(), list[object]()
    timers = Timers(clock)
    timer = timers.at(clock.now() + 1, done.append, None)
    clock.advance(1)

    assert timers.step() == 1
    timer.cancel()
    assert done == [None]
