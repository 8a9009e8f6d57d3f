"""`flowbuilder up`: an engine, a project, signals in order, and a line for what happens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowbuilder.cli import exits
from flowbuilder.cli.happenings import as_object, line_of
from flowbuilder.cli.profiles import named
from flowbuilder.cli.results import as_json
from flowbuilder.cli.terminal import data, flush_data, say
from flowbuilder.cli.workspace import workspace_at
from flowbuilder.core.errors import NotFound
from flowbuilder.sdk.engine import Engine
from flowbuilder.sdk.loop import run_loop
from flowbuilder.triggers.happenings import Happening

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from flowbuilder.cli.workspace import Workspace
    from flowbuilder.triggers.project import Project

_LOOK: Final = 0.05
"""Seconds between two looks whether all has ended, with `--once`."""


def serve(arguments: argparse.Namespace) -> int:
    """Stay up until a signal comes; with `--once` until nothing is left to do.

    Raises:
        NotFound: there is no such folder.
    """
    folder = Path(arguments.folder or ".")
    if not folder.exists():
        raise NotFound("folder", str(folder))
    workspace = workspace_at(folder if folder.is_dir() else folder.parent, arguments.store)
    server = _Server(workspace, folder, arguments)
    # what functions of the authors print is no data
    with contextlib.redirect_stdout(sys.stderr):
        return run_loop(workspace.config, server.run())


class _Server:
    """One `up`, from its first line to its last."""

    def __init__(self, workspace: Workspace, folder: Path, arguments: argparse.Namespace) -> None:
        self._workspace = workspace
        self._folder = folder
        self._profile = named(workspace, arguments.profile)
        self._once = arguments.once
        self._reload = not arguments.no_reload and not arguments.once
        self._json = arguments.json
        self._quiet = arguments.quiet
        self._out = sys.stdout
        self._stop = asyncio.Event()
        self._signals = 0
        self._stopping: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Serve."""
        logging.getLogger("flowbuilder.triggers").propagate = False  # what it warns of is told as it happens
        with self._listening():
            place, config = self._workspace.store, self._workspace.config
            async with Engine(place, config, profile=self._profile) as engine:
                project = await engine.up(self._folder, watch=self._reload, on=self._tell)
                if self._once:
                    project.triggers.leave_the_rest()
                    await self._until_idle(engine, project)
                else:
                    await self._stop.wait()
                now = engine.core.machine.clock.now
                self._tell(Happening("stopping", now()))
                grace = self._workspace.config.engine.grace
                stopping = asyncio.ensure_future(engine.stop(0.0 if self._once else grace))
                self._stop.clear()
                harder = asyncio.ensure_future(self._stop.wait())
                await asyncio.wait((stopping, harder), return_when=asyncio.FIRST_COMPLETED)
                harder.cancel()
                if not stopping.done():
                    stopping.cancel()
                    await asyncio.gather(stopping, return_exceptions=True)
                    await engine.stop(0.0)
                else:
                    stopping.result()
                self._tell(Happening("stopped", now()))
        return exits.DONE

    async def _until_idle(self, engine: Engine, project: Project) -> None:
        """Return when all that was due has been started and has ended, or sleeps in the store."""
        stopped = asyncio.ensure_future(self._stop.wait())
        machine = engine.core.machine
        while not stopped.done():
            await project.settled()
            if not machine.runs.live and not machine.recovery.busy and not project.triggers.queued:
                break
            await asyncio.wait((stopped,), timeout=_LOOK)
        stopped.cancel()

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows has no such handlers
                loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                with contextlib.suppress(NotImplementedError):
                    loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        self._signals += 1
        if self._signals > 2:
            os._exit(exits.INTERRUPTED)
        self._stop.set()

    def _tell(self, happening: Happening) -> None:
        if self._json:
            text = as_json(as_object(happening))
            with contextlib.redirect_stdout(self._out):
                data(text)
                flush_data()
        elif not self._quiet or happening.what in ("broken", "refused", "warning"):
            say(line_of(happening))
