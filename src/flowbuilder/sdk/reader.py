"""Looking into a store without being an engine: lists, views, logs, and asking for a cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from flowbuilder.core import values
from flowbuilder.core.errors import NotFound
from flowbuilder.runtime.plans import Plans
from flowbuilder.runtime.views import RunView, view
from flowbuilder.storage.api import LIVE, RunFilter, RunRow
from flowbuilder.storage.factory import make_store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flowbuilder.storage.api import Engine, Log, TaskStatistics


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
        row = self._store.run(run_id)
        if row is None:
            raise NotFound("run", run_id, "`flowbuilder runs list` shows the runs of this store")
        return row

    def show(self, run_id: str) -> RunView:
        """Return a run with its tasks."""
        row = self.row(run_id)
        definition = self._store.flow(row.flow_hash)
        plan = self._plans.of_definition(row.flow_hash, definition) if definition is not None else None
        return view(self._store, row, plan)

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

    def waiting(self) -> list[RunRow]:
        """List live runs that no living engine drives: `runs resume` carries them on."""
        alive = {engine.id for engine in self._store.engines() if engine.alive}
        live = self._store.runs(RunFilter(status=tuple(sorted(LIVE)), limit=1000))  # type: ignore[arg-type]
        return [row for row in live if row.owner not in alive]

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
