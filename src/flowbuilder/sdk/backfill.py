"""Runs that a schedule would have started: over a past range, or one by hand.

The runs have the keys that the schedule gives, so what is there already is
not run again, and a backfill that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from flowbuilder.core.errors import ExpressionError, NotFound
from flowbuilder.core.ids import base32
from flowbuilder.sdk.run import Run
from flowbuilder.sdk.schedules import Opened
from flowbuilder.storage.api import LIVE
from flowbuilder.triggers.occasions import calendar_of, in_zone, occasion_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from flowbuilder.runtime.profiles import Profiles
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.storage.api import Store
    from flowbuilder.triggers.armed import Armed

Came = Literal["started", "there", "carried on", "left out"]


class Filled(msgspec.Struct, frozen=True):
    """What came of one moment."""

    at: float
    local: str
    came: Came
    """A new run; one that had ended already; one that was live and was seen to its end; none, since `if` did not hold."""
    run: str | None = None
    status: str | None = None
    duration: float | None = None


class Planned(msgspec.Struct, frozen=True):
    """What would come of one moment."""

    at: float
    local: str
    starts: bool
    """Whether a run would be started."""
    run: str | None = None
    """The run that it has already."""
    status: str | None = None
    why: str = ""
    """Why no run would be started, where that is not since it has one."""


def planned(
    path: Path,
    profiles: Profiles,
    armed: Armed,
    moments: Sequence[float],
    *,
    again: bool = False,
    profile: str | None = None,
) -> list[Planned]:
    """Tell what a backfill would do about moments, and do nothing.

    Args:
        path: the store's file; it need not be there.
        profiles: give `config`, which `if` and `key` may mention.
        armed: the trigger.
        moments: in the order in which they would be started.
        again: runs are started for moments that have one already, too.
        profile: the one that holds.

    Raises:
        ProfileError: the profile lacks something, or is wrong.
    """
    config = profiles.about(armed.plan, profile)
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(Opened(path)) if path.exists() else None
        return [_planned(store, armed, moment, config, again) for moment in moments]


def _planned(
    store: Store | None, armed: Armed, moment: float, config: Mapping[str, Any], again: bool
) -> Planned:
    at = in_zone(moment, armed.trigger.timezone)
    occasion = occasion_of(moment)
    scope = armed.scope(time.time(), {"trigger": armed.view("backfill", scheduled_at=at), **config}, occasion)
    try:
        if not armed.holds(scope):
            return Planned(moment, at.isoformat(), starts=False, why="its condition does not hold")
        key = armed.key_of(scope, occasion)
    except ExpressionError as error:
        return Planned(moment, at.isoformat(), starts=False, why=f"{error.kind}: {error.message}")
    row = store.run_by_key(armed.plan.name, key) if store is not None else None
    if row is None:
        return Planned(moment, at.isoformat(), starts=True)
    return Planned(moment, at.isoformat(), again, row.id, row.status)


def moments_between(armed: Armed, start: float, end: float) -> list[float]:
    """Return a trigger's moments from `start` on, up to and with `end`.

    Raises:
        NotFound: the trigger waits for something else than time.
    """
    calendar = calendar_of(armed.trigger)
    if calendar is None:
        raise NotFound(
            "schedule", armed.name, "it waits for something else than time, so nothing can be made up"
        )
    found: list[float] = []
    moment = calendar.after(start - 0.001)
    while moment is not None and moment <= end:
        found.append(moment)
        moment = calendar.after(moment)
    return found


async def backfill(
    engine: Engine,
    armed: Armed,
    moments: Sequence[float],
    *,
    concurrency: int = 4,
    again: bool = False,
    on: Callable[[Filled], None] | None = None,
    stop: asyncio.Event | None = None,
) -> list[Filled]:
    """Start the runs of moments, and see each to its end; returns what came of each that was seen to.

    Args:
        engine: drives the runs.
        armed: the trigger.
        moments: in the order in which they are started.
        concurrency: runs that are live at once.
        again: start runs for moments that have one already.
        on: is told of each that has ended.
        stop: once it is set, nothing more is started; what runs is left to the next engine.
    """
    left = iter(moments)
    done: list[Filled] = []
    mark = f"+{base32(secrets.randbits(40), 8)}" if again else ""

    async def work() -> None:
        for moment in left:
            if stop is not None and stop.is_set():
                return
            filled = await _fill(engine, armed, moment, mark, stop)
            if filled is None:
                return
            done.append(filled)
            if on is not None:
                on(filled)

    async with asyncio.TaskGroup() as group:
        for _ in range(max(1, min(concurrency, len(moments)))):
            group.create_task(work())
    return done


async def _fill(
    engine: Engine, armed: Armed, moment: float, mark: str, stop: asyncio.Event | None
) -> Filled | None:
    """See to one moment; None where it was stopped before its run had ended."""
    local = in_zone(moment, armed.trigger.timezone)
    seen = armed.view("backfill", scheduled_at=local)
    machine = engine.core.machine
    fired = await armed.fire(machine, seen, occasion_of(moment) + mark, again=bool(mark))
    row = fired.row
    if row is None:
        return Filled(moment, local.isoformat(), "left out")
    came: Came = "started" if fired.outcome in ("started", "refused") else "there"
    if row.status in LIVE or row.id in machine.runs.live:
        if came == "there":
            came = "carried on"
        if not await _ended(Run(engine, row), stop):
            return None
        row = await engine.row(row.id)
    took = None if row.ended_at is None else row.ended_at - (row.started_at or row.created_at)
    return Filled(moment, local.isoformat(), came, row.id, row.status, took)


async def _ended(run: Run, stop: asyncio.Event | None) -> bool:
    """Wait for a run's end; False if it was stopped before."""
    waiting = asyncio.ensure_future(run.wait())
    stopped = asyncio.ensure_future(stop.wait()) if stop is not None else None
    try:
        both = {one for one in (waiting, stopped) if one is not None}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            return False
        await waiting
        return True
    finally:
        for one in (waiting, stopped):
            if one is not None and not one.done():
                one.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await one


async def fire_by_hand(engine: Engine, armed: Armed, by: str, *, profile: str | None = None) -> Run:
    """Start a run of a trigger now, whatever its schedule and its `if` say."""
    machine = engine.core.machine
    seen = armed.view(f"hand:{by}")
    if calendar_of(armed.trigger) is not None:
        seen["scheduled_at"] = in_zone(time.time(), armed.trigger.timezone)
    occasion = f"hand-{base32(secrets.randbits(60), 12)}"
    fired = await armed.fire(machine, seen, occasion, conditional=False, profile=profile)
    assert fired.row is not None
    return Run(engine, fired.row)
