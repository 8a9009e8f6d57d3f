"""Rate limits: moments that are reserved in the store, and given to who waits for them.

Engines reserve moments for all that wait, with one durable change for each
key, and a few ahead where they come fast.  Of those who wait in memory the
most urgent gets the next moment, and of equals who came first.  Whoever would
wait for long is given its moment at once: the journal keeps it, so that the
run may leave memory, and a crash does not reserve twice.
"""

from __future__ import annotations

import bisect
import functools
import heapq
import itertools
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core.errors import StoreError
from flowbuilder.core.rates import SET_BACK, RateState, reserve
from flowbuilder.core.records import Waited
from flowbuilder.storage.api import Fact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowbuilder.core.limits import RatePolicy
    from flowbuilder.core.urgency import Rank
    from flowbuilder.runtime.held import Held
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.timers import Timer

_log = logging.getLogger("flowbuilder.engine")

KIND: Final = "rate"
"""The kind of the facts that states are kept as."""
LATE: Final = 0.25
"""Seconds behind its moment at which an attempt no longer begins by it, but asks for another."""
AHEAD: Final = 0.1
"""Seconds for which an engine reserves more than it needs just now."""
AGAIN: Final = 1.0
"""Seconds until the store is asked again that could not answer."""
KEPT: Final = 3600.0
"""Seconds for which a state is kept that says nothing any more, for people to look at."""
_ROUNDING: Final = 1e-6
"""The time of day, as a float, is no finer."""

_decode = msgspec.msgpack.Decoder(RateState).decode


class _Rate:
    """A rate limit with one key, as this engine sees it."""

    def __init__(self, key: str, policy: RatePolicy) -> None:
        self.key = key
        self.policy = policy
        self.waiting: list[tuple[Rank, int, Held]] = []
        self.moments: deque[float] = deque()
        """Reserved and not used yet, the earliest in front."""
        self.started: deque[float] = deque(maxlen=policy.limit)
        """When attempts of this engine really began: one that came late makes no window too full."""
        self.asking = False
        self.timer: Timer | None = None

    def free(self, now: float) -> float:
        """Return from when on the attempts that began here leave room for one more."""
        started = self.started
        if len(started) < self.policy.limit:
            return now
        return started[0] + self.policy.per - _ROUNDING


