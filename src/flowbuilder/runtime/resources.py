"""The machine's cores, memory and graphics processors, shared out among attempts that ask for some.

Strictly in order: who does not fit yet keeps those behind from starting, so
that many small ones never starve a large one.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, Final

import msgspec

from flowbuilder.core.durations import format_size
from flowbuilder.core.limits import Ask
from flowbuilder.storage.api import Fact, Keep

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbuilder.core.urgency import Rank
    from flowbuilder.runtime.held import Held
    from flowbuilder.runtime.machine import Machine

KIND: Final = "resources"
"""The kind of the facts that say what each engine has lent; kept under the engine's id."""
TOLD_EVERY: Final = 1.0
"""Seconds between two of them, at most; they are for people."""
KEPT: Final = 86400.0
_ROUNDING: Final = 1e-9
"""Parts of a core are floats: three thirds must fit into one."""


class Usage(msgspec.Struct, array_like=True, frozen=True):
    """What of a machine is lent to attempts."""

    used: Ask
    capacity: Ask
    waiting: int


_decode = msgspec.msgpack.Decoder(Usage).decode


def usage_of(fact: Fact) -> Usage:
    """Return the usage that a fact tells of."""
    return _decode(fact.value)


class Resources:
    """Lends parts of the machine.

    Args:
        machine: the engine's parts.
        resume: goes on with an attempt that has its share.
    """

    def __init__(self, machine: Machine, resume: Callable[[Held], None]) -> None:
        self._machine = machine
        self._resume = resume
        config = machine.config.resources
        self._config = config
        self._cpu = config.cpus()
        self._gpu = config.gpu
        self._memory: int | None = config.memory or None
        self.used_cpu = self.used_gpu = 0.0
        self.used_memory = 0
        self._waiting: list[tuple[Rank, int, Held]] = []
        self._order = itertools.count()
        self._looking = False
        self._telling = False

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(not held.over for _, _, held in self._waiting)

    def _tell_later(self) -> None:
        """Have the store know what is lent, for people who look from outside."""
        if not self._telling and not self._machine.stopping:
            self._telling = True
            self._machine.loop.call_later(TOLD_EVERY, self._tell)

    def _tell(self) -> None:
        self._telling = False
        if self._machine.stopping:
            return
        used = Ask(self.used_cpu, self.used_memory, self.used_gpu)
        usage = Usage(used, Ask(self._cpu, self._all_memory(), self._gpu), self.waiting)
        expires = self._machine.clock.now() + KEPT
        fact = Fact(KIND, self._machine.id, msgspec.msgpack.encode(usage), expires)
        self._machine.store.submit(Keep(fact))

    def take(self, held: Held) -> bool:
        """Tell whether an attempt has its share now; if not, it waits, or has failed."""
        ask = held.limits.resources
        if ask is None or held.ask:
            return True
        if (lacking := self._impossible(ask)) is not None:
            self._machine.failures.fail(held.execution, "resource.impossible", lacking)
            return False
        if not self._waiting and self._fits(ask):
            self._lend(held, ask)
            return True
        heapq.heappush(self._waiting, (held.rank, next(self._order), held))
        held.waits = "waits for resources"
        self._tell_later()
        return False

    def give_back(self, held: Held) -> None:
        """Take back the share of an attempt."""
        ask = held.limits.resources
        assert ask is not None
        held.ask = False
        self._tell_later()
        self.used_cpu = max(0.0, self.used_cpu - ask.cpu)
        self.used_gpu = max(0.0, self.used_gpu - ask.gpu)
        self.used_memory -= ask.memory
        self.look_soon()

    def look_soon(self) -> None:
        """Serve at the next turn of the loop: something is free, or who was the next in line is gone."""
        if self._waiting and not self._looking:
            self._looking = True
            self._machine.loop.call_soon(self.look)

    def look(self) -> None:
        """Serve those who wait, in order, while the next one fits."""
        self._looking = False
        waiting = self._waiting
        while waiting:
            held = waiting[0][2]
            ask = held.limits.resources
            assert ask is not None
            if held.over:
                heapq.heappop(waiting)
                continue
            if not self._fits(ask):
                return
            heapq.heappop(waiting)
            self._lend(held, ask)
            self._resume(held)

    def _lend(self, held: Held, ask: Ask) -> None:
        held.ask = True
        self._tell_later()
        self.used_cpu += ask.cpu
        self.used_gpu += ask.gpu
        self.used_memory += ask.memory

    def _fits(self, ask: Ask) -> bool:
        return (
            self.used_cpu + ask.cpu <= self._cpu + _ROUNDING
            and self.used_gpu + ask.gpu <= self._gpu + _ROUNDING
            and (not ask.memory or self.used_memory + ask.memory <= self._all_memory())
        )

    def _all_memory(self) -> int:
        if self._memory is None:
            self._memory = self._config.bytes()
        return self._memory

    def _impossible(self, ask: Ask) -> str | None:
        """Say what of an ask is more than there is, and which setting says how much there is."""
        for name, asked, there in (("cpu", ask.cpu, self._cpu), ("gpu", ask.gpu, self._gpu)):
            if asked > there + _ROUNDING:
                return f"it asks for {asked:g} {name}, and there are {there:g} (`resources.{name}` in the settings)"
        if ask.memory and ask.memory > self._all_memory():
            asked_for, there_is = format_size(ask.memory), format_size(self._all_memory())
            return f"it asks for {asked_for} of memory, and there are {there_is} (`resources.memory` in the settings)"
        return None
