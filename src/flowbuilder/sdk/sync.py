"""Running a flow from code that is not asynchronous: scripts and notebooks."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbuilder.runtime.project import find_project, store_path
from flowbuilder.runtime.settings import read_settings
from flowbuilder.runtime.views import RunView
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


Show = Callable[[RunView], None]
"""Shows a run, and what has become of it at each further call."""
LOOK_AGAIN = 0.2
"""Seconds between two pictures of a run that is shown."""


def run_loaded(loaded: LoadedFlow, inputs: dict[str, Any], *, show: Show | None = None) -> Any:
    """Run a flow that was loaded, as `run` does; `show` is called as it goes on, on the thread that waits."""
    project = find_project(loaded.path.absolute().parent)
    config = read_settings(project, os.environ).config
    driver = _Driver(loaded, inputs, config, store_path(project, config, os.environ), show is not None)
    threading.Thread(target=driver.drive, name="flowbuilder.run", daemon=True).start()
    try:
        _wait(driver, show)
    except KeyboardInterrupt:
        driver.interrupt()
        driver.ended.wait()
        raise
    return driver.outcome()


def _wait(driver: _Driver, show: Show | None) -> None:
    """Return when a run has ended; not by `join`, which takes a thread for ended once it was interrupted."""
    if show is None:
        driver.ended.wait()
        return
    shown: RunView | None = None
    while not driver.ended.wait(LOOK_AGAIN):
        if driver.view is not shown and driver.view is not None:
            shown = driver.view
            show(shown)
    if driver.view is not None:
        show(driver.view)


class _Driver:
    """One run with an engine and a loop of its own, on another thread than who waits for it."""

    def __init__(
        self, flow: LoadedFlow, inputs: dict[str, Any], config: Config, store: Path, shown: bool
    ) -> None:
        self._flow, self._inputs, self._config, self._store = flow, inputs, config, store
        self._shown = shown
        self.view: RunView | None = None
        """How the run stood last, where it is shown."""
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
            if not self._shown:
                return await self._run.result()
            looking = asyncio.ensure_future(self._look(engine, self._run))
            try:
                return await self._run.result()
            finally:
                looking.cancel()
                self.view = await engine.show(self._run.id)

    async def _look(self, engine: Engine, run: Run) -> None:
        """Keep `view` up to date."""
        while True:
            self.view = await engine.show(run.id)
            await asyncio.sleep(LOOK_AGAIN)

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
