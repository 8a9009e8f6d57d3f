"""What is remembered of triggers, as facts of the store.

Who writes what is kept apart, so that nobody overwrites what another has
said: engines write how far a schedule has come, people write that it is
paused and ask for runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from flowbuilder.storage.api import Fact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbuilder.storage.api import Store

SCHEDULE: Final = "schedule"
"""Kind of facts: how far a trigger has come."""
TURN: Final = "schedule.turn"
"""Kind of facts: whose turn it is, of a trigger whose runs come one after the other."""
PAUSE: Final = "schedule.pause"
"""Kind of facts: a trigger is paused."""
ASK: Final = "schedule.ask"
"""Kind of facts: somebody asks for a run now."""
ARRIVAL: Final = "schedule.arrival"
"""Kind of facts: a file that was taken."""
PAGE: Final = 1000

T = TypeVar("T")


class Progress(msgspec.Struct, omit_defaults=True):
    """How far a trigger has come."""

    last: float
    """The newest moment that was seen to; nothing up to it is ever started again."""
    about: str = ""
    """What the trigger was then: one that says something else begins anew."""
    run: str | None = None
    """The newest run that it started."""
    fired_at: float | None = None
    runs: int = 0
    """How many it has started."""
    skipped: int = 0
    """Moments that no run was started for: overlap, `if`, `catch_up`."""
    queue: list[float] = []
    """Moments that wait until the run before has ended."""
    file: str = ""
    """The flow's file."""
    next: float | None = None
    number: int | None = None
    """Of events: the number of the last one that was seen to."""
    passed: list[str] = []
    """Of other flows: runs that `if` has left out, the newest."""
    low: float | None = None
    """Of other flows: the oldest start among their runs that were live at the last look."""

    def count(self, outcome: str, run: str | None, now: float) -> None:
        """Note what came of a firing."""
        if run is not None:
            self.run = run
        if outcome in ("started", "refused"):
            self.runs += 1
            self.fired_at = now
        elif outcome == "condition":
            self.skipped += 1


class Pause(msgspec.Struct):
    """A trigger is paused."""

    by: str
    at: float
    reason: str = ""


class Ask(msgspec.Struct):
    """Somebody asks for a run of a trigger now."""

    trigger: str
    """Its full name: `flow/trigger`."""
    by: str
    at: float
    profile: str | None = None
    """The one that is to hold for the run."""


def full_name(flow: str, trigger: str) -> str:
    """Return what a trigger is called among all of a project."""
    return f"{flow}/{trigger}"


def fact(kind: str, key: str, value: msgspec.Struct, expires_at: float | None = None) -> Fact:
    """Return a struct as a fact."""
    return Fact(kind, key, msgspec.msgpack.encode(value), expires_at)


def read(found: Fact, kind: type[T]) -> T:
    """Return a fact as the struct that it is."""
    return msgspec.msgpack.decode(found.value, type=kind)


def each(store: Store, kind: str, prefix: str = "") -> Iterator[Fact]:
    """Yield all facts of a kind, a page at a time; blocks while it reads."""
    after = ""
    while True:
        page = store.facts().list(kind, prefix=prefix, after=after, limit=PAGE)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].key


def all_of(store: Store, kind: str, as_: type[T], prefix: str = "") -> dict[str, T]:
    """Return all facts of a kind by their key; blocks while it reads."""
    return {found.key: read(found, as_) for found in each(store, kind, prefix)}
