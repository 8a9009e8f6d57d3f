"""The way of an attempt through its limits: breaker, rate, queue, resources; then it begins.

The rate comes before the queue, so that whoever waits for a moment holds no
place.  Who was then kept by the queue for so long that its moment has passed
asks the rate again.  What an attempt holds is given back by whatever ends it:
its success, its failure before a retry, a time limit, a cancel, the loss of
its run.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from flowbuilder.core.breakers import Who
from flowbuilder.core.errors import ExpressionError
from flowbuilder.core.records import Waited
from flowbuilder.runtime.breakers import KIND as BREAKER
from flowbuilder.runtime.breakers import Breakers
from flowbuilder.runtime.held import Held
from flowbuilder.runtime.queues import Queues
from flowbuilder.runtime.rates import KIND as RATE
from flowbuilder.runtime.rates import LATE, Rates
from flowbuilder.runtime.resources import KIND as RESOURCES
from flowbuilder.runtime.resources import Resources
from flowbuilder.runtime.slots import KIND as QUEUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbuilder.core.plan import LimitsPlan, Scope
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Execution


SWEEP_EVERY: Final = 3600.0
"""Seconds between two looks for states that say nothing any more."""


class Limits:
    """Lets attempts begin when all that bounds them allows it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._now = machine.clock.now
        self._sweep_at = self._now() + SWEEP_EVERY
        self.rates = Rates(machine, self.resume)
        self.breakers = Breakers(machine, self.resume)
        self.queues = Queues(machine, self.resume)
        self.resources = Resources(machine, self.resume)
        self._stages: tuple[Callable[[Held], bool], ...] = (
            self.breakers.look,
            self.rates.take,
            self.queues.take,
            self.resources.take,
            self._again_if_late,
            self.breakers.enter,
        )

    # -- coming ------------------------------------------------------------------

    def admit(self, execution: Execution, limits: LimitsPlan) -> bool:
        """Tell whether an attempt may begin now; if not, `Attempts.admitted` is called when it may."""
        run = execution.frame.run
        held = Held(execution, limits, Who(self._machine.id, run.id, execution.path), self._now())
        try:
            self._find_keys(held, execution.scope)
        except ExpressionError as error:
            self._machine.failures.fail(execution, error.kind, error.message)
            return False
        execution.held = held
        recovered = run.recovered
        if recovered is not None and recovered.admitted.pop(execution.path, None) == execution.attempt:
            held.stage = len(self._stages)  # it has begun before, and waited in the store for others
            return True
        if self._advance(held):
            self._note(held)
            return True
        return False

    def _note(self, held: Held) -> None:
        """Have the journal know that an attempt waits no longer, where somebody may ask."""
        execution = held.execution
        if held.shown or execution.task.kind in ("flow", "group"):
            held.shown = False
            run = execution.frame.run
            run.records.append(Waited(execution.path, execution.attempt, "", "", None, self._now()))
            self._machine.committer.touch(run)

    def _find_keys(self, held: Held, scope: Scope) -> None:
        limits, key_of = held.limits, self._machine.sealing.key_of
        if limits.rate is not None:
            held.rate_key = limits.own if limits.rate_key is None else key_of(limits.rate_key, scope)
        if limits.breaker is not None:
            held.breaker_key = limits.own if limits.breaker_key is None else key_of(limits.breaker_key, scope)
        if limits.queue is not None:
            held.queue_key = limits.flow if limits.queue_key is None else key_of(limits.queue_key, scope)

    def _advance(self, held: Held) -> bool:
        """Go on through the stages; False if it waits, or has failed."""
        stages = self._stages
        while held.stage < len(stages):
            stage = stages[held.stage]
            held.stage += 1
            if not stage(held):
                return False
        return True

    def resume(self, held: Held) -> None:
        """Go on with one whose wait is over."""
        execution = held.execution
        run = execution.frame.run
        if held.over or execution.ended or run.lost:
            return
        held.waits = None
        if run.held is not None:  # paused: it comes again, and holds nothing until then
            self._give_back(held)
            held.moment, held.stage = None, 0
            run.held.append(functools.partial(self.resume, held))
            return
        try:
            self._machine.attempts.unpark(execution)
            if self._advance(held):
                self._begin(held)
        except Exception as error:
            self._machine.phases.broken(run, error)
            return
        self._machine.scheduler.pump(run)

    def _begin(self, held: Held) -> None:
        """Have the attempt made that has come through."""
        execution = held.execution
        self._note(held)
        if execution.attempt == 1:
            execution.started_at = self._now()  # what it waited for says nothing of how long it takes
        self._machine.attempts.admitted(execution)

    def _again_if_late(self, held: Held) -> bool:
        """Ask the rate again where the queue has kept an attempt beyond its moment."""
        if held.moment is None or self._now() <= held.moment + LATE:
            return True
        held.moment = None
        if self.rates.has_room(held.rate_key):
            return self.rates.take(held)
        self._give_back(held)  # nobody holds a place while it waits for a moment
        held.stage = 1
        return self._advance(held)

    # -- going -------------------------------------------------------------------

    def failed(self, execution: Execution, kind: str) -> None:
        """Take in that an attempt failed: what it held is free, whatever becomes of the task."""
        held = execution.held
        assert held is not None
        execution.held = None
        self._leave(held, kind)

    def let_go(self, execution: Execution) -> None:
        """Give back what an execution holds that ends, or is given up."""
        held = execution.held
        assert held is not None
        execution.held = None
        self._leave(held, None)

    def _leave(self, held: Held, kind: str | None) -> None:
        if held.over:
            return
        held.over = True
        if held.timer is not None:
            held.timer.cancel()
            held.timer = None
        self._give_back(held)
        if held.limits.resources is not None:
            self.resources.look_soon()
        if held.limits.breaker is not None:
            self.breakers.leave(held, kind)

    def _give_back(self, held: Held) -> None:
        if held.place is not None:
            self.queues.give_back(held)
        if held.ask:
            self.resources.give_back(held)

    # -- upkeep --------------------------------------------------------------------

    async def close(self) -> None:
        """Return when the store knows what the next engine must know."""
        self.queues.close()
        await self.breakers.close()

    async def upkeep(self) -> None:
        """Look again at all that wait, and forget what nobody has asked for in a while."""
        self.rates.look()
        self.queues.look()
        self.resources.look()
        self.breakers.look_over()
        if self._now() < self._sweep_at:
            return
        self._sweep_at = self._now() + SWEEP_EVERY
        facts, now = self._machine.store.facts(), self._machine.clock.now()
        for kind in (RATE, BREAKER, QUEUE, RESOURCES):
            await self._machine.in_thread(functools.partial(facts.forget, kind, expired_at=now))
