"""What all triggers have in common while their flow is up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.triggers.state import SCHEDULE, Progress, fact

if TYPE_CHECKING:
    from flowbuilder.triggers.armed import Armed, Fired
    from flowbuilder.triggers.service import Triggers


class AtWork:
    """One trigger.

    Args:
        service: what it is a part of.
        armed: the trigger.
        progress: how far it had come, if anything is known of it.
    """

    def __init__(self, service: Triggers, armed: Armed, progress: Progress | None) -> None:
        self._service = service
        self._machine = service.machine
        self.armed = armed
        self.closed = False
        self.progress = progress or Progress(last=self._machine.clock.now())

    @property
    def name(self) -> str:
        """Its full name."""
        return self.armed.name

    @property
    def idle(self) -> bool:
        """Whether it starts nothing: it is disabled, paused, or taken out of force."""
        return self.closed or not self.armed.trigger.enabled or self.name in self._service.asking.pauses

    def next_moment(self) -> float | None:
        """Return when it comes next; None where nobody knows, or it does not."""
        return None

    def close(self) -> None:
        """Start nothing more."""
        self.closed = True

    def count(self, fired: Fired) -> None:
        """Note what came of a firing."""
        run_id = fired.row.id if fired.row is not None else None
        self.progress.count(fired.outcome, run_id, self._machine.clock.now())

    def note(self) -> None:
        """Have it written down how far the trigger has come."""
        self.progress.next = self.next_moment()
        self._service.keeper.keep(fact(SCHEDULE, self.name, self.progress))
