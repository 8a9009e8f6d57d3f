"""Looking into a store without being an engine: lists, views, logs, and asking for a cancel."""

from __future__ import annotations

import functools
import math
import os
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

from flowbuilder.core import records, values
from flowbuilder.core.errors import NotFound
from flowbuilder.core.sealed import shown
from flowbuilder.runtime import orders
from flowbuilder.runtime.config import Config
from flowbuilder.runtime.encryption import Encryption
from flowbuilder.runtime.plans import Plans
from flowbuilder.runtime.project import find_project, key_file
from flowbuilder.runtime.sealing import Sealing
from flowbuilder.runtime.settings import read_settings
from flowbuilder.runtime.upkeep import ENGINE_FACT
from flowbuilder.runtime.views import RunView, view
from flowbuilder.sdk.events import (
    decide,
    find_events,
    make_event,
    open_approval,
    open_approvals,
    send_signal,
    voices_of,
)
from flowbuilder.storage.api import LIVE_STATUSES, RunFilter, RunRow
from flowbuilder.storage.factory import make_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from flowbuilder.core.approvals import OpenApproval, Voice
    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.core.records import Ended, Record, RoundEnded
    from flowbuilder.runtime.limit_states import LimitState
    from flowbuilder.runtime.timeline import Bar
    from flowbuilder.storage.api import Engine, Facts, Log, Order, Steered, Store, TaskStatistics
    from flowbuilder.storage.events import Event
    from flowbuilder.storage.liveness import Liveness


BEHIND: Final = "\x7f"
"""Sorts behind every character of an id."""
PAGE: Final = 1000
"""Live runs that are read at once."""
MANY: Final = 1_000_000
"""More than one run has children."""
OVERDUE: Final = 10.0
"""Seconds behind its moment at which a sleeping run is taken for one that nobody wakes."""


