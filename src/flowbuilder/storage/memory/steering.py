"""Orders for many runs at once, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.core import values
from flowbuilder.storage.api import LIVE, Command, Steered
from flowbuilder.storage.lanes import asked_at, cancel, ends_unbegun, unbegun_changes, waits_its_turn
from flowbuilder.storage.memory.lanes import MemoryBook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from flowbuilder.storage.api import Order, RunRow
    from flowbuilder.storage.memory.place import Place


class MemorySteering:
    """Passes `storage.api.Steering`.

    Args:
        reading: lends the contents of the store, locked, with all that was submitted in them.
        claim: makes the store's engine the owner of one run.
    """

    def __init__(
        self,
        reading: Callable[[], AbstractContextManager[Place]],
        claim: Callable[[str], RunRow | None],
    ) -> None:
        self._reading = reading
        self._claim = claim

    def claim(self, run_ids: Sequence[str]) -> list[RunRow]:
        """Make this engine the owner of runs that nobody else alive owns, and return them."""
        claimed = [self._claim(run_id) for run_id in dict.fromkeys(run_ids)]
        return [row for row in claimed if row is not None]

    def overdue(self, now: float, limit: int = 1000) -> list[RunRow]:
        """List runs at rest whose deadline has come, the earliest first."""
        with self._reading() as place:
            due = [(at, row.id, row) for at, row in _deadlines(place) if at <= now]
            return [msgspec.structs.replace(row) for _, _, row in sorted(due)[:limit]]

    def next_deadline(self) -> float | None:
        """Return the earliest deadline of a run at rest."""
        with self._reading() as place:
            return min((at for at, _ in _deadlines(place)), default=None)

    def steer(self, run_ids: Sequence[str], order: Order) -> Steered:
        """Carry out an order for so many runs, and wake those who have to do with it."""
        steered = Steered([], [], [], [])
        owners: set[str | None] = set()
        with self._reading() as place:
            for run_id in dict.fromkeys(run_ids):
                row = place.runs.get(run_id)
                if row is None or row.status not in LIVE or not _is_due(row, order):
                    steered.left.append(run_id)
                elif waits_its_turn(row) and not (row.status == "waiting" and _alive(place, row)):
                    if row.status not in order.only:
                        steered.left.append(run_id)
                    elif ends_unbegun(order):
                        reason = values.decode(order.payload).get("reason", "")
                        cancel(MemoryBook(place), run_id, asked_at(order), reason)
                        steered.ended.append(run_id)
                    else:
                        _change(place, row, order, {"owner": row.owner, **unbegun_changes(order)})
                        steered.written.append(run_id)
                elif waits_its_turn(row) and order.due is not None:
                    steered.left.append(run_id)  # it is being begun: whoever asks again finds it otherwise
                elif _alive(place, row) and row.status != "queued":
                    number = place.number()
                    place.commands[number] = Command(number, run_id, order.kind, order.payload)
                    if order.due is not None:
                        place.runs[run_id] = msgspec.structs.replace(row, deadline_at=None)
                    steered.told.append(run_id)
                    owners.add(row.owner)
                elif row.status in order.only:
                    changes = {**order.changes, "owner": None}
                    if row.status == "queued" and row.started_at is not None and "status" in order.changes:
                        changes["lane"] = None  # it has begun elsewhere, and asks for a place again
                    _change(place, row, order, changes)
                    steered.written.append(run_id)
                else:
                    steered.left.append(run_id)
            wakes = [wake for name, wake in place.bells.items() if steered.written or name in owners]
        for wake in wakes:
            wake()
        return steered


def _alive(place: Place, row: RunRow) -> bool:
    known = place.engines.get(row.owner) if row.owner is not None else None
    return known is not None and known.alive


def _is_due(row: RunRow, order: Order) -> bool:
    return order.due is None or (row.deadline_at is not None and row.deadline_at <= order.due)


def _deadlines(place: Place) -> Iterator[tuple[float, RunRow]]:
    """Yield runs at rest that have to end by a moment."""
    for row in place.runs.values():
        held = row.status == "waiting" and row.started_at is None
        if row.deadline_at is not None and (held or row.status in ("queued", "paused")):
            yield row.deadline_at, row


def _change(place: Place, row: RunRow, order: Order, changes: Mapping[str, Any]) -> None:
    crashed = row.owner is not None and row.owner not in place.left and row.status == "running"
    if order.batch is not None:
        journal = place.journals[row.id]
        journal[max(journal, default=-1) + 1] = order.batch
    place.runs[row.id] = msgspec.structs.replace(row, **changes, crashes=row.crashes + crashed)
