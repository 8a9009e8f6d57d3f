"""Running a flow in a test: in memory, with a clock that jumps over waits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from flowbuilder.runtime.config import Config
from flowbuilder.sdk.engine import Engine
from flowbuilder.sdk.load import LoadedFlow, load
from flowbuilder.storage.api import LIVE
from flowbuilder.testing.crashing_store import Crash, CrashingStore
from flowbuilder.testing.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Mapping

    from flowbuilder.core.plan import FlowPlan
    from flowbuilder.runtime.views import RunView
    from flowbuilder.sdk.run import Run
    from flowbuilder.storage.api import Store

T = TypeVar("T")
LOOK_AGAIN = 0.002
"""Seconds of real time between two looks at whether an engine only waits."""


async def run_flow(
    flow: LoadedFlow | FlowPlan | str | Path,
    inputs: Mapping[str, Any] | None = None,
    *,
    clock: FakeClock | None = None,
    store: Store | None = None,
    config: Config | None = None,
    key: str | None = None,
    secrets: Mapping[str, str] | None = None,
    timeout: float = 30.0,
) -> RunView:
    """Run a flow to its end and return the run as people see it.

    Waits take no time: whenever all that the run does is to wait, the clock
    jumps to the next moment.

    Args:
        flow: one that was loaded, the path of a file, or the text of a flow.
        inputs: values by name.
        clock: the time; `clock.slept` tells afterwards what was skipped.
        store: where the run is kept; memory otherwise.
        config: settings.
        key: the run's key.
        secrets: values by name.
        timeout: seconds of real time after which the run counts as stuck.

    Raises:
        FlowError: the flow is wrong.
        InputError: the inputs are.
        TimeoutError: the run did not end.
        Crash: the store is a `CrashingStore` and has died.  The next call
            with the same key, over what that store has kept, carries the run on.
    """
    clock = clock or FakeClock()
    loaded = load_text(flow) if isinstance(flow, str) and "\n" in flow else flow
    engine = Engine(":memory:", config or Config(), clock=clock, store=store, secrets=secrets)

    async def drive() -> RunView:
        started = await engine.start(loaded, inputs, key=key)
        await finish(engine, started, clock)
        return await engine.show(started.id)

    async with dying_with(store), asyncio.timeout(timeout), engine:
        return await unless_it_dies(drive(), store)


async def unless_it_dies(work: Coroutine[Any, Any, T], store: Store | None) -> T:
    """Return what `work` returns, or raise `Crash` as soon as its store has died."""
    running = asyncio.ensure_future(work)
    try:
        while not running.done():
            await asyncio.wait({running}, timeout=LOOK_AGAIN)
            if isinstance(store, CrashingStore) and store.crashed:
                raise Crash("the store died")
        return running.result()
    finally:
        running.cancel()


@contextlib.asynccontextmanager
async def dying_with(store: Store | None) -> AsyncIterator[None]:
    """Keep what an engine does after its store has died from being reported: nobody lives to see it."""
    if not isinstance(store, CrashingStore):
        yield
        return
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()

    def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), Crash):
            return
        if before is not None:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(report)
    try:
        yield
        await asyncio.sleep(0)
    finally:
        loop.set_exception_handler(before)


async def finish(engine: Engine, run: Run, clock: FakeClock) -> None:
    """Return when a run has ended, however it did; jumps over its waits."""
    ended = asyncio.ensure_future(run.wait())
    try:
        while not ended.done():
            await asyncio.wait({ended}, timeout=LOOK_AGAIN)
            if ended.done() or not engine.core.only_waits():
                continue
            if (await engine.row(run.id)).status not in LIVE or not engine.core.only_waits():
                continue
            moment = (
                engine.core.machine.timers.next_moment()
            )  # as it is now: while we looked one may have been set
            if moment is not None:
                clock.jump(moment)
        await ended
    finally:
        ended.cancel()


def load_text(text: str, folder: str | Path | None = None) -> LoadedFlow:
    """Load a flow from its text, as if it lay in a file of the folder (the current one otherwise)."""
    with tempfile.NamedTemporaryFile(
        "w", suffix=".yaml", dir=folder or os.getcwd(), delete=False, encoding="utf-8"
    ) as file:
        file.write(text)
    try:
        return load(file.name)
    finally:
        os.unlink(file.name)
