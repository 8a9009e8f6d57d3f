"""Driving runs: an engine in this process, progress beside it, signals in order."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING

from flowbuilder.cli.progress import PATIENCE, Progress
from flowbuilder.cli.signals import Interrupts
from flowbuilder.cli.terminal import is_rich, say
from flowbuilder.cli.waits import waiting_lines
from flowbuilder.core.errors import EngineStopped, FlowBuilderError, StoreError
from flowbuilder.runtime.encryption import EncryptionKeyMissing, EncryptionKeyUnusable
from flowbuilder.sdk.engine import Engine
from flowbuilder.sdk.loop import run_loop
from flowbuilder.sdk.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.runtime.views import RunView
    from flowbuilder.sdk.run import Run


def drive(
    workspace: Workspace,
    begin: Callable[[Engine], Awaitable[Sequence[Run]]],
    *,
    shown: bool,
    after: Callable[[Engine], Awaitable[None]] | None = None,
) -> tuple[list[RunView], bool]:
    """Drive runs to their end with an engine in this process.

    Args:
        workspace: whose store keeps the runs.
        begin: starts the runs, or takes them over.
        shown: whether progress is drawn; of one run only.
        after: what else is to be asked of the engine before it closes.

    Returns:
        The runs as they have ended (or stand, where SIGTERM has stopped the
        engine), and whether a signal of ours ended them.
    """

    async def main() -> tuple[list[RunView | None], list[str], bool]:
        interrupts = Interrupts()
        with interrupts.listening():
            async with Engine(workspace.store, workspace.config, recover=False) as engine:
                runs = await begin(engine)
                grace = workspace.config.engine.grace
                interrupts.obey(lambda: _cancel(runs), lambda: engine.stop(grace))
                views = await _follow(engine, runs, interrupts, workspace.store, shown=shown)
                if after is not None and not interrupts.stopped:
                    await after(engine)
        return views, [run.id for run in runs], interrupts.happened

    # what functions of the author print is no data: that comes when the run has ended
    with contextlib.redirect_stdout(sys.stderr):
        views, ids, interrupted = run_loop(workspace.config, main())
    ended = [view for view in views if view is not None]
    if len(ended) < len(views):
        with Reader(workspace.store) as reader:
            ended = [view or reader.show(id) for view, id in zip(views, ids, strict=True)]
    return ended, interrupted


async def _cancel(runs: Sequence[Run]) -> None:
    """Cancel runs; when this returns, a crash does not take the cancel back."""
    for run in runs:
        with contextlib.suppress(StoreError):  # it is lost with the store, which says so itself
            await run.cancel("interrupted")


async def _follow(
    engine: Engine, runs: Sequence[Run], interrupts: Interrupts, store: Path, *, shown: bool
) -> list[RunView | None]:
    """Return how runs have ended; None for those that the engine was stopped before."""
    progress = await _progress_of(engine, runs[0]) if shown and len(runs) == 1 else None
    watching = None
    if progress is not None:
        watching = asyncio.ensure_future(_watch(engine, runs[0], progress))
    elif shown:
        watching = asyncio.ensure_future(_tell_waits(engine, runs, store))
    try:
        return await asyncio.gather(*(_ended(run, interrupts) for run in runs))
    finally:
        if watching is not None:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        if progress is not None:
            progress.end()


async def _tell_waits(engine: Engine, runs: Sequence[Run], store: Path) -> None:
    """Say of each wait, once, what it is for and how it is answered: where nothing is drawn, a run seems to hang."""
    told: set[tuple[str, str]] = set()
    seen: dict[str, frozenset[str] | None] = {}
    loop = asyncio.get_running_loop()
    delay = PATIENCE
    while True:
        await asyncio.sleep(delay)
        began = loop.time()
        for run in runs:
            live = engine.core.machine.runs.live.get(run.id)
            waits = None if live is None else frozenset(each.path for each in live.executions if each.parked)
            if waits == seen.get(run.id, frozenset()):
                continue
            seen[run.id] = waits
            with contextlib.suppress(FlowBuilderError):
                for path, line in waiting_lines(await engine.show(run.id), store):
                    if (run.id, path) not in told:
                        told.add((run.id, path))
                        say(line)
        delay = min(1.0, max(PATIENCE, 20 * (loop.time() - began)))


async def _ended(run: Run, interrupts: Interrupts) -> RunView | None:
    try:
        return await run.wait()
    except (EncryptionKeyMissing, EncryptionKeyUnusable):
        return None  # the engine has said so
    except (EngineStopped, asyncio.CancelledError):
        if interrupts.stopped:
            return None
        raise


async def _progress_of(engine: Engine, run: Run) -> Progress | None:
    """Return the progress of a run, where somebody sees it."""
    if not is_rich(sys.stderr):
        return None
    view = await engine.show(run.id)
    return Progress(view, shown=True)


async def _watch(engine: Engine, run: Run, progress: Progress) -> None:
    """Draw a run's events, once it has shown that it takes a while."""
    loop = asyncio.get_running_loop()
    beginning = loop.call_later(PATIENCE, progress.begin)
    asking: asyncio.Task[None] | None = None
    try:
        async for event in run.events():
            progress.take(event)
            if event.status == "waiting" and (asking is None or asking.done()):
                asking = loop.create_task(_ask(engine, run, progress))
    finally:
        beginning.cancel()
        if asking is not None:
            asking.cancel()


async def _ask(engine: Engine, run: Run, progress: Progress) -> None:
    """Have it drawn what is waited for; for many waits that begin at once it is asked once."""
    await asyncio.sleep(PATIENCE)
    with contextlib.suppress(FlowBuilderError):
        progress.note(await engine.show(run.id))
