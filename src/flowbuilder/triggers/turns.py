"""Whose turn it is: the runs of a trigger with `overlap`, one after the other, in all engines together.

What is decided about a moment lies in the store, and is decided there once:
each change is of what was read, or is made anew.  So of two engines none
starts a moment that the other has left out, or beside a run that the other
has started.  That a moment is to be started is written down before its run
is; whoever finds it so starts it, and the run's key sees to it that there is one.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import msgspec

from flowbuilder.triggers.state import TURN, fact

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.storage.api import Fact

REMEMBERED: Final = 100
"""Moments that are remembered as decided: engines see the same ones at nearly the same time."""


class Turn(msgspec.Struct, omit_defaults=True):
    """How the runs of a trigger stand."""

    about: str
    """What the trigger was then."""
    run: str | None = None
    """The newest run."""
    starting: float | None = None
    """The moment whose run is being started."""
    queue: list[float] = []
    """Moments that wait until the run before has ended, the next in front."""
    decided: list[float] = []
    """The newest moments that were started, or are left out."""

    @property
    def waits(self) -> bool:
        """Whether a moment waits for its run."""
        return bool(self.queue) or self.starting is not None

    def take(self, moment: float) -> Turn:
        """Return how they stand when a moment is to be started."""
        rest = [one for one in self.queue if one != moment]
        return msgspec.structs.replace(self, starting=moment, queue=rest)

    def leave_out(self, *moments: float) -> Turn:
        """Return how they stand when moments are left out."""
        return msgspec.structs.replace(self, decided=[*self.decided, *moments][-REMEMBERED:])

    def wait(self, moment: float) -> Turn:
        """Return how they stand when a moment waits."""
        return msgspec.structs.replace(self, queue=[*self.queue, moment])

    def wait_alone(self, moment: float) -> Turn:
        """Return how they stand when a moment waits in place of those that did."""
        return msgspec.structs.replace(self.leave_out(*self.queue), queue=[moment])


class Seen(msgspec.Struct, frozen=True):
    """How they stood when the store was read."""

    turn: Turn
    raw: bytes | None


class Turns:
    """The turn of one trigger, as the store has it."""

    def __init__(self, machine: Machine, name: str) -> None:
        self._machine = machine
        self._name = name

    async def read(self, about: str) -> Seen:
        """Return how the runs stand; anew where the trigger was another one then.

        Raises:
            StoreError: the store cannot be read.
        """
        facts = self._machine.store.facts()
        found: Fact | None = await self._machine.in_thread(functools.partial(facts.get, TURN, self._name))
        if found is None:
            return Seen(Turn(about), None)
        turn = msgspec.msgpack.decode(found.value, type=Turn)
        if turn.about != about:
            turn = Turn(about, turn.run)
        return Seen(turn, found.value)

    async def change(self, seen: Seen, new: Turn) -> bool:
        """Write down how they stand now; False where somebody else was faster: then it is to be read again.

        Raises:
            StoreError: nothing was written.
        """
        changed = False

        def put(old: Fact | None) -> Fact | None:
            nonlocal changed
            changed = (old.value if old is not None else None) == seen.raw
            return fact(TURN, self._name, new) if changed else old

        facts = self._machine.store.facts()
        await self._machine.in_thread(functools.partial(facts.change, TURN, self._name, put))
        return changed

    async def started(self, about: str, moment: float, run: str | None) -> None:
        """Write down that the run of a moment is there; None: it was left out.

        Raises:
            StoreError: nothing was written; whoever comes next finds the run by its key.
        """
        while True:
            seen = await self.read(about)
            if seen.turn.starting != moment:
                return
            new = msgspec.structs.replace(
                seen.turn.leave_out(moment), starting=None, run=run or seen.turn.run
            )
            if await self.change(seen, new):
                return
