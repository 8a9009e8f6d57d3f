"""Queues: so many attempts at once, in all engines together; keys take turns.

A key is what somebody must not be starved by: a flow, a customer.  Each in
its turn starts its most urgent attempt, so that one that is busy delays the
others by no more than its own share.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from typing import TYPE_CHECKING, Final

from flowbuilder.core.records import Waited
from flowbuilder.runtime.config import QueueConfig
from flowbuilder.runtime.slots import SharedSlots, Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowbuilder.core.urgency import Rank
    from flowbuilder.runtime.held import Held
    from flowbuilder.runtime.machine import Machine

SHOWN_AFTER: Final = 1.0
"""Seconds of waiting after which the journal says so, for those who look from outside."""


class QueueKey:
    """Those of a queue that wait with one key."""

    __slots__ = ("in_turn", "key", "queue", "used", "waiting")

    def __init__(self, queue: Queue, key: str) -> None:
        self.queue = queue
        self.key = key
        self.waiting: list[tuple[Rank, int, Held]] = []
        self.used = 0
        self.in_turn = False
        """It stands in the ring of those whose turn comes."""


class Queue:
    """A queue, as this engine sees it."""

    def __init__(self, name: str, config: QueueConfig) -> None:
        self.name = name
        self.config = config
        self.keys: dict[str, QueueKey] = {}
        self.ring: deque[QueueKey] = deque()
        self.waiting = 0
        """How many wait, those that were given up meanwhile among them."""
        self.soon = False
        """It is served at the next turn of the loop."""


class Queues:
    """Gives attempts places.

    Args:
        machine: the engine's parts.
        resume: goes on with an attempt that has a place.
    """

    def __init__(self, machine: Machine, resume: Callable[[Held], None]) -> None:
        self._machine = machine
        self._resume = resume
        self._shared = SharedSlots(machine, self._on_slots)
        self._queues: dict[str, Queue] = {}
        self._order = itertools.count()
        self._unshown: deque[Held] = deque()

    # -- coming --------------------------------------------------------------------

    def take(self, held: Held) -> bool:
        """Tell whether an attempt has a place now; if not, it waits."""
        name = held.limits.queue
        if name is None or held.place is not None:
            return True
        queue = self._queue(name)
        key = queue.keys.get(held.queue_key)
        if key is None:
            key = queue.keys[held.queue_key] = QueueKey(queue, held.queue_key)
        if not queue.waiting and self._slots(queue).is_free and self._key_is_free(key):
            self._put_in(held, key)
            return True
        heapq.heappush(key.waiting, (held.rank, next(self._order), held))
        queue.waiting += 1
        held.waits = f"waits for a place in the queue '{name}'"
        held.since = self._machine.loop.time()
        if not self._unshown:
            self._machine.loop.call_later(SHOWN_AFTER, self._show)
        self._unshown.append(held)
        self._stand_in_line(key)
        self._serve_soon(queue)
        return False

    def give_back(self, held: Held) -> None:
        """Take back the place of an attempt."""
        key, held.place = held.place, None
        assert key is not None
        queue = key.queue
        key.used -= 1
        self._shared.give_back(self._slots(queue))
        if queue.config.per_key:
            self._shared.give_back(self._key_slots(key))
            self._stand_in_line(key)
        if queue.waiting:
            self._serve_soon(queue)
        if not (key.used or key.waiting or key.in_turn):
            queue.keys.pop(key.key, None)

    def _queue(self, name: str) -> Queue:
        queue = self._queues.get(name)
        if queue is None:
            # a run may have begun when the settings still had it: it is carried on, one attempt at a time
            config = self._machine.config.queues.get(name, QueueConfig())
            queue = self._queues[name] = Queue(name, config)
        return queue

    def _slots(self, queue: Queue) -> Slots:
        return self._shared.named(queue.name, queue.config.concurrency)

    def _key_slots(self, key: QueueKey) -> Slots:
        return self._shared.named(f"{key.queue.name}/{key.key}", key.queue.config.per_key)

    def _key_is_free(self, key: QueueKey) -> bool:
        return not key.queue.config.per_key or self._key_slots(key).is_free

    def _put_in(self, held: Held, key: QueueKey) -> None:
        held.place = key
        key.used += 1
        self._shared.take(self._slots(key.queue))
        if key.queue.config.per_key:
            self._shared.take(self._key_slots(key))

    # -- serving -------------------------------------------------------------------

    def _stand_in_line(self, key: QueueKey) -> None:
        if key.waiting and not key.in_turn:
            key.in_turn = True
            key.queue.ring.append(key)

    def _serve_soon(self, queue: Queue) -> None:
        """Serve at the next turn of the loop: not from here, where attempts would pile up on the stack."""
        if not queue.soon:
            queue.soon = True
            self._machine.loop.call_soon(self._serve, queue)

    def _serve(self, queue: Queue) -> None:
        """Let those begin for whom there are places, one of each key in turn."""
        queue.soon = False
        slots, ring = self._slots(queue), queue.ring
        while ring and slots.is_free:
            key = ring.popleft()
            key.in_turn = False
            held = self._first(key)
            if held is None:
                if not key.used:
                    queue.keys.pop(key.key, None)
                continue
            if not self._key_is_free(key):
                self._shared.want(self._key_slots(key), len(key.waiting))
                continue  # it stands in line again when a place of its own has come
            heapq.heappop(key.waiting)
            queue.waiting -= 1
            self._put_in(held, key)
            self._stand_in_line(key)
            self._resume(held)
        self._shared.want(slots, queue.waiting if ring else 0)

    @staticmethod
    def _first(key: QueueKey) -> Held | None:
        """Return the most urgent of a key, without those that were given up."""
        while key.waiting:
            held = key.waiting[0][2]
            if not held.over:
                return held
            heapq.heappop(key.waiting)
            key.queue.waiting -= 1
        return None

    def _on_slots(self, slots: Slots) -> None:
        """Serve those who may wait for places that have come."""
        name, _, key_name = slots.name.partition("/")
        queue = self._queues.get(name)
        if queue is None:
            return
        key = queue.keys.get(key_name) if slots.name != name else None
        if key is not None:
            slots.wanted = len(key.waiting) if not slots.is_free else 0
            self._stand_in_line(key)
        if queue.waiting:
            self._serve_soon(queue)
        elif slots.name == name:
            slots.wanted = 0

    # -- for people ------------------------------------------------------------------

    def _show(self) -> None:
        """Have the journal say of those that have waited for long that they wait."""
        unshown, now = self._unshown, self._machine.loop.time()
        while unshown and (unshown[0].waits is None or unshown[0].since + SHOWN_AFTER <= now):
            held = unshown.popleft()
            execution, run = held.execution, held.execution.frame.run
            if held.over or held.waits is None or held.shown or run.lost or run.ended:
                continue
            held.shown = True
            at = self._machine.clock.now()
            run.records.append(
                Waited(execution.path, execution.attempt, "queue", held.limits.queue or "", None, at)
            )
            self._machine.committer.touch(run)
        if unshown:
            self._machine.loop.call_later(unshown[0].since + SHOWN_AFTER - now, self._show)

    def waiting(self) -> Iterator[tuple[str, str, int]]:
        """Yield each queue and key with how many of this engine's attempts wait there."""
        for queue in self._queues.values():
            for key in queue.keys.values():
                if key.waiting:
                    yield queue.name, key.key, len(key.waiting)

    # -- upkeep ------------------------------------------------------------------------

    def look(self) -> None:
        """Look again at all that wait."""
        for queue in self._queues.values():
            if queue.waiting:
                for key in list(queue.keys.values()):
                    self._stand_in_line(key)
                self._serve_soon(queue)

    def close(self) -> None:
        """Look no more at what other engines want."""
        self._shared.close()
