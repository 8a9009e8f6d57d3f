"""`fail`: an error of the author's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.core.errors import TaskFailed
from flowbuilder.tasks.params import get_text, mapping, written
from flowbuilder.tasks.specs.notes import FAIL

if TYPE_CHECKING:
    from flowbuilder.tasks.api import Call


class Fail:
    """Fails with the kind, the message and the data that it is given."""

    spec = FAIL

    async def run(self, call: Call) -> None:
        """Fail.

        Raises:
            TaskFailed: always.
        """
        params = mapping(call.params)
        message = written(params.get("message"), "message")
        raise TaskFailed(get_text(params, "kind") or "fail", message, params.get("data"))
