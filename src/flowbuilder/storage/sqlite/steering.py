"""Orders for many runs at once: commands for living owners, changes of what nobody alive owns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flowbuilder.core import values
from flowbuilder.storage.api import Steered
from flowbuilder.storage.lanes import asked_at, cancel, ends_unbegun, unbegun_changes
from flowbuilder.storage.sqlite import commands, deadlines, lanes, runs
from flowbuilder.storage.sqlite.query import all_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import apsw

    from flowbuilder.storage.api import Order, RunRow
    from flowbuilder.storage.sqlite.engines import Engines

_THESE = "(SELECT value FROM json_each(?))"
_FIND = (
    "SELECT id, owner, status, "
    "lane IS NOT NULL AND started_at IS NULL AND status IN ('queued', 'waiting', 'paused') "
    f"FROM runs WHERE id IN {_THESE} AND {runs.LIVE_SQL} AND (?2 IS NULL OR deadline_at <= ?2)"
)
_TELL = "INSERT INTO commands (run_id, kind, payload) SELECT value, ?, ? FROM json_each(?)"
_APPEND = (
    "INSERT INTO journal SELECT id, max(first_batch IS NOT NULL, "
    "coalesce((SELECT max(sequence) + 1 FROM journal WHERE run_id = runs.id), 0)), ? "
    f"FROM runs WHERE id IN {_THESE}"
)
_CRASHED = (
    f"UPDATE runs SET crashes = crashes + 1 WHERE id IN {_THESE} AND status = 'running' AND owner IS NOT NULL "
    "AND NOT EXISTS (SELECT 1 FROM engines WHERE engines.id = runs.owner AND left_at IS NOT NULL)"
)


# what is queued though it has begun (elsewhere) is asked for a place again when it goes on
_LEAVE_LANES = (
    f"UPDATE runs SET lane = NULL WHERE id IN {_THESE} AND lane IS NOT NULL AND started_at IS NOT NULL "
    "AND status = 'queued'"
)


class SqliteSteering:
    """Passes `storage.api.Steering`.

    Args:
        read: carries out a query on a connection for readers.
        write: carries out work within a transaction of the writer, and returns when it is durable.
        engines: of the store; knows who lives.
        owner: returns this engine's id, or raises where there is none.
    """

    def __init__(self, read: Any, write: Any, engines: Engines, owner: Callable[[], str]) -> None:
        self._read = read
        self._write = write
        self._engines = engines
        self._owner = owner

    def steer(self, run_ids: Sequence[str], order: Order) -> Steered:
        """Carry out an order for so many runs, and wake those who have to do with it."""
        wake: set[str] = set()

        def work(cursor: apsw.Cursor) -> Steered:
            wake.clear()
            return self._steer(cursor, list(dict.fromkeys(run_ids)), order, wake)

        steered: Steered = self._write(work)
        for name in wake:
            commands.ring(self._engines.bell_of(name))
        return steered

    def claim(self, run_ids: Sequence[str]) -> list[RunRow]:
        """Make this engine the owner of runs that nobody else alive owns, and return them."""
        engine = self._owner()

        def work(cursor: apsw.Cursor) -> list[RunRow]:
            claimed = [self._engines.claim(cursor, engine, run_id) for run_id in dict.fromkeys(run_ids)]
            return [row for row in claimed if row is not None]

        rows: list[RunRow] = self._write(work)
        return rows

    def overdue(self, now: float, limit: int = 1000) -> list[RunRow]:
        """List runs at rest whose deadline has come, the earliest first."""
        rows: list[RunRow] = self._read(lambda cursor: deadlines.overdue(cursor, now, limit))
        return rows

    def next_deadline(self) -> float | None:
        """Return the earliest deadline of a run at rest."""
        moment: float | None = self._read(deadlines.next_deadline)
        return moment

    def _steer(self, cursor: apsw.Cursor, run_ids: list[str], order: Order, wake: set[str]) -> Steered:
        alive: dict[str | None, bool] = {None: False}
        told: list[str] = []
        written: list[str] = []
        waiting: list[str] = []
        for run_id, owner, status, waits_its_turn in all_rows(
            cursor, _FIND, (json.dumps(run_ids), order.due)
        ):
            if owner not in alive:
                alive[owner] = self._engines.alive(owner)
            if waits_its_turn and not (status == "waiting" and alive[owner]):
                if status in order.only:
                    waiting.append(run_id)
            elif waits_its_turn and order.due is not None:
                pass  # it is being begun at this moment, or queued: whoever asks again finds it so
            elif alive[owner] and status != "queued":
                told.append(run_id)
                wake.add(owner)
            elif status in order.only:
                written.append(run_id)
        if told:
            cursor.execute(_TELL, (order.kind, order.payload, json.dumps(told)))
            if order.due is not None:
                runs.update(cursor, {run_id: {"deadline_at": None} for run_id in told})
        if written:
            if "status" in order.changes:
                cursor.execute(_LEAVE_LANES, (json.dumps(written),))
            self._change(cursor, written, order)
        ended = self._of_waiting(cursor, waiting, order)
        written += [run_id for run_id in waiting if run_id not in ended]
        if written:
            wake.update(engine.id for engine in self._engines.listed(cursor) if engine.alive)
        known = {*told, *written, *ended}
        return Steered(told, written, [run_id for run_id in run_ids if run_id not in known], ended)

    def _of_waiting(self, cursor: apsw.Cursor, run_ids: list[str], order: Order) -> list[str]:
        """Change runs that wait for their turn, whoever may begin them; returns those that it ended."""
        if ends_unbegun(order):
            book = lanes.SqliteBook(cursor, self._engines.alive)
            at, reason = asked_at(order), values.decode(order.payload).get("reason", "")
            return [run_id for run_id in run_ids if cancel(book, run_id, at, reason) is not None]
        if order.batch is not None and run_ids:
            cursor.execute(_APPEND, (order.batch, json.dumps(run_ids)))
        runs.update(cursor, dict.fromkeys(run_ids, unbegun_changes(order)))
        return []

    @staticmethod
    def _change(cursor: apsw.Cursor, run_ids: list[str], order: Order) -> None:
        these = json.dumps(run_ids)
        cursor.execute(_CRASHED, (these,))
        if order.batch is not None:
            cursor.execute(_APPEND, (order.batch, these))
        changes = {**order.changes, "owner": None}
        runs.update(cursor, dict.fromkeys(run_ids, changes))
