"""Orders for many runs at once, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from flowbuilder.core import values
from flowbuilder.storage.api import LIVE, Command, Steered
from flowbuilder.storage.lanes import asked_at, cancel, waits_its_turn
from flowbuilder.storage.memory.lanes import MemoryBook

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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

    def steer(self, run_ids: Sequence[str], order: Order) -> Steered:
        """Carry out an order for so many runs, and wake those who have to do with it."""
        steered = Steered([], [], [], [])
        owners: set[str | None] = set()
        with self._reading() as place:
            for run_id in dict.fromkeys(run_ids):
                row = place.runs.get(run_id)
                if row is None or row.status not in LIVE:
                    steered.left.append(run_id)
                elif waits_its_turn(row) and row.status in order.only:
                    if order.kind == "cancel":
                        reason = values.decode(order.payload).get("reason", "")
                        cancel(MemoryBook(place), run_id, asked_at(order), reason)
                        steered.ended.append(run_id)
                    else:
                        _change(place, row, order, owner=row.owner)
                        steered.written.append(run_id)
                elif row.owner is not None and (known := place.engines.get(row.owner)) and known.alive:
                    number = place.number()
                    place.commands[number] = Command(number, run_id, order.kind, order.payload)
                    steered.told.append(run_id)
                    owners.add(row.owner)
                elif row.status in order.only:
                    _change(place, row, order)
                    steered.written.append(run_id)
                else:
                    steered.left.append(run_id)
            wakes = [wake for name, wake in place.bells.items() if steered.written or name in owners]
        for wake in wakes:
            wake()
        return steered


def _change(place: Place, row: RunRow, order: Order, owner: str | None = None) -> None:
    crashed = row.owner is not None and row.owner not in place.left and row.status == "running"
    if order.batch is not None:
        journal = place.journals[row.id]
        journal[max(journal, default=-1) + 1] = order.batch
    changes = {**order.changes, "owner": owner, "crashes": row.crashes + crashed}
    place.runs[row.id] = msgspec.structs.replace(row, **changes)
