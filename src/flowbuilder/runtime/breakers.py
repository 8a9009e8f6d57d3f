"""Circuit breakers: what the last attempts with a key say of the next.

States are kept in the store, where all engines see them.  An engine trusts
what it has seen for a second; what its own attempts come to it knows at once.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING, Final

import msgspec

from flowbuilder.core.breakers import BreakerState, Outcome, Verdict, Who, after, is_same, outcome_of, verdict
from flowbuilder.core.errors import StoreError
from flowbuilder.storage.api import Fact

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbuilder.core.limits import BreakerPolicy
    from flowbuilder.runtime.held import Held
    from flowbuilder.runtime.machine import Machine

_log = logging.getLogger("flowbuilder.engine")

KIND: Final = "breaker"
"""The kind of the facts that states are kept as."""
TRUSTED: Final = 1.0
"""Seconds for which a state that was seen counts as the present one."""
KEPT: Final = 7 * 86400.0
"""Seconds for which a state is kept that nobody touches."""

_decode = msgspec.msgpack.Decoder(BreakerState).decode


class _Breaker:
    """A breaker with one key, as this engine sees it."""

    def __init__(self) -> None:
        self.state = BreakerState()
        self.seen_at = float("-inf")
        """When that was read, on a clock that is not set."""
        self.news: list[tuple[Who, Outcome, float]] = []
        """What attempts have come to that the store does not know yet."""
        self.lock = asyncio.Lock()
        """One at a time reads or writes."""


class Breakers:
    """Lets attempts through, or has them fail.

    Args:
        machine: the engine's parts.
        resume: goes on with an attempt that is let through.
    """

    def __init__(self, machine: Machine, resume: Callable[[Held], None]) -> None:
        self._machine = machine
        self._now = machine.clock.now
        self._resume = resume
        self._breakers: dict[str, _Breaker] = {}
        self._writing: set[asyncio.Task[None]] = set()

    # -- coming ----------------------------------------------------------------------

    def look(self, held: Held) -> bool:
        """Tell whether an attempt may set out: not where the breaker is known to be open."""
        policy = held.limits.breaker
        if policy is None:
            return True
        breaker = self._breakers.get(held.breaker_key)
        if breaker is None or not self._is_fresh(breaker):
            return True  # `enter` asks the store
        said, until = verdict(breaker.state, policy, self._now(), held.who, lambda _: False)
        if said == "open":
            self._refuse(held, policy, until)
            return False
        return True

    def enter(self, held: Held) -> bool:
        """Tell whether an attempt may begin now; if not, it has failed, or the store is being asked."""
        policy = held.limits.breaker
        if policy is None:
            return True
        breaker = self._breakers.setdefault(held.breaker_key, _Breaker())
        if self._is_fresh(breaker) and breaker.state.opened_at is None:
            return True
        held.waits = f"asks the circuit breaker '{held.breaker_key}'"
        self._machine.recovery.in_background(self._ask(breaker, held, policy))
        return False

    def _is_fresh(self, breaker: _Breaker) -> bool:
        return self._machine.clock.monotonic() - breaker.seen_at < TRUSTED

    async def _ask(self, breaker: _Breaker, held: Held, policy: BreakerPolicy) -> None:
        """Find out from the store, and take the right to try where the breaker is half open."""
        key = held.breaker_key
        try:
            async with breaker.lock:
                await self._tell(breaker, key, policy)
                said, until, state = await self._machine.in_thread(
                    functools.partial(self._claim, key, held, policy)
                )
                breaker.state, breaker.seen_at = state, self._machine.clock.monotonic()
        except StoreError as error:
            _log.warning("circuit breaker '%s': %s", key, error)
            self._machine.timers.after(TRUSTED, self._again, held)
            return
        if held.over:
            if said == "probe":
                self._learn(breaker, held, policy, "neither")
        elif said == "open":
            held.waits = None
            self._refuse(held, policy, until)
            self._machine.scheduler.pump(held.execution.frame.run)
        else:
            self._resume(held)

    def _claim(self, key: str, held: Held, policy: BreakerPolicy) -> tuple[Verdict, float, BreakerState]:
        """Return the store's verdict; on a thread.  A right to try is on disk when this returns."""
        store, now = self._machine.store, self._now()
        state = state_of(store.facts().get(KIND, key))
        said, until = verdict(state, policy, now, held.who, lambda _: False)
        if said != "probe":
            return said, until, state
        living = {engine.id for engine in store.engines() if engine.alive}
        found: list[tuple[Verdict, float]] = []

        def claim(fact: Fact | None) -> Fact:
            state = state_of(fact)
            found[:] = [verdict(state, policy, now, held.who, living.__contains__)]
            if found[0][0] == "probe":
                state = msgspec.structs.replace(state, probe=held.who)
            return _fact(key, state, now)

        state = state_of(store.facts().change(KIND, key, claim))
        return *found[0], state

    def _again(self, held: Held) -> None:
        held.stage -= 1
        self._resume(held)

    def _refuse(self, held: Held, policy: BreakerPolicy, until: float) -> None:
        wait = max(0.0, until - self._now())
        what = f"the circuit breaker '{held.breaker_key}' is open after {policy.failures} failures in a row"
        when = f"one attempt is let through in {wait:.3g} s" if wait else "another attempt is trying"
        data = {"key": held.breaker_key, "until": until}
        self._machine.failures.fail(held.execution, "circuit.open", f"{what}; {when}", data)

    # -- going -----------------------------------------------------------------------

    def leave(self, held: Held, kind: str | None) -> None:
        """Take in how an attempt has ended: with an error of a kind, or (None) well, or given up."""
        policy = held.limits.breaker
        assert policy is not None
        outcome: Outcome = "good" if held.good else "neither"
        if kind is not None:
            outcome = outcome_of(kind, policy)
        breaker = self._breakers.setdefault(held.breaker_key, _Breaker())
        state = breaker.state
        nothing = outcome == "neither" or (outcome == "good" and not state.failures)
        if not nothing or (state.probe is not None and is_same(state.probe, held.who)):
            self._learn(breaker, held, policy, outcome)

    def _learn(self, breaker: _Breaker, held: Held, policy: BreakerPolicy, outcome: Outcome) -> None:
        """Take in an outcome: here at once, in the store as soon as that can be."""
        now = self._now()
        breaker.state = after(breaker.state, policy, now, held.who, outcome)
        breaker.seen_at = self._machine.clock.monotonic()
        breaker.news.append((held.who, outcome, now))
        if len(breaker.news) == 1:
            self._write_soon(breaker, held.breaker_key, policy)

    def _write_soon(self, breaker: _Breaker, key: str, policy: BreakerPolicy) -> None:
        writing = self._machine.loop.create_task(self._write(breaker, key, policy))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    async def _write(self, breaker: _Breaker, key: str, policy: BreakerPolicy) -> None:
        """Tell the store; where it does not take it, again until it does: a try that is never told of ends never."""
        try:
            async with breaker.lock:
                await self._tell(breaker, key, policy)
        except StoreError as error:
            _log.warning("circuit breaker '%s': %s", key, error)
            again = functools.partial(self._write_soon, breaker, key, policy)
            self._machine.timers.after(TRUSTED, again)

    async def _tell(self, breaker: _Breaker, key: str, policy: BreakerPolicy) -> None:
        """Tell the store what it does not know yet, all at once; on failure it stays to be told."""
        news, breaker.news = breaker.news, []
        if not news:
            return
        now = self._now()

        def change(fact: Fact | None) -> Fact:
            state = state_of(fact)
            for who, outcome, at in news:
                state = after(state, policy, at, who, outcome)
            return _fact(key, state, now)

        facts = self._machine.store.facts()
        try:
            kept = await self._machine.in_thread(functools.partial(facts.change, KIND, key, change))
        except StoreError:
            breaker.news[:0] = news
            raise
        state = state_of(kept)
        for who, outcome, at in breaker.news:
            state = after(state, policy, at, who, outcome)
        breaker.state, breaker.seen_at = state, self._machine.clock.monotonic()

    async def close(self) -> None:
        """Return when the store knows what attempts have come to."""
        while self._writing:
            await asyncio.wait(self._writing)

    # -- upkeep ----------------------------------------------------------------------

    def look_over(self) -> None:
        """Forget breakers here that nobody has used in a while; the store knows them."""
        for key, breaker in list(self._breakers.items()):
            if not (breaker.news or breaker.lock.locked() or self._is_fresh(breaker)):
                del self._breakers[key]


def state_of(fact: Fact | None) -> BreakerState:
    """Return the state that a fact keeps; without one the breaker is as new."""
    return BreakerState() if fact is None else _decode(fact.value)


def _fact(key: str, state: BreakerState, now: float) -> Fact:
    return Fact(KIND, key, msgspec.msgpack.encode(state), now + KEPT)
