"""What triggers have in common that wait for something else than time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.triggers.at_work import AtWork

if TYPE_CHECKING:
    from flowbuilder.triggers.armed import Armed


class Untimed(AtWork):
    """One trigger that nobody knows of when it comes."""

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
