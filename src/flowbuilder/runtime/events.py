"""The bus that carries what happens to whoever watches."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class RunEvent(msgspec.Struct, frozen=True, gc=False):
    """A run has a new status."""

    run_id: str
    flow: str
    status: str
    at: float
    error: dict[str, Any] | None = None


class TaskEvent(msgspec.Struct, frozen=True, gc=False):
    """A task, or an element of one, has a new status."""

    run_id: str
    task: str
    status: str
    at: float
    attempt: int = 1
    reason: str | None = None
    error: dict[str, Any] | None = None
    done: int | None = None
    """Of a map: elements that have ended, of `total`."""
    total: int | None = None


Event = RunEvent | TaskEvent


class Listener:
    """One watcher's queue; `run_id` None watches everything.

    The queue is bounded: a listener that does not keep up is cut off
    (`lost` is set and iteration ends), never waited for.
    """

    def __init__(self, run_id: str | None, limit: int) -> None:
        self.run_id = run_id
        self.lost = False
        self._limit = limit
        self._events: deque[Event | None] = deque()
        self._arrived = asyncio.Event()

    def put(self, event: Event) -> None:
        """Add an event, or cut the listener off."""
        if len(self._events) >= self._limit:
            self.lost = True
            self.close()
            return
        self._events.append(event)
        self._arrived.set()

    def close(self) -> None:
        """End the iteration behind what has arrived."""
        self._events.append(None)
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            while self._events:
                event = self._events.popleft()
                if event is None:
                    return
                yield event
            self._arrived.clear()
            await self._arrived.wait()


class EventBus:
    """Hands events to listeners.  Without listeners nobody makes an event: ask `active` first."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self.active = False
        """Whether anybody listens."""

    def listen(self, run_id: str | None = None, limit: int = 10_000) -> Listener:
        """Begin to collect events; call `leave` when done."""
        listener = Listener(run_id, limit)
        self._listeners.append(listener)
        self.active = True
        return listener

    def leave(self, listener: Listener) -> None:
        """Stop collecting."""
        if listener in self._listeners:
            self._drop(listener)
            listener.close()

    def emit(self, event: Event) -> None:
        """Hand an event to all that watch its run."""
        for listener in tuple(self._listeners):
            if listener.run_id is None or listener.run_id == event.run_id:
                listener.put(event)
            if listener.lost:
                self._drop(listener)

    def _drop(self, listener: Listener) -> None:
        self._listeners.remove(listener)
        self.active = bool(self._listeners)
