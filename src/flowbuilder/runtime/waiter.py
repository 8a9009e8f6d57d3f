"""Who waits for an event: a task in memory, what it asks for, and what it has got."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from flowbuilder.storage.events import Subscription

if TYPE_CHECKING:
    from flowbuilder.runtime.state import Execution, RunState
    from flowbuilder.runtime.timers import Timer
    from flowbuilder.storage.events import Event


class Behaviour(Protocol):
    """What a kind of waiter does with what it is told."""

    def offered(self, waiter: Waiter, event: Event) -> None:
        """Take an event, or leave it."""
        ...

    def next_moment(self, waiter: Waiter) -> float | None:
        """Return when time itself has something to say."""
        ...

    def ticked(self, waiter: Waiter) -> None:
        """Do what is due by now; all that came until now was offered before."""
        ...

    def gave_up(self, waiter: Waiter) -> None:
        """Let go of what it keeps in the store beside its subscription."""
        ...


class Waiter:
    """A task that waits; what `Execution.handle` is meanwhile."""

    __slots__ = (
        "after",
        "asked",
        "away",
        "behaviour",
        "carried",
        "closed",
        "digest",
        "execution",
        "fresh",
        "got",
        "known",
        "member",
        "moment",
        "name",
        "numbers",
        "oldest",
        "registered",
        "run",
        "scope",
        "signal",
        "since",
        "subscribed",
        "timer",
        "until",
        "warned",
        "what",
    )

    def __init__(
        self, execution: Execution, behaviour: Behaviour, name: str, *, signal: bool, since: float
    ) -> None:
        self.execution = execution
        self.behaviour = behaviour
        self.run: RunState = execution.frame.run
        self.signal = signal
        self.name = name
        self.member = ""
        self.digest = ""
        """What the index is asked for (`core.matching`)."""
        self.asked: Any = None
        """What its behaviour knows of it."""
        self.since = since
        """When the wait began."""
        self.until: float | None = None
        self.oldest: float | None = None
        """What was emitted before counts for nothing; None: everything counts."""
        self.after = 0
        """The number of the last event that it was asked about."""
        self.fresh = True
        """It has not yet been asked about what came before it."""
        self.known = False
        """The store has its subscription from before, and knows what has met it."""
        self.got: list[Any] = []
        self.numbers: set[int] = set()
        """Those of the events that it took."""
        self.carried: list[Event] = []
        """What came before the run was brought here, and is still to be looked at."""
        self.moment = 0.0
        self.scope: list[Any] = []
        self.timer: Timer | None = None
        self.registered = False
        self.subscribed = False
        self.away = False
        """Its run is leaving memory: what comes is left to the store."""
        self.closed = False
        self.warned = False
        self.what = ""
        """What it waits for, for people."""

    @property
    def address(self) -> tuple[str | None, str]:
        """Return where what it waits for is sent to: (run, name)."""
        return (self.run.id if self.signal else None, self.name)

    def subscription(self) -> Subscription:
        """Return what stands for it in the store."""
        path = self.execution.path
        return Subscription(self.run.id, path, self.name, self.signal, self.member, self.digest, self.after)

    def tell(self, event: Event) -> None:
        """Be told of an event, each once, in order."""
        if not self.closed and not self.away and not self.run.lost and event.number > self.after:
            self.after = event.number
            self.behaviour.offered(self, event)