class Rates:
    """Gives attempts their moments.

    Args:
        machine: the engine's parts.
        resume: goes on with an attempt whose moment has come.
    """

    def __init__(self, machine: Machine, resume: Callable[[Held], None]) -> None:
        self._machine = machine
        self._now = machine.clock.now
        self._resume = resume
        self._rates: dict[str, _Rate] = {}
        self._order = itertools.count()
        self._offset = self._clock_offset()

    # -- coming --------------------------------------------------------------------

    def take(self, held: Held) -> bool:
        """Tell whether an attempt may begin now; if not, it waits."""
        policy = held.limits.rate
        if policy is None:
            return True
        self._look_at_clock()
        rate = self._rate(held.rate_key, policy)
        known = self._known_moment(held)
        if known is not None:
            return self._wait_for(rate, held, known)
        now = self._now()
        self._drop_past(rate, now)
        if not rate.waiting and rate.moments and rate.moments[0] <= now and rate.free(now) <= now:
            held.moment = rate.moments.popleft()
            rate.started.append(now)
            return True
        self._enqueue(rate, held)
        return False

    def _enqueue(self, rate: _Rate, held: Held) -> None:
        """Have an attempt wait for one of the moments that this engine has, or will have."""
        waiting, moments = rate.waiting, rate.moments
        heapq.heappush(waiting, (held.rank, next(self._order), held))
        held.waits = _words(held.rate_key)
        if len(moments) < len(waiting):
            self._ask(rate)
        elif moments[len(waiting) - 1] > self._now() + self._machine.config.engine.leave_after:
            self._machine.loop.call_soon(self._settle, rate)
        else:
            self._park(held, moments[len(waiting) - 1])
            if rate.timer is None:
                self._machine.loop.call_soon(self._serve, rate)

    def has_room(self, key: str) -> bool:
        """Tell whether an attempt that has lost its moment is likely to get another at once."""
        rate = self._rates.get(key)
        return rate is None or (not rate.waiting and rate.free(self._now()) <= self._now())

    def _rate(self, key: str, policy: RatePolicy) -> _Rate:
        rate = self._rates.get(key)
        if rate is None:
            rate = self._rates[key] = _Rate(key, policy)
        elif rate.policy != policy:
            rate.policy = policy
            rate.started = deque(rate.started, maxlen=policy.limit)
        return rate

    @staticmethod
    def _known_moment(held: Held) -> float | None:
        """Return the moment that the journal knows for this attempt."""
        execution = held.execution
        recovered = execution.frame.run.recovered
        known = recovered.waited.get(execution.path) if recovered is not None else None
        if known is None or known.attempt != execution.attempt or known.limit != KIND:
            return None
        assert recovered is not None
        del recovered.waited[execution.path]
        return known.until

    def _wait_for(self, rate: _Rate, held: Held, moment: float) -> bool:
        """Wait for a moment of one's own; one that passed long ago is as good as none."""
        now = self._now()
        if now > moment + LATE:
            self._enqueue(rate, held)
            return False
        held.moment = moment
        if moment <= now and rate.free(now) <= now:
            rate.started.append(now)
            return True
        self._park(held, moment)
        delay = max(moment, rate.free(now)) - now
        held.timer = self._machine.timers.after(delay, self._due, (rate, held))
        return False

    def _due(self, pair: tuple[_Rate, Held]) -> None:
        """Begin one that has waited for a moment of its own."""
        self._look_at_clock()
        rate, held = pair
        held.timer = None
        now = self._now()
        free = rate.free(now)
        if free > now:  # somebody came late; a little later, then
            held.timer = self._machine.timers.after(free - now, self._due, pair)
            return
        rate.started.append(now)
        self._resume(held)

    def _park(self, held: Held, moment: float) -> None:
        """Say what an attempt waits for: nothing but time."""
        held.waits = _words(held.rate_key)
        self._machine.attempts.park(held.execution, moment)

    # -- reserving -------------------------------------------------------------------

    def _ask(self, rate: _Rate) -> None:
        """Have moments reserved for all that wait; those who come in this turn are asked for with them."""
        if not rate.asking:
            rate.asking = True
            self._machine.loop.call_soon(self._ask_now, rate)

    def _ask_now(self, rate: _Rate) -> None:
        if self._machine.stopping:
            return
        self._machine.recovery.in_background(self._reserve(rate))

    async def _reserve(self, rate: _Rate) -> None:
        policy = rate.policy
        self._drop_past(rate, self._now())
        count = len(rate.waiting) - len(rate.moments)
        if count <= 0:
            rate.asking = False
            self._settle(rate)
            return
        count += int(AHEAD * policy.limit / policy.per)
        now, got = self._now(), list[float]()

        def change(fact: Fact | None) -> Fact:
            state = RateState() if fact is None else _decode(fact.value)
            moments, state = reserve(state, policy, now, count)
            got[:] = moments
            expires = max(state.free_at, now + policy.per) + KEPT
            return Fact(KIND, rate.key, msgspec.msgpack.encode(state), expires)

        facts = self._machine.store.facts()
        try:
            await self._machine.in_thread(functools.partial(facts.change, KIND, rate.key, change))
        except Exception as error:  # whatever it is: nobody may wait for ever, so it is asked again
            _log.warning("rate limit '%s': %s", rate.key, error, exc_info=not isinstance(error, StoreError))
            self._machine.timers.after(AGAIN, self._ask_again, rate)
            return
        rate.asking = False
        disordered = rate.moments and got[0] < rate.moments[-1]
        rate.moments.extend(got)
        if disordered:  # the clock was set back
            rate.moments = deque(sorted(rate.moments))
        self._settle(rate)

    def _ask_again(self, rate: _Rate) -> None:
        rate.asking = False
        self._ask(rate)

    @staticmethod
    def _drop_past(rate: _Rate, now: float) -> None:
        """Throw moments away that have passed unused."""
        while rate.moments and rate.moments[0] + LATE < now:
            rate.moments.popleft()

    # -- serving ---------------------------------------------------------------------

    def _serve(self, rate: _Rate) -> None:
        """Let those begin whose moments have come, and see to it that the others do when theirs come."""
        self._look_at_clock()
        now = self._now()
        self._drop_past(rate, now)
        waiting, moments = rate.waiting, rate.moments
        while waiting and waiting[0][2].over:
            heapq.heappop(waiting)
        while waiting and moments and moments[0] <= now and rate.free(now) <= now:
            held = heapq.heappop(waiting)[2]
            if held.over:
                continue
            held.moment = moments.popleft()
            rate.started.append(now)
            self._resume(held)
        if len(moments) < len(waiting):
            self._ask(rate)
        self._set_timer(rate, now)

    def _settle(self, rate: _Rate) -> None:
        """Serve, and send those away who would wait for long."""
        self._serve(rate)
        if rate.waiting:
            self._send_away(rate, self._now())
            self._set_timer(rate, self._now())

    def _send_away(self, rate: _Rate, now: float) -> None:
        """Give moments for good to those who would wait for long, and tell the others when theirs may come."""
        long = now + self._machine.config.engine.leave_after
        waiting = sorted(entry for entry in rate.waiting if not entry[2].over)
        moments = list(rate.moments)
        soon = bisect.bisect_right(moments, long, hi=min(len(moments), len(waiting)))
        far = min(len(moments), len(waiting))
        for (_, _, held), moment in zip(waiting[:soon], moments[:soon], strict=True):
            self._park(held, moment)
        leaving = [
            (entry[2], moment) for entry, moment in zip(waiting[soon:far], moments[soon:far], strict=True)
        ]
        rate.waiting[:] = waiting[:soon] + waiting[far:]
        if leaving:
            rate.moments = deque(moments[:soon] + moments[far:])
        for held, moment in leaving:
            self._fix(rate, held, moment, now)

    def _fix(self, rate: _Rate, held: Held, moment: float, now: float) -> None:
        """Give an attempt a moment of its own, and note that in its journal."""
        execution = held.execution
        run = execution.frame.run
        run.records.append(Waited(execution.path, execution.attempt, KIND, held.rate_key, moment, now))
        self._machine.committer.touch(run)
        held.moment = moment
        self._park(held, moment)
        held.timer = self._machine.timers.after(moment - now, self._due, (rate, held))
        self._machine.scheduler.pump(run)  # it may leave memory

    def _set_timer(self, rate: _Rate, now: float) -> None:
        if rate.timer is not None:
            rate.timer.cancel()
            rate.timer = None
        if rate.waiting and rate.moments:
            at = max(rate.moments[0], rate.free(now))
            rate.timer = self._machine.timers.after(at - now, self._serve, rate)

    # -- the clock -------------------------------------------------------------------

    def _clock_offset(self) -> float:
        return self._now() - self._machine.clock.monotonic()

    def _look_at_clock(self) -> None:
        """Where the clock was set back, take moments as they were meant, as `reserve` does: nobody waits for it."""
        offset = self._clock_offset()
        back = self._offset - offset
        if back > SET_BACK:
            for rate in self._rates.values():
                rate.started = deque((moment - back for moment in rate.started), maxlen=rate.started.maxlen)
                rate.moments = deque(moment - back for moment in rate.moments)
                for _, _, held in rate.waiting:
                    if held.execution.wake_at is not None:
                        held.execution.wake_at -= back
        self._offset = offset

    # -- upkeep ------------------------------------------------------------------------

    def waiting(self) -> Iterator[tuple[str, int]]:
        """Yield each key and how many of this engine's attempts wait for it in memory."""
        for key, rate in self._rates.items():
            if rate.waiting:
                yield key, len(rate.waiting)

    def look(self) -> None:
        """Look again at all that wait; forget keys that nobody has used in a while."""
        self._look_at_clock()
        now = self._now()
        for key, rate in list(self._rates.items()):
            self._drop_past(rate, now)
            if rate.waiting:
                self._serve(rate)
            elif not (
                rate.moments or rate.asking or (rate.started and rate.started[-1] + rate.policy.per >= now)
            ):
                del self._rates[key]


def _words(key: str) -> str:
    return f"waits for the rate limit '{key}'"


def state_of(fact: Fact) -> RateState:
    """Return the state that a fact keeps."""
    state: Any = _decode(fact.value)
    return state  # type: ignore[no-any-return]
