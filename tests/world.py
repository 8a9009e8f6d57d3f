"""The world that flows in tests have effects on: it writes down what was done to it.

Functions here are called by name (`call: act`); a test asks for the fixture
`world`, which is a fresh one.
"""

from __future__ import annotations

import asyncio
import collections
from typing import TYPE_CHECKING, Any

from flowbuilder import TaskFailed
from flowbuilder.tasks.python import name_function

if TYPE_CHECKING:
    from collections.abc import Callable


class World:
    """What happened, in order, and what tests hold back."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        """Names of what was done, each time it was."""
        self.cancelled: list[str] = []
        self.most = 0
        """The most that was held at once."""
        self._held = 0
        self._gates: dict[str, asyncio.Event] = collections.defaultdict(asyncio.Event)
        self._begun: dict[str, asyncio.Event] = collections.defaultdict(asyncio.Event)
        self.dead = lambda: False
        """Whether the process that runs all this counts as dead."""

    def count(self, name: str) -> int:
        """Return how often something was done."""
        return self.calls.count(name)

    def note(self, name: str) -> None:
        """Write down that something is done."""
        if self.dead():
            raise asyncio.CancelledError  # the dead do nothing
        self.calls.append(name)
        self._begun[name].set()

    async def begun(self, name: str) -> None:
        """Wait until something has begun."""
        async with asyncio.timeout(20):
            await self._begun[name].wait()

    def let_go(self, name: str) -> None:
        """Let `hold` with this name return."""
        self._gates[name].set()

    async def hold(self, name: str) -> None:
        """Wait until the test lets go."""
        self.note(name)
        self._held += 1
        self.most = max(self.most, self._held)
        try:
            await self._gates[name].wait()
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        finally:
            self._held -= 1


async def until(holds: Callable[[], object]) -> None:
    """Let others have the loop until something holds."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.001)


_now = World()


def renew() -> World:
    """Begin a new world, and return it."""
    global _now
    _now = World()
    return _now


def act(name: str, value: Any = None) -> Any:
    """Do something."""
    _now.note(name)
    return value


async def act_later(name: str, value: Any = None) -> Any:
    """Do something, and be a while about it."""
    _now.note(name)
    await asyncio.sleep(0.001)
    return value


def fail(name: str, times: int = 1_000_000, kind: str = "boom", value: Any = None) -> Any:
    """Fail the first times that this is called with the name."""
    _now.note(name)
    if _now.count(name) <= times:
        raise TaskFailed(kind, f"{name} failed")
    return value


async def hold(name: str, value: Any = None, fails: bool = False) -> Any:
    """Do something that lasts until the test lets go, or somebody cancels it, or that fails at once."""
    if fails:
        return fail(name)
    await _now.hold(name)
    return value


for _function in (act, act_later, fail, hold):
    name_function(_function.__name__, _function)