def find_row(store: Store, run_id: str) -> RunRow:
    """Return the run with an id, or the only one whose id begins so.

    Raises:
        NotFound: no run has this id, or several begin so; the hint says which.
    """
    if not run_id.isascii():  # also what the command line could not read as text
        raise NotFound("run", ascii(run_id)[1:-1], "`flowbuilder runs list` shows the runs of this store")
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
    """Return live runs that no living engine drives, newest first; not those that somebody paused.

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
        and row.status != "paused"
        and not (row.owner is None and row.status == "waiting" and _moment(row) > overdue)
        and not (alive and row.owner is None and row.status == "queued" and row.lane is not None)
    ]


def _moment(row: RunRow) -> float:
    """Return when a run that sleeps is due; one that an event has woken is so as of now, one may wait for ever."""
    return row.wake_at or math.inf


def _live(store: Store) -> Iterator[RunRow]:
    """Yield all live runs, newest first, a page at a time."""
    before = None
    while True:
        page = store.runs(RunFilter(status=LIVE_STATUSES, before=before, limit=PAGE))
        yield from page
        if len(page) < PAGE:
            return
        before = page[-1].id


def _plan_of(store: Store, plans: Plans, flow_hash: str) -> FlowPlan | None:
    definition = store.flow(flow_hash)
    return plans.to_look_at(flow_hash, definition)


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
        self._path = path

    @functools.cached_property
    def _sealing(self) -> Sealing:
        """What encrypts for the engines: by the keys of the project around the store."""
        project = find_project(Path(self._path).parent)
        config = read_settings(project, os.environ).config
        return Sealing(Encryption(key_file(project, config), os.environ), self._store.blobs)

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
        plan = self._plans.to_look_at(row.flow_hash, definition)
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

    def journal(self, run_id: str) -> list[Record]:
        """Return what was written down of a run, oldest first."""
        return [record for batch in self._store.journal(run_id) for record in records.decode(batch)]

    def output_of(self, record: Ended | RoundEnded) -> Any:
        """Return the output in a record as people may see it: what is sensitive is `***`."""
        encoded = self._store.blobs().get(record.blob) if record.blob is not None else record.output
        return shown(values.decode(encoded))

    def timeline(self, view: RunView) -> list[Bar]:
        """Return when each task of a run waited, ran and was tried again."""
        journal = self.journal(view.run_id)
        row = self.row(view.run_id)
        definition = self._store.flow(row.flow_hash)
        plan = self._plans.to_look_at(row.flow_hash, definition)
        from flowbuilder.runtime.timeline import timeline  # start-up time: seldom needed

        return timeline(view, journal, plan, time.time())

    def export(self, run_ids: Sequence[str], file: IO[bytes]) -> int:
        """Write runs with all that belongs to them to a file; returns how many."""
        from flowbuilder.sdk.archives import export_runs  # start-up time: seldom needed

        return export_runs(self._store, run_ids, file)

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

    def helpers(self) -> set[str]:
        """Return the engines that live and carry on what nobody drives, as those of `flowbuilder run` do not."""
        known = {fact.key for fact in self._store.facts().list(ENGINE_FACT)}
        return {engine.id for engine in self.engines() if engine.alive and engine.id in known}

    def descendants(self, run_ids: Sequence[str]) -> list[RunRow]:
        """List the live runs that runs have started, and those that these have, and so on."""
        found: list[RunRow] = []
        waiting = list(run_ids)
        while waiting:
            which = RunFilter(status=LIVE_STATUSES, parent=waiting.pop(), limit=MANY)
            children = self._store.runs(which)
            found += children
            waiting += [row.id for row in children]
        return found

    def waiting(self, but: str | None = None) -> list[RunRow]:
        """List live runs that nobody sees to: `runs resume` carries them on.

        Args:
            but: an engine that does not count, such as one that is about to close.
        """
        return left_behind(self._store, but)

    def limits(self, config: Config | None = None) -> list[LimitState]:
        """Return limits of tasks and flows as they stand; the settings say how large queues are."""
        from flowbuilder.runtime.limit_states import limit_states  # start-up time: few ask for it

        plans = functools.partial(_plan_of, self._store, self._plans)
        return limit_states(self._store, config or Config(), time.time(), plans)

    def facts(self) -> Facts:
        """Return what the store keeps beyond runs; it is open as long as the reader is."""
        return self._store.facts()

    def cancel(self, run_id: str, reason: str = "", *, undo: bool = True) -> bool:
        """Have a run cancelled by the engine that drives it, or by the next one; False if it has ended."""
        return self._steer(run_id, orders.cancel(time.time(), reason, undo=undo))

    def pause(self, run_id: str, reason: str = "") -> bool:
        """Have nothing more of a run start; False if it has ended, or is paused."""
        return self._steer(run_id, orders.pause(time.time(), reason))

    def resume(self, run_id: str) -> bool:
        """Let a paused run go on, in the engine that drives it or in the next one; False if it is not paused."""
        return self._steer(run_id, orders.resume(time.time()))

    def set_priority(self, run_id: str, priority: int) -> bool:
        """Have a run go before others, or behind them (0 to 100, more first); False if it has ended.

        Raises:
            InputError: the priority is none.
        """
        return self._steer(run_id, orders.priority(priority))

    def steer(self, run_ids: Sequence[str], order: Order) -> Steered:
        """Carry out an order for many runs, given by their whole ids; a thousand at once are a good number."""
        return self._store.steering().steer(run_ids, order)

    def _steer(self, run_id: str, order: Order) -> bool:
        row = self.row(run_id)
        if order.kind == "resume" and row.status != "paused":
            return False
        return not self.steer([row.id], order).left

    # -- events and approvals ----------------------------------------------------

    def emit(self, name: str, payload: Any = None, *, id: str | None = None, source: str = "person") -> str:
        """Emit an event, durably, and wake the engines; where there is none the next one sees it.

        Raises:
            InputError: the name is none, or the payload cannot be kept.
        """
        event = make_event(name, payload, id=id, source=source)
        self._store.events().emit(event)
        return event.id

    def signal(
        self,
        run_id: str,
        name: str,
        payload: Any = None,
        *,
        id: str | None = None,
        source: str = "person",
        anyway: bool = False,
    ) -> str:
        """Send a signal to a run, which is kept for it until a `wait` takes it.

        Args:
            run_id: the run.
            name: of the signal.
            payload: any value.
            id: makes sending it twice send it once.
            source: who sends it, for people.
            anyway: also where nothing in the run's flow waits for such a signal.

        Raises:
            NotFound, RunEnded, InputError: nothing was sent.
        """
        event = make_event(name, payload, id=id, source=source, run_id=self.row(run_id).id)
        send_signal(self._store, self._plans, self._sealing, event, anyway=anyway)
        return event.id

    def events(
        self, *names: str, since: float | None = None, after: int = 0, limit: int | None = None
    ) -> list[Event]:
        """List events of these names, or all, oldest first; with a `limit` the newest of them."""
        return find_events(self._store, names=names, since=since, after=after, limit=limit)

    def approvals(self, run_id: str | None = None) -> list[OpenApproval]:
        """List what is to be decided, oldest first; of one run, or of all."""
        return open_approvals(self._store, None if run_id is None else self.row(run_id).id)

    def approval(self, run_id: str, task: str | None = None) -> tuple[OpenApproval, list[Voice]]:
        """Return one approval and all voices; `task` may be left out where the run has one.

        Raises:
            NotFound, RunEnded: there is none.
        """
        found = open_approval(self._store, self.row(run_id), task)
        return found, voices_of(self._store, found)

    def approve(
        self, run_id: str, by: str, form: Mapping[str, Any] | None = None, *, task: str | None = None
    ) -> OpenApproval:
        """Approve what a run asks for, durably; the engine that drives the run, or the next one, counts it.

        Raises:
            NotFound, RunEnded, Conflict, InputError: it is not approved.
        """
        found = open_approval(self._store, self.row(run_id), task)
        decide(self._store, found, by, approve=True, form=form, sealing=self._sealing)
        return found

    def reject(self, run_id: str, by: str, reason: str = "", *, task: str | None = None) -> OpenApproval:
        """Reject it; raises as `approve` does."""
        found = open_approval(self._store, self.row(run_id), task)
        decide(self._store, found, by, approve=False, reason=reason, sealing=self._sealing)
        return found

    def delete(self, run_ids: Sequence[str]) -> int:
        """Delete ended runs with all that belongs to them; returns how many there were."""
        return self._store.delete_runs(list(run_ids))
