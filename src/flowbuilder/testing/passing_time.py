"""Letting time pass for a project that is up, on a clock that jumps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from flowbuilder.testing.flows import LOOK_AGAIN

if TYPE_CHECKING:
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.testing.fake_clock import FakeClock


async def pass_time(engine: Engine, clock: FakeClock, seconds: float) -> None:
    """Let time pass as it does in the world: everything happens at its moment, one after the other.

    Runs that only wait (`sleep`, retries) go on when their time has come; what
    really works is waited for.  To skip time as a machine does that was asleep,
    call `clock.advance` instead.

    Args:
        engine: its projects' triggers fire.
        clock: the engine's.
        seconds: how long.
    """
    until = clock.now() + seconds
    while True:
        await quiet(engine)
        moment = engine.core.machine.timers.next_moment()
        if moment is None or moment > until:
            break
        if (
            not clock.jump(moment) and not clock.jump()
        ):  # the clock was set past it: the timers look again soon
            break
    clock.jump(until)
    await quiet(engine)


async def quiet(engine: Engine) -> None:
    """Return when nothing happens any more until time passes."""
    while True:
        for project in engine.projects:
            await project.settled()
        for _ in range(5):
            await asyncio.sleep(0)
        if engine.core.only_waits() and all(not project.busy for project in engine.projects):
            return
        await asyncio.sleep(LOOK_AGAIN)
