"""How many runs have started each other in a row: what would go on without end is ended, with a word.

Flow A starts when B ends, and B when A ends; or a flow emits the event that
starts it.  Each run of such a chain knows its place in it (`trigger.chain`).
A trigger with an `if` or a `filter` has its author's word that it ends, and
begins to count anew.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from flowbuilder.core import values
from flowbuilder.core.triggers import FlowTrigger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowbuilder.runtime.machine import Machine
    from flowbuilder.storage.api import RunRow
    from flowbuilder.triggers.armed import Armed

MOST: Final = 100
"""Runs in a row that start each other without a condition."""
KIND: Final = "trigger.chain"
"""The kind of the error that ends a chain."""
_LOOPS: Final = 20
"""Loops that are named, at most."""
_OLDEST: Final = 32
"""Parents that are gone through to find what started a run."""


async def place_behind(machine: Machine, armed: Armed, run_id: str | None, row: RunRow | None = None) -> int:
    """Return the place in its chain of the run that a trigger is to start.

    Args:
        machine: the engine.
        armed: the trigger.
        run_id: the run that has ended, or has emitted the event; None where it was no run.
        row: that run, where it is at hand.

    Raises:
        StoreError: it cannot be looked up.
    """
    if run_id is None or armed.trigger.condition is not None or armed.trigger.filter is not None:
        return 1
    for _ in range(_OLDEST):
        if row is None or row.id != run_id:
            live = machine.runs.live.get(run_id)
            row = live.row if live is not None else None
        if row is None:
            row = await machine.in_thread(functools.partial(machine.store.run, run_id))
        if row is None:
            return 1
        if row.parent is None:
            return 1 + _place_of(row)
        run_id = row.parent.partition("/")[0]
    return 1


def _place_of(row: RunRow) -> int:
    trigger = values.decode(row.about).get("trigger") if row.about is not None else None
    place = trigger.get("chain") if isinstance(trigger, dict) else None
    return place if isinstance(place, int) else 0


def why(place: int, armed: Armed) -> str:
    """Return why the run with a place in its chain is not begun."""
    return (
        f"{place - 1} runs have started each other in a row, the last by '{armed.name}', "
        "without an end in sight; give one of their triggers an `if`"
    )


def loops_among(armed: Iterable[Armed]) -> list[tuple[str, ...]]:
    """Return the flows that start each other, or themselves, whenever they end: each loop once, from its first name on."""
    behind: dict[str, set[str]] = {}
    for one in armed:
        kind = one.trigger.kind
        if isinstance(kind, FlowTrigger) and one.trigger.enabled and one.trigger.condition is None:
            for flow in kind.flows:
                behind.setdefault(flow, set()).add(one.plan.name)
    found: set[tuple[str, ...]] = set()
    for start in sorted(behind):
        _go_on([start], behind, found)
    return sorted(found)


def _go_on(way: list[str], behind: Mapping[str, set[str]], found: set[tuple[str, ...]]) -> None:
    """Follow what a flow starts, among flows whose names come behind the first; bounded."""
    for following in sorted(behind.get(way[-1], ())):
        if len(found) >= _LOOPS:
            return
        if following == way[0]:
            found.add(tuple(way))
        elif following > way[0] and following not in way and len(way) < _OLDEST:
            _go_on([*way, following], behind, found)
