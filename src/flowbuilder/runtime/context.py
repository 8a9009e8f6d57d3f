"""What expressions may ask for besides the outputs of tasks: `scope[CONTEXT]`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from flowbuilder.core import values
from flowbuilder.core.plan import UNSET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.storage.api import RunRow

_NOTHING: Final[Mapping[str, Any]] = {}
"""One for all runs that have no secrets, and no configuration: nothing is ever put into it."""
_NO_VARS: Final[list[Any]] = []
"""One for all flows without variables: nothing is ever put into it."""


class Context:
    """What holds for a whole run.

    `moment` and `place` are what `now()` says and what `uuid()` derives from:
    the engine sets them before it evaluates what asks for them.
    """

    __slots__ = (
        "_functions",
        "_occurrences",
        "_run",
        "_vars_view",
        "config",
        "env",
        "inputs",
        "moment",
        "place",
        "profile",
        "row",
        "secrets",
        "timezone",
        "trigger",
        "vars",
    )

    def __init__(self, plan: FlowPlan, inputs: dict[str, Any], row: RunRow) -> None:
        self.inputs = inputs
        self.env: Mapping[str, str] = plan.env
        self.secrets: Mapping[str, str] = _NOTHING
        self.row = row
        self._run: dict[str, Any] | None = None
        about = values.decode(row.about) if row.about is not None else _NOTHING
        self.trigger: Any = about.get("trigger")
        self.config: Mapping[str, Any] = about.get("config", _NOTHING)
        self.profile: str | None = about.get("profile")
        self.timezone = plan.timezone
        self.moment = 0.0
        self.place = ""
        self.vars: list[Any] = [UNSET] * len(plan.vars) if plan.vars else _NO_VARS
        self._functions = plan.vars
        self._occurrences: dict[str, int] | None = None
        self._vars_view: Context | None = None

    @property
    def run(self) -> dict[str, Any]:
        """What expressions see of the run; made when the first of them asks."""
        if self._run is None:
            row = self.row
            self._run = {
                "id": row.id,
                "key": row.key,
                "flow": row.flow,
                "started_at": dt.datetime.fromtimestamp(row.started_at or row.created_at, dt.UTC),
                "attempt": 1,
                "status": "running",
                "errors": [],
                "tasks": {},
            }
        return self._run

    def stand(self, place: str, moment: float) -> None:
        """Say where and when the expressions that follow are evaluated."""
        self.place = place
        self.moment = moment
        self._occurrences = None

    def occurrence(self, place_in_text: str) -> int:
        """Return how often this place of the text has been evaluated here before."""
        if self._occurrences is None:
            self._occurrences = {}
        count = self._occurrences.get(place_in_text, 0)
        self._occurrences[place_in_text] = count + 1
        return count

    def var(self, number: int) -> Any:
        """Return a variable, evaluated on first use, as of the moment when the run started."""
        value = self.vars[number]
        if value is UNSET:
            view = self._vars_view or self._make_vars_view()
            view.stand(f"{self.row.id}/vars/{number}", view.moment)
            value = self.vars[number] = self._functions[number](view)
        return value

    def _make_vars_view(self) -> Context:
        """Return a context of the same run whose moment is the run's start.

        A context of its own, because a variable is evaluated in the midst of
        a task's expressions, and their moment is another.
        """
        view = Context.__new__(Context)
        for name in Context.__slots__:
            setattr(view, name, getattr(self, name))
        view.moment = self.row.started_at or self.row.created_at
        view._vars_view = view
        self._vars_view = view
        return view
