"""What a trigger waits for, in the engine: one class a kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flowbuilder.core.triggers import CronTrigger, EventTrigger, EveryTrigger, FileTrigger, FlowTrigger
from flowbuilder.triggers.events import Heard
from flowbuilder.triggers.files import Arrivals
from flowbuilder.triggers.flows import Ends
from flowbuilder.triggers.timed import Timed

if TYPE_CHECKING:
    from flowbuilder.triggers.armed import Armed
    from flowbuilder.triggers.service import Triggers
    from flowbuilder.triggers.state import Progress


class Source(Protocol):
    """A trigger while its flow is up."""

    armed: Armed
    progress: Progress

    def replace(self, armed: Armed) -> None:
        """Take another version of the trigger."""
        ...

    def pass_over(self) -> None:
        """Go on after a pause."""
        ...

    def look_at_clock(self) -> None:
        """Take in that the clock was set back, or that it was paused."""
        ...

    def next_moment(self) -> float | None:
        """Return when it comes next, where that is known."""
        ...

    def close(self) -> None:
        """Start nothing more."""
        ...


_KINDS: dict[type, type[Timed] | type[Heard] | type[Arrivals] | type[Ends]] = {
    CronTrigger: Timed,
    EveryTrigger: Timed,
    EventTrigger: Heard,
    FileTrigger: Arrivals,
    FlowTrigger: Ends,
}


def source_class(armed: Armed) -> type[Timed] | type[Heard] | type[Arrivals] | type[Ends] | None:
    """Return what serves a trigger; None for one that is served elsewhere."""
    return _KINDS.get(type(armed.trigger.kind))


def make_source(service: Triggers, armed: Armed, progress: Progress | None) -> Source | None:
    """Return a trigger at work."""
    kind = source_class(armed)
    return None if kind is None else kind(service, armed, progress)
