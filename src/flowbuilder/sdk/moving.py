"""What changes in a run that has not ended when it comes from another store.

Numbers of events are a store's own.  In a journal that is moved those of the
old store become negative, so that no event here is taken for one of there; and
a wait hears here what comes from the moment on at which it was exported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from flowbuilder.core import records, values
from flowbuilder.core.records import EventCarried, EventTaken, WaitBegan
from flowbuilder.core.sealed import Sealed
from flowbuilder.runtime.lanes import HELD
from flowbuilder.runtime.recovered import replay
from flowbuilder.storage.events import EventFilter
from flowbuilder.storage.lanes import NEEDS_PLACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowbuilder.storage.api import RunRow, Store


def up_to(store: Store, moment: float) -> int:
    """Return the number of the last event of a store before a moment."""
    later = store.events().find(EventFilter(since=moment, limit=1, everything=True))
    return later[0].number - 1 if later else store.events().last()


def moved_journal(batches: Sequence[bytes], after: int, unheard: Sequence[Any]) -> list[bytes]:
    """Return a journal as it is to stand in another store.

    Args:
        batches: the journal.
        after: the number in the other store behind which its waits are to hear.
        unheard: events that its waits have not looked at: path, number, id, name, payload, at, source.
    """
    read = [records.decode(batch) for batch in batches]
    base = max((-number for batch in read for record in batch for number in _numbers(record)), default=0)
    base = max(base, 0)

    def moved(record: records.Record) -> records.Record:
        match record:
            case WaitBegan():
                return msgspec.structs.replace(record, after=after)
            case EventTaken() if record.number > 0:
                return msgspec.structs.replace(record, number=-base - record.number)
        return record

    attempts = {
        record.path: record.attempt for batch in read for record in batch if type(record) is WaitBegan
    }
    journal = [
        records.encode([moved(record) for record in batch])
        if any(type(record) in (WaitBegan, EventTaken) for record in batch)
        else batches[place]
        for place, batch in enumerate(read)
    ]
    carried: list[records.Record] = [
        EventCarried(path, attempts[path], -base - number, id, name, msgspec.Raw(payload), at, source)
        for path, number, id, name, payload, at, source in unheard
        if path in attempts
    ]
    return [*journal, records.encode(carried)] if carried else journal


def _numbers(record: records.Record) -> Iterator[int]:
    if isinstance(record, EventTaken | EventCarried):
        yield record.number


def at_rest(row: RunRow, now: float, *, live: bool) -> tuple[RunRow, list[bytes]]:
    """Return a run that had not ended as it is to stand in another store, and what its journal says of that.

    Whether a lane has a place for it is asked when it goes on: one that has
    begun leaves its lane until then, one that has not is queued in it.

    Args:
        row: as it stood in the old store.
        now: the present moment.
        live: have it carried on by the next engine, unless somebody had paused it.
    """
    begun, held = row.started_at is not None, row.lane is not None and row.lane.startswith(HELD)
    if row.lane is not None and begun:
        about = values.decode(row.about) if row.about is not None else {}
        row = msgspec.structs.replace(row, lane=None, about=values.encode({**about, NEEDS_PLACE: True}))
    if row.status == "paused":
        return msgspec.structs.replace(row, wake_at=None), []
    if not live:
        paused = records.encode([records.Paused(now, "imported")])
        return msgspec.structs.replace(row, status="paused", wake_at=None), [paused]
    if held and not begun:
        wake_at = now if row.wake_at is None else row.wake_at
        return msgspec.structs.replace(row, status="waiting", wake_at=wake_at), []
    return msgspec.structs.replace(row, status="queued", wake_at=None), []


def awaited_children(journal: Sequence[bytes]) -> list[str]:
    """Return the runs that a run has started and whose end it has not taken in."""
    found = replay(journal, lambda _: values.NULL_BYTES)
    return [child for path, child in found.children.items() if path not in found.ended]


def sealed_in(row: RunRow, journal: Sequence[bytes]) -> Iterator[Sealed]:
    """Yield what is encrypted in a run."""
    for data in (row.inputs, row.about):
        yield from _sealed(values.decode(data) if data is not None else None)
    for batch in journal:
        for record in records.decode(batch):
            for field in record.__struct_fields__:
                value = getattr(record, field)
                yield from _sealed(values.decode(bytes(value)) if type(value) is msgspec.Raw else value)


def _sealed(value: Any) -> Iterator[Sealed]:
    if type(value) is Sealed:
        yield value
    elif type(value) is list or type(value) is tuple:
        for item in value:
            yield from _sealed(item)
    elif type(value) is dict:
        for item in value.values():
            yield from _sealed(item)
