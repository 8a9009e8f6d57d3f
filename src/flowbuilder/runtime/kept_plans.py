"""Plans that are kept as long as anybody uses them, and a while longer.

A cache: a plan that was dropped is made again of its texts.  Who is up for
days and reads flows again and again would else keep each version that there
ever was.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import TypeVar

    from flowbuilder.core.plan import FlowPlan

    K = TypeVar("K", bound=Hashable)
    V = TypeVar("V")

RECENT: Final = 256
"""Plans that are kept though no run and no project has them, those that were used last."""


KNOWN: Final = 4096
"""Versions of which something small is known besides; what is asked for again is found out again."""


def remember(known: dict[K, V], version: K, what: V) -> V:
    """Note what is known of a version, and return it; what was noted first is forgotten when it is too much."""
    known[version] = what
    if len(known) > KNOWN:
        del known[next(iter(known))]
    return what


class KeptPlans:
    """Plans by what tells their versions apart.  Safe to use from many threads."""

    def __init__(self, recent: int = RECENT) -> None:
        self._all: weakref.WeakValueDictionary[Hashable, FlowPlan] = weakref.WeakValueDictionary()
        self._recent: OrderedDict[Hashable, FlowPlan] = OrderedDict()
        self._most = recent
        self._lock = threading.Lock()

    def get(self, version: Hashable) -> FlowPlan | None:
        """Return the plan of a version, if it is still there."""
        with self._lock:
            plan = self._all.get(version)
            if plan is not None:
                self._use(version, plan)
            return plan

    def put(self, version: Hashable, plan: FlowPlan) -> FlowPlan:
        """Keep a plan for its version from here on, and return it."""
        with self._lock:
            self._all[version] = plan
            self._use(version, plan)
            return plan

    def _use(self, version: Hashable, plan: FlowPlan) -> None:
        self._recent[version] = plan
        self._recent.move_to_end(version)
        if len(self._recent) > self._most:
            self._recent.popitem(last=False)

    def clear(self) -> None:
        """Forget all: they are made anew."""
        with self._lock:
            self._all.clear()
            self._recent.clear()
