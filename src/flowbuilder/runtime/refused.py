"""Runs that could not be begun: recorded as failed, so that they are seen.

What a trigger starts, nobody waits for.  Where its inputs cannot be worked
out, or break their schemas, there would be nothing to look at otherwise.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from flowbuilder.core import values
from flowbuilder.core.failure import failure
from flowbuilder.runtime.events import RunEvent
from flowbuilder.runtime.on_disk import put_on_disk
from flowbuilder.storage.api import Accept, KeyTaken, RunRow

if TYPE_CHECKING:
    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.start import Start


async def record_refused(
    machine: Machine, plan: FlowPlan, how: Start, kind: str, message: str, data: Any = None
) -> RunRow:
    """Record a run that failed before it began; returns its row when it is on disk.

    With a key that a run of the flow has already, that run is returned.

    Args:
        machine: the engine.
        plan: the version of the flow.
        how: what the start asked for.
        kind: the error's.
        message: what is wrong.
        data: more of it.

    Raises:
        StoreError: it could not be written down.
    """
    find = functools.partial(machine.store.run_by_key, plan.name, how.key or "")
    known: RunRow | None = await machine.in_thread(find) if how.key is not None else None
    if known is not None:
        return known
    await machine.in_thread(
        functools.partial(machine.store.put_flow, plan.content_hash, plan.name, plan.definition)
    )
    now = machine.clock.now()
    error = failure(kind, message, data=values.plain_or_text(data))
    row = RunRow(
        id=machine.starts.new_id(now),
        flow=plan.name,
        flow_hash=plan.content_hash,
        status="failed",
        created_at=now,
        inputs=values.encode({}),
        key=how.key,
        priority=plan.priority if how.priority is None else how.priority,
        started_at=now,
        ended_at=now,
        result=values.encode(error),
        labels={**plan.labels, **(how.labels or {})},
        about=None if how.about is None else values.encode(dict(how.about)),
    )
    try:
        await put_on_disk(machine.store, [Accept(row)])
    except KeyTaken:
        taken: RunRow | None = await machine.in_thread(find)
        if taken is None:
            raise
        return taken
    if machine.bus.active:
        machine.bus.emit(RunEvent(row.id, row.flow, row.status, now, error))
    return row
