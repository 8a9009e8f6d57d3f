"""The handle of a run of a flow in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowbuilder.sdk.run import Run

if TYPE_CHECKING:
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.storage.api import RunRow


class FlowRun(Run):
    """A run whose result is what the flow's function is annotated to return."""

    __slots__ = ("_value",)

    def __init__(self, engine: Engine, row: RunRow, value: Callable[[Any], Any]) -> None:
        super().__init__(engine, row)
        self._value = value

    async def result(self, timeout: float | None = None) -> Any:
        """Wait for the run's end, and return what the flow returns; raises as `Run.result` does."""
        return self._value(await super().result(timeout))
