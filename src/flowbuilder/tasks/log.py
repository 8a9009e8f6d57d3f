"""`log`: a line in the run's log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.params import get_text, mapping, written
from flowbuilder.tasks.specs.notes import LOG

if TYPE_CHECKING:
    from flowbuilder.tasks.api import Call

LEVELS: Final = ("debug", "info", "warning", "error")


class Log:
    """Writes one line, with data beside it."""

    spec = LOG

    async def run(self, call: Call) -> None:
        """Write it."""
        params = mapping(call.params)
        level = get_text(params, "level") or "info"
        if level not in LEVELS:
            raise TaskFailed("input", f"'level' is one of {', '.join(LEVELS)}, not {level[:40]!r}")
        call.log(level, written(params.get("message"), "message"), params.get("data"))
