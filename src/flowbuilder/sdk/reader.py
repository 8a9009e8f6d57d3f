"""Looking into a store without being an engine: lists, views, logs, and asking for a cancel."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final, Self

from flowbuilder.core import values
from flowbuilder.core.errors import NotFound
from flowbuilder.runtime.plans import Plans
from flowbuilder.runtime.views import RunView, view
from flowbuilder.storage.api import LIVE, LIVE_STATUSES, RunFilter, RunRow
from flowbuilder.storage.factory import make_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.storage.api import Engine, Log, Store, TaskStatistics
    from flowbuilder.storage.liveness import Liveness


BEHIND: Final = "\x7f"
"""Sorts behind every character of an id."""
PAGE: Final = 1000
"""Live runs that are read at once."""
OVERDUE: Final = 10.0
"""Seconds behind its moment at which a sleeping run is taken for one that nobody wakes."""


def find_row(store: Store, run_id: str) -> RunRow:
    """Return the run with an id, or the only one whose id begins so.

    Raises:
        NotFound: no run has this id, or several begin so; the hint says which.
    """
    row = store.run(run_id)
    if row is not None:
        return row
    newest = store.runs(RunFilter(before=run_id + BEHIND, limit=4))
    alike = [row.id for row in newest if run_id and row.id.startswith(run_id)]
    if alike:
        some = ", ".join(alike[:3]) + (" …" if len(alike) > 3 else "")
        raise NotFound("run", run_id, f"several begin so, give more of the id: {some}")
    raise NotFound("run", run_id, "`flowbuilder runs list` shows the runs of this store")


def left_behind(store: Store, but: str | None = None) -> list[RunRow]:
    """Return live runs that no living engine drives, newest first.

    A run that sleeps in the store has no owner; an engine that lives wakes
    it, so it is among them only where there is none, or where it is overdue.

    Args:
        store: the store to look into.
        but: an engine that does not count.
    """
    alive = {engine.id for engine in store.engines() if engine.alive and engine.id != but}
    overdue = time.time() - OVERDUE if alive else math.inf
    return [
        row
        for row in _live(store)
        if row.owner not in alive
        and not (row.owner is None and row.status == "waiting" and (row.wake_at or 0.0) > overdue)
    ]


def _live(store: Store) -> Iterator[RunRow]:
    """Yield all live runs, newest first, a page at a time."""
    before = None
    while True:
        page = store.runs(RunFilter(status=LIVE_STATUSES, before=before, limit=PAGE))
        yield from page
        if len(page) < PAGE:
            return
        before = page[-1].id


class Reader:
    """A store as people look at it, beside whatever engines work on it.

    Every method blocks while it reads; none takes a lock that an engine
    would wait for.

    Raises:
        NotFound: there is no store at the path.
        StoreError: it cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self._store = make_store(path)
        self._store.open(None)
        self._plans = Plans()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def row(self, run_id: str) -> RunRow:
        """Return what is known of a run without its tasks.

        Raises:
            NotFound: no run has this id, or a prefix that no other has.
        """
        return find_row(self._store, run_id)

    def show(self, run_id: str) -> RunView:
        """Return a run with its tasks."""
        row = self.row(run_id)
        definition = self._store.flow(row.flow_hash)
        plan = self._plans.of_definition(row.flow_hash, definition) if definition is not None else None
        return view(self._store, row, plan)

    def plan(self, run_id: str) -> FlowPlan:
        """Return the plan of the version that a run was started with.

        Raises:
            NotFound: there is no such run, or its version is not kept any more.
        """
        row = self.row(run_id)
        definition = self._store.flow(row.flow_hash)
        if definition is None:
            raise NotFound("flow", row.flow, "its version is not kept any more")
        return self._plans.of_definition(row.flow_hash, definition)

    def runs(self, which: RunFilter | None = None) -> list[RunRow]:
        """List runs, newest first."""
        return self._store.runs(which or RunFilter())

    def logs(self, run_id: str, task: str | None = None, after: int = 0) -> list[tuple[int, Log]]:
        """Return what tasks of a run wrote, in order, each line with its number."""
        return self._store.logs(run_id, task, after)

    def definition(self, flow_hash: str) -> bytes | None:
        """Return the texts of a version of a flow that was run."""
        return self._store.flow(flow_hash)

    def statistics(self, flow: str) -> dict[str, TaskStatistics]:
        """Return what is known of a flow's tasks from earlier runs."""
        return self._store.statistics(flow)

    def engines(self) -> list[Engine]:
        """List the engines that have registered, and whether they live."""
        return self._store.engines()

    def liveness(self) -> Liveness:
        """Return what looks over all live runs: what each owns, and whether any is stuck."""
        return self._store.liveness()

    def waiting(self, but: str | None = None) -> list[RunRow]:
        """List live runs that nobody sees to: `runs resume` carries them on.

        Args:
            but: an engine that does not count, such as one that is about to close.
        """
        return left_behind(self._store, but)

    def send_cancel(self, run_id: str, reason: str) -> bool:
        """Ask the engine that drives a run to cancel it; False if the run has ended."""
        row = self.row(run_id)
        if row.status not in LIVE:
            return False
        self._store.send(row.id, "cancel", values.encode({"reason": reason}))
        return True

    def delete(self, run_ids: Sequence[str]) -> int:
        """Delete ended runs with all that belongs to them; returns how many there were."""
        return self._store.delete_runs(list(run_ids))
