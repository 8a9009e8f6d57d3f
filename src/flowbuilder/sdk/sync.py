"""Running a flow from code that is not asynchronous: scripts and notebooks."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbuilder.runtime.project import find_project, store_path
from flowbuilder.runtime.settings import read_settings
from flowbuilder.sdk.engine import Engine
from flowbuilder.sdk.load import LoadedFlow, load
from flowbuilder.sdk.loop import run_loop

if TYPE_CHECKING:
    from flowbuilder.runtime.config import Config
    from flowbuilder.sdk.load import Loadable
    from flowbuilder.sdk.run import Run


def run(flow: LoadedFlow | Loadable | str | Path, /, **inputs: Any) -> Any:
    """Run a flow to its end, and return its outputs.

    The run is kept in the store of the flow's project.  It is driven by a
    thread of its own, so this works in a notebook, too, whose loop runs.
    Ctrl-C cancels the run in order; a second one leaves it to recovery.

    Raises:
        FlowError, InputError, RunFailed, RunCancelled, StoreError: as `Engine` raises them.

    Example:
        outputs = flowbuilder.run("flows/report.yaml", day="2026-01-05")
    """
    return run_loaded(flow if isinstance(flow, LoadedFlow) else load(flow), inputs)


Follow = Callable[[Engine, "Run"], Awaitable[None]]
"""Watches a run on its engine's loop until it has ended."""


def run_loaded(loaded: LoadedFlow, inputs: dict[str, Any], *, follow: Follow | None = None) -> Any:
    """Run a flow that was loaded, as `run` does; `follow` may watch it."""
    project = find_project(loaded.path.absolute().parent)
    config = read_settings(project, os.environ).config
    driver = _Driver(loaded, inputs, config, store_path(project, config, os.environ), follow)
    threading.Thread(target=driver.drive, name="flowbuilder.run", daemon=True).start()
    try:
        driver.ended.wait()  # not `join`: once that was interrupted it takes the thread for ended
    except KeyboardInterrupt:
        driver.interrupt()
        driver.ended.wait()
        raise
    return driver.outcome()


class _Driver:
    """One run with an engine and a loop of its own, on another thread than who waits for it."""

    def __init__(
        self, flow: LoadedFlow, inputs: dict[str, Any], config: Config, store: Path, follow: Follow | None
    ) -> None:
        self._flow, self._inputs, self._config, self._store = flow, inputs, config, store
        self._follow = follow
        self._loop: asyncio.AbstractEventLoop | None = None
        self._interrupted = False
        self._run: Run | None = None
        self._outputs: Any = None
        self._error: BaseException | None = None
        self.ended = threading.Event()

    def drive(self) -> None:
        """Run the flow; what comes of it is the `outcome`."""
        try:
            self._outputs = run_loop(self._config, self._drive())
        except BaseException as error:
            self._error = error
        finally:
            self.ended.set()

    async def _drive(self) -> Any:
        self._loop = asyncio.get_running_loop()
        async with Engine(self._store, self._config, recover=False) as engine:
            self._run = await engine.start(self._flow, self._inputs)
            if self._interrupted:
                self._cancel()
            if self._follow is not None:
                await self._follow(engine, self._run)
            return await self._run.result()

    def interrupt(self) -> None:
        """Have the run cancelled; called on the thread of who waits."""
        self._interrupted = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._run is not None:  # else it is cancelled as soon as it has started
            self._run.cancel_soon("interrupted")

    def outcome(self) -> Any:
        """Return the outputs, or raise what kept the run from having any."""
        if self._error is not None:
            raise self._error
        return self._outputs
