"""Telling whoever watches what comes of triggers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flowbuilder.triggers.happenings import Happening, What

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbuilder.core.clock import Clock
    from flowbuilder.triggers.armed import Armed, Fired

_log = logging.getLogger("flowbuilder.triggers")


class Telling:
    """Tells a listener.

    Args:
        clock: the engine's.
        listen: is told what happens.
    """

    def __init__(self, clock: Clock, listen: Callable[[Happening], None]) -> None:
        self._clock = clock
        self._listen = listen

    def tell(
        self, what: What, of: Armed, *, run: str | None = None, message: str = "", at: float | None = None
    ) -> None:
        """Tell whoever watches what happens, now or at a moment that is over."""
        flow = of.name.partition("/")[0]
        at = self._clock.now() if at is None else at
        self._listen(Happening(what, at, flow=flow, trigger=of.name, run=run, message=message))

    def tell_fired(self, armed: Armed, fired: Fired) -> None:
        """Tell what came of a firing."""
        run = fired.row.id if fired.row is not None else None
        match fired.outcome:
            case "started":
                self.tell("fired", armed, run=run, at=None if fired.row is None else fired.row.created_at)
            case "refused":
                self.tell("refused", armed, run=run, message=fired.message)
            case "condition":
                self.tell("skipped", armed, message="its condition does not hold")
            case _:
                pass  # somebody else has told

    def warn(self, trigger: str, message: str) -> None:
        """Tell of something that ought not to be."""
        _log.warning("trigger %s: %s", trigger, message)
        self._listen(Happening("warning", self._clock.now(), trigger=trigger, message=message))
