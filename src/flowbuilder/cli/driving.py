"""Driving runs: an engine in this process, progress beside it, signals in order."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING, Any

from flowbuilder.cli.progress import PATIENCE, Progress
from flowbuilder.cli.signals import Interrupts
from flowbuilder.cli.terminal import is_rich
from flowbuilder.core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.runtime.views import RunView
    from flowbuilder.sdk.engine import Engine
    from flowbuilder.sdk.run import Run


def run_loop(workspace: Workspace, main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on the loop that the settings ask for."""
    factory = None
    if workspace.config.engine.uvloop:
        with contextlib.suppress(ImportError):
            import uvloop  # an optional part, and not there on every platform

            factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


async def follow(engine: Engine, runs: Sequence[Run], *, shown: bool) -> tuple[list[RunView], bool]:
    """Return how runs have ended, and whether a signal of ours ended them.

    Args:
        engine: the engine that drives them.
        runs: what to wait for.
        shown: whether progress is drawn; of one run only.
    """

    async def cancel() -> None:
        for run in runs:
            await run.cancel("interrupted")

    async def stop() -> None:
        await engine.stop()

    interrupts = Interrupts(cancel, stop)
    with interrupts.listening():
        progress = await _progress_of(engine, runs[0]) if shown and len(runs) == 1 else None
        watching = asyncio.ensure_future(_watch(runs[0], progress)) if progress else None
        try:
            views = await asyncio.gather(*(_ended(run, engine, interrupts) for run in runs))
        finally:
            if watching and progress:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching
                progress.end()
    return list(views), interrupts.happened


async def _ended(run: Run, engine: Engine, interrupts: Interrupts) -> RunView:
    """Return how a run has ended; how it stands, where the engine was stopped before."""
    try:
        return await run.wait()
    except StoreError:
        raise
    except asyncio.CancelledError:
        if not interrupts.stopped:
            raise
        return await engine.show(run.id)


async def _progress_of(engine: Engine, run: Run) -> Progress | None:
    """Return the progress of a run, where somebody sees it."""
    if not is_rich(sys.stderr):
        return None
    view = await engine.show(run.id)
    progress = Progress(view.flow, run.id, len(view.tasks), shown=True)
    progress.look(view)
    return progress


async def _watch(run: Run, progress: Progress) -> None:
    """Draw a run's events, once it has shown that it takes a while."""
    loop = asyncio.get_running_loop()
    beginning = loop.call_later(PATIENCE, progress.begin)
    try:
        async for event in run.events():
            progress.take(event)
    finally:
        beginning.cancel()
