"""What triggers have in common that wait for something else than time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.triggers.at_work import AtWork

if TYPE_CHECKING:
    from flowbuilder.triggers.armed import Armed


class Untimed(AtWork):
    """One trigger that nobody knows of when it comes."""

    def take(self, armed: Armed) -> bool:
        """Take a version of the trigger; whether it waits for something else than the one before."""
        other = self.progress.about not in ("", armed.about)
        self.armed = armed
        self.progress.about, self.progress.file = armed.about, armed.file
        return other

    def look_at_clock(self) -> None:
        """Nothing of it goes by the clock."""
