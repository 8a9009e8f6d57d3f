"""What came of a test: of its one run, or of several and of all of them together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.core import values
from flowbuilder.core.errors import FlowBuilderError
from flowbuilder.runtime.recovered import replay
from flowbuilder.runtime.views import RunView
from flowbuilder.testing.cases.branches import BRANCH
from flowbuilder.testing.cases.mocks import Called
from flowbuilder.testing.cases.sending import SOURCE

if TYPE_CHECKING:
    from flowbuilder.sdk.engine import Engine


class Outcome(msgspec.Struct):
    """What came of a run in a test, or of all runs of a test together."""

    status: str
    outputs: Any = None
    error: dict[str, Any] | None = None
    view: RunView | None = None
    """None where the run did not start, and for several together."""
    calls: list[Called] = []
    order: list[str] = []
    """Paths of tasks in the order in which they ended; for several runs together, names of runs."""
    events: list[tuple[str, Any]] = []
    """What was emitted: names and payloads."""
    logs: list[str] = []
    duration: float = 0.0
    """Seconds of virtual time."""
    seconds: float = 0.0
    """Seconds on the wall."""
    problem: str | None = None
    """Why the test could not be carried to its end."""
    branches: dict[str, int] = {}
    """For each task that chooses a value, the number of the case that held."""
    runs: dict[str, Outcome] = {}
    """Of several runs, each by its name."""
    unsent: list[str] = []
    """What was to be sent to it, and was not: the run had ended, or never asked for it."""
    same_as: str | None = None
    """The run before this one that its start has given, by name."""

    @property
    def each(self) -> list[Outcome]:
        """Return what came of each run by itself, none of them twice."""
        return [one for one in self.runs.values() if one.same_as is None] or [self]


async def outcome_of(
    engine: Engine, run_id: str, calls: list[Called], duration: float, problem: str | None
) -> Outcome:
    """Return what came of one run that has ended.

    Args:
        engine: where it ran.
        run_id: the run.
        calls: those of all mocks; what its sub-flows called is its too.
        duration: seconds of virtual time.
        problem: why it could not be carried to its end.
    """
    view = await engine.show(run_id)
    branches = {path: view.tasks.pop(path).output for path in list(view.tasks) if path.endswith(BRANCH)}
    store = engine.core.machine.store
    journal = replay(store.journal(run_id), store.blobs().get)
    family = _Family(engine, run_id)
    return Outcome(
        status=view.status,
        outputs=values.to_json(view.outputs),
        error=view.error,
        view=view,
        calls=[call for call in calls if await family.has(call.run)],
        order=[path for path in journal.ended if not path.endswith(BRANCH)],
        events=[
            (event.name, values.decode(event.payload))
            for event in await engine.events()
            if event.source != SOURCE and await family.has(event.source.partition("/")[0])
        ],
        logs=[line.message for _, line in await engine.logs(run_id)],
        duration=duration,
        problem=problem,
        branches={
            path.removesuffix(BRANCH): number for path, number in branches.items() if number is not None
        },
    )


class _Family:
    """A run and those of its sub-flows, theirs among them."""

    def __init__(self, engine: Engine, run_id: str) -> None:
        self._engine = engine
        self._known = {run_id: True}

    async def has(self, id: str) -> bool:
        """Tell whether a run belongs to it."""
        if id not in self._known:
            try:
                parent = (await self._engine.row(id)).parent
            except FlowBuilderError:  # who has emitted an event need not be a run
                parent = None
            self._known[id] = parent is not None and await self.has(parent)
        return self._known[id]
