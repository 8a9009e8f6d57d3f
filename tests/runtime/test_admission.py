"""Who comes in when there is room for few: the most urgent, in the order in which they came."""

import asyncio

import pytest

from flowbuilder.runtime.admission import Admission
from flowbuilder.testing import FakeClock


class Room:
    """A room for so many, and who came in, in order."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.inside: list[str] = []
        self.clock = FakeClock()
        loop = asyncio.get_running_loop()
        self.admission = Admission(loop, lambda: self.size - len(self.inside), self.clock.monotonic)

    async def come(self, name: str, priority: int = 50) -> asyncio.Task[None]:
        async def enter() -> None:
            await self.admission.enter(priority)
            self.inside.append(name)

        task = asyncio.create_task(enter())
        await asyncio.sleep(0)
        return task

    async def make_room(self, more: int) -> None:
        self.size += more
        self.admission.let_in()
        for _ in range(3):
            await asyncio.sleep(0)


async def test_nobody_waits_while_there_is_room() -> None:
    room = Room(2)
    await room.come("a")
    await room.come("b")
    await room.come("c")

    assert room.inside == ["a", "b"]


async def test_as_many_come_in_as_there_is_room_for() -> None:
    room = Room(0)
    for name in "abcdef":
        await room.come(name)

    await room.make_room(2)
    assert room.inside == ["a", "b"]
    await room.make_room(1)
    assert room.inside == ["a", "b", "c"]


async def test_the_most_urgent_comes_first() -> None:
    room = Room(0)
    await room.come("low", 10)
    await room.come("high", 90)

    await room.make_room(1)

    assert room.inside == ["high"]


async def test_who_comes_later_does_not_pass_those_who_wait() -> None:
    room = Room(0)
    await room.come("first")
    room.size = 1
    await room.come("second")
    await room.make_room(0)

    assert room.inside == ["first"]


@pytest.mark.parametrize("let_in", [False, True])
async def test_who_gives_up_takes_nobodys_place(let_in: bool) -> None:
    room = Room(0)
    first = await room.come("first")
    await room.come("second")
    if let_in:  # and has not gone on yet
        room.size += 1
        room.admission.let_in()
    first.cancel()
    await room.make_room(0 if let_in else 1)

    assert room.inside == ["second"]


async def test_at_the_end_all_are_let_go() -> None:
    room = Room(0)
    waiting = [await room.come(name) for name in "abc"]
    room.admission.close()

    async with asyncio.timeout(1):
        await asyncio.gather(*waiting)
