"""Keeps the order of plans in step with what earlier runs took.

The store's statistics of a flow have an epoch, which changes when a figure
changes by an order of magnitude.  A plan is weighed when the engine first uses
it, and again when it is found that the epoch has changed.
"""

from __future__ import annotations

import functools
import threading
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbuilder.core.clock import Clock
    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.machine import Machine

LOOK_EVERY = 10.0
"""Seconds between two looks at the epochs of flows that run."""


class Weighing:
    """What the engine's plans were last weighed by."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._clock: Clock = machine.clock
        self._weighed: weakref.WeakKeyDictionary[FlowPlan, int] = weakref.WeakKeyDictionary()
        """The epoch of the statistics that a plan was weighed by; a plan that nobody has any more goes."""
        self._lock = threading.Lock()
        self._looked = 0.0

    def at_first(self, plan: FlowPlan) -> None:
        """Weigh a plan that the engine has not used before; reads the store, on a thread.

        Raises:
            StoreError: the store cannot be read.
        """
        if plan not in self._weighed:
            self._weigh(plan, 0)

    def look_again(self, flows: Iterable[str]) -> None:
        """See, in the background and now and then, whether plans of these flows are to be weighed anew."""
        now = self._clock.monotonic()
        if now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        names = set(flows)
        with self._lock:  # plans are weighed on threads
            plans = [(plan, epoch) for plan, epoch in self._weighed.items() if plan.name in names]
        if plans:
            look = functools.partial(self._look, plans)
            self._machine.recovery.in_background(self._machine.in_thread(look))

    def _look(self, plans: list[tuple[FlowPlan, int]]) -> None:
        for plan, epoch in plans:
            self._weigh(plan, epoch)

    def _weigh(self, plan: FlowPlan, before: int) -> None:
        """Arrange a plan on this thread: each list of it is replaced whole, so that no run sees half of it."""
        store = self._machine.store
        epoch = store.statistics_epoch(plan.name)
        if epoch != before:
            plan.weigh(store.statistics(plan.name))
        with self._lock:
            self._weighed[plan] = epoch
