"""Who waits for a place gets it by urgency, and age makes urgent."""

import asyncio

import pytest

from flowbuilder.runtime.executors.places import Places


async def order(places: Places, clock: list[float], *come: tuple[str, float, float]) -> list[str]:
    """Have some come at moments, with an urgency, while the only place is taken; return who got it when."""
    got: list[str] = []

    async def wait(name: str, urgency: float) -> None:
        async with places.hold(urgency):
            got.append(name)

    async with places.hold(), asyncio.TaskGroup() as group:
        tasks = []
        for name, at, urgency in come:
            clock[0] = at
            tasks.append(group.create_task(wait(name, urgency)))
            await asyncio.sleep(0)
        group.create_task(asyncio.sleep(0))
        if tasks:
            places._give_back()
            await asyncio.gather(*tasks)
            places._free -= 1
    return got


async def test_the_most_urgent_comes_first_and_equals_in_turn() -> None:
    clock = [0.0]
    places = Places(1, lambda: clock[0])

    assert await order(places, clock, ("low", 0, 10), ("b", 0, 50), ("a", 0, 50.5), ("c", 0, 50)) == [
        "a",
        "b",
        "c",
        "low",
    ]


async def test_what_has_waited_for_long_goes_before_what_comes_now() -> None:
    clock = [0.0]
    places = Places(1, lambda: clock[0])

    assert await order(places, clock, ("old", 0, 0), ("new", 99, 100), ("newer", 101, 100)) == [
        "new",
        "old",
        "newer",
    ]


async def test_no_more_are_inside_than_there_are_places() -> None:
    places, inside, most = Places(3), 0, 0

    async def work() -> None:
        nonlocal inside, most
        async with places.hold():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(20)))
    assert most == 3


async def test_who_gives_up_waiting_takes_no_place_along() -> None:
    places = Places(1)

    async def wait() -> None:
        async with places.hold():
            pass

    async with places.hold():
        early, late = asyncio.ensure_future(wait()), asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        early.cancel()
        await asyncio.sleep(0)
    late.cancel()  # at the moment at which it was given the place
    with pytest.raises(asyncio.CancelledError):
        await late

    async with asyncio.timeout(5), places.hold():
        pass
