"""Places that all engines of a store share: an engine holds them in blocks, under its own name.

What lies in the store says how many places which engine holds; how many of
them are in use it alone knows.  So an attempt costs no write while no other
engine wants places.  Places of an engine whose lock is free belong to whoever
asks next.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Final

import msgspec

from flowbuilder.core.errors import StoreError
from flowbuilder.core.shares import Granted, Shared, settle
from flowbuilder.storage.api import Fact

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from flowbuilder.runtime.machine import Machine

_log = logging.getLogger("flowbuilder.engine")

KIND: Final = "queue"
"""The kind of the facts that say who holds what."""
LOOK_AGAIN: Final = 0.2
"""Seconds of real time between two looks at what other engines want, while this one holds or wants anything."""
MOST_LOOKS: Final = 1000
"""Names that are looked at in a second, at most: of many each is looked at less often."""
IDLE: Final = 1.0
"""Seconds without use after which an engine gives its places back."""
KEPT: Final = 86400.0
"""Seconds for which a state is kept that nobody touches."""
TOLD_EVERY: Final = 1.0
"""Seconds after which the store is told how many places are in use, for people who look from outside."""

_decode = msgspec.msgpack.Decoder(Shared).decode


class Slots:
    """Places with one name, as this engine sees them."""

    __slots__ = (
        "_settling",
        "allowed",
        "capacity",
        "held",
        "knocked",
        "name",
        "quiet_since",
        "told",
        "told_at",
        "used",
        "wanted",
    )

    def __init__(self, name: str, capacity: int) -> None:
        self.name = name
        self.capacity = capacity
        self.held = 0
        """Places that this engine holds in the store."""
        self.allowed = 0
        """How many may be in use: fewer than it holds where other engines wait for their share."""
        self.used = 0
        self.wanted = 0
        """How many more would be used at once."""
        self.knocked = False
        """The store was asked for more since it was last looked at."""
        self.quiet_since = 0.0
        self.told = (0, 0)
        """How many the store knows to be used, and wanted."""
        self.told_at = 0.0
        self._settling: int | None = None

    @property
    def is_free(self) -> bool:
        """Whether there is a place for one more.

        While the store is being told how many are in use, there are no more than that.
        """
        most = self.allowed if self._settling is None else min(self.allowed, self._settling)
        return self.used < most

    @property
    def is_settling(self) -> bool:
        """Whether the store is being told."""
        return self._settling is not None

    def begin_to_settle(self) -> tuple[int, int]:
        """Return how many places are used and wanted, and keep to that until `settled`."""
        self._settling = self.used
        self.told = self.used, self.wanted
        return self.told

    def settled(self, granted: Granted | None) -> None:
        """Take in what the store said; None: nothing, it has failed."""
        self._settling = None
        if granted is not None:
            self.held, self.allowed = granted.held, granted.allowed


class SharedSlots:
    """Settles with the other engines who holds how many places.

    Args:
        machine: the engine's parts.
        changed: is told of places that may have come.
    """

    def __init__(self, machine: Machine, changed: Callable[[Slots], None]) -> None:
        self._machine = machine
        self._changed = changed
        self._slots: dict[str, Slots] = {}
        self._next_look: asyncio.TimerHandle | None = None
        self._looking = False

    def named(self, name: str, capacity: int) -> Slots:
        """Return the places with a name.  Not to be kept: they are forgotten when nobody uses them."""
        slots = self._slots.get(name)
        if slots is None:
            slots = self._slots[name] = Slots(name, capacity)
        slots.capacity = capacity
        return slots

    def known(self, name: str) -> Slots | None:
        """Return the places with a name, if this engine knows of any."""
        return self._slots.get(name)

    def take(self, slots: Slots) -> None:
        """Use one place, which must be free."""
        slots.used += 1

    def give_back(self, slots: Slots) -> None:
        """Use one place less; where other engines wait it is theirs at once."""
        slots.used -= 1
        if not slots.used:
            slots.quiet_since = self._machine.loop.time()
        if slots.allowed < slots.held and slots.used < slots.held:
            self._settle_soon([slots])

    def want(self, slots: Slots, count: int) -> None:
        """Say how many more places would be used; asks for them where others may have some."""
        slots.wanted = count
        if count and slots.held < slots.capacity and not slots.knocked:
            slots.knocked = True
            self._settle_soon([slots])

    # -- settling ------------------------------------------------------------------

    def _settle_soon(self, some: list[Slots]) -> None:
        some = [slots for slots in some if not slots.is_settling]
        if some and not self._machine.stopping:
            asked = [(slots, *slots.begin_to_settle()) for slots in some]
            self._machine.recovery.in_background(self._settle(asked))

    async def _settle(self, asked: list[tuple[Slots, int, int]]) -> None:
        granted: list[Granted | None] = [None] * len(asked)
        try:
            granted = await self._machine.in_thread(functools.partial(self._settle_all, asked))
        except Exception as error:  # whatever it is: nobody may wait for ever, so it is asked again
            _log.warning("places of queues: %s", error, exc_info=not isinstance(error, StoreError))
        finally:
            for (slots, _, _), got in zip(asked, granted, strict=True):
                slots.settled(got)
        for slots, _, _ in asked:
            if not (slots.held or slots.used or slots.wanted or slots.is_settling):
                self._slots.pop(slots.name, None)
            self._changed(slots)
        self._look_later()

    def _settle_all(self, asked: list[tuple[Slots, int, int]]) -> list[Granted | None]:
        """Settle with the store; on a thread."""
        living = self._living()
        now = self._machine.clock.now()
        return [self._settle_one(slots, used, wanted, now, living) for slots, used, wanted in asked]

    def _settle_one(self, slots: Slots, used: int, wanted: int, now: float, living: set[str]) -> Granted:
        found: list[Granted] = []

        def change(fact: Fact | None) -> Fact | None:
            granted, shared = settle(
                shared_of(fact),
                self._machine.id,
                used=used,
                wanted=wanted,
                capacity=slots.capacity,
                now=now,
                alive=living.__contains__,
            )
            found[:] = [granted]
            if not shared.holdings:
                return None
            return Fact(KIND, slots.name, msgspec.msgpack.encode(shared), now + KEPT)

        self._machine.store.facts().change(KIND, slots.name, change)
        return found[0]

    def _living(self) -> set[str]:
        return {engine.id for engine in self._machine.store.engines() if engine.alive}

    # -- looking what others want ------------------------------------------------------

    def _look_later(self) -> None:
        """Look again in a while; in real time, for other processes go by no other clock."""
        if self._slots and self._next_look is None and not self._looking and not self._machine.stopping:
            delay = max(LOOK_AGAIN, len(self._slots) / MOST_LOOKS)
            self._next_look = self._machine.loop.call_later(delay, self._look_soon)

    def _look_soon(self) -> None:
        self._next_look = None
        self._looking = True
        self._machine.recovery.in_background(self._look())

    async def _look(self) -> None:
        try:
            names = list(self._slots)
            hungry = await self._machine.in_thread(functools.partial(self._hungry, names))
        except Exception as error:  # it is looked again, whatever it is
            _log.warning("places of queues: %s", error, exc_info=not isinstance(error, StoreError))
            hungry = set()
        finally:
            self._looking = False
        now = self._machine.loop.time()
        quiet = now - IDLE
        due = []
        for name in names:
            slots = self._slots.get(name)
            if slots is None:
                continue
            slots.knocked = False
            lacks = slots.wanted > 0 and slots.held < slots.capacity
            idle = not slots.used and not slots.wanted and slots.quiet_since < quiet
            news = slots.told != (slots.used, slots.wanted) and slots.told_at + TOLD_EVERY < now
            if lacks or idle or news or name in hungry:
                slots.told_at = now
                due.append(slots)
        self._settle_soon(due)
        self._look_later()

    def _hungry(self, names: list[str]) -> set[str]:
        """Return those names of which another living engine wants places; on a thread."""
        living = self._living()
        living.discard(self._machine.id)
        if not living:
            return set()
        facts = self._machine.store.facts()
        found = set()
        for name in names:
            holdings = shared_of(facts.get(KIND, name)).holdings
            if any(each.wanted and engine in living for engine, each in holdings.items()):
                found.add(name)
        return found

    def close(self) -> None:
        """Look no more."""
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None


def shared_of(fact: Fact | None) -> Shared:
    """Return the state that a fact keeps; without one nobody holds anything."""
    return Shared() if fact is None else _decode(fact.value)
