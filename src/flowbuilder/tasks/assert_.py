"""`assert`: fails unless something holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.params import get_text, mapping, refuse
from flowbuilder.tasks.specs.notes import ASSERT

if TYPE_CHECKING:
    from flowbuilder.tasks.api import Call


class Assert:
    """Passes if `that` is true as the language sees it; a text is neither true nor false."""

    spec = ASSERT

    async def run(self, call: Call) -> None:
        """Look at it.

        Raises:
            TaskFailed: with `kind`, or `assert`, if it does not hold.
        """
        params = mapping(call.params)
        if "that" not in params or isinstance(params["that"], str):
            refuse("that", "a condition", params.get("that"))
        if not params["that"]:
            message = get_text(params, "message") or "what was to hold does not"
            raise TaskFailed(get_text(params, "kind") or "assert", message)
