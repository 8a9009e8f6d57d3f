"""What triggers have in common that wait for something else than time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.triggers.state import SCHEDULE, Progress, fact

if TYPE_CHECKING:
    from flowbuilder.triggers.armed import Armed, Fired
    from flowbuilder.triggers.service import Triggers


class Untimed:
    """One trigger, while its flow is up.

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

    def take(self, armed: Armed) -> bool:
        """Take a version of the trigger; whether it begins anew: it waits for something else, or was disabled."""
        progress, off = self.progress, not armed.trigger.enabled
        anew = progress.about not in ("", armed.about) or (progress.off and not off)
        changed = progress.off != off
        self.armed = armed
        progress.about, progress.file, progress.off = armed.about, armed.file, off
        if changed:
            self.note()
        return anew

    def look_at_clock(self) -> None:
        """Nothing of it goes by the clock."""

    def close(self) -> None:
        """Start nothing more."""
        self.closed = True

    def next_moment(self) -> float | None:
        """Return nothing: nobody knows when it comes."""
        return None

    @property
    def idle(self) -> bool:
        """Whether it starts nothing: it is disabled, paused, or taken out of force."""
        return self.closed or not self.armed.trigger.enabled or self.armed.name in self._service.asking.pauses

    def count(self, fired: Fired) -> None:
        """Note what came of a firing."""
        run_id = fired.row.id if fired.row is not None else None
        self.progress.count(fired.outcome, run_id, self._machine.clock.now())

    def note(self) -> None:
        """Have it written down how far the trigger has come."""
        self._service.keeper.keep(fact(SCHEDULE, self.armed.name, self.progress))
