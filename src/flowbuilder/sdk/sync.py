"""Running a flow from code that is not asynchronous: scripts and notebooks."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

from flowbuilder.runtime.project import find_project, store_path
from flowbuilder.runtime.settings import read_settings
from flowbuilder.sdk.engine import Engine
from flowbuilder.sdk.load import LoadedFlow, load


def run(flow: LoadedFlow | str | Path, /, **inputs: Any) -> Any:
    """Run a flow to its end, and return its outputs.

    The run is kept in the store of the flow's project.  It is driven by a
    thread of its own, so this works in a notebook, too, whose loop runs.

    Raises:
        FlowError, InputError, RunFailed, RunCancelled, StoreError: as `Engine` raises them.

    Example:
        outputs = flowbuilder.run("flows/report.yaml", day="2026-01-05")
    """
    loaded = load(flow) if isinstance(flow, str | Path) else flow
    project = find_project(loaded.path.absolute().parent)
    config = read_settings(project, os.environ).config
    store = store_path(project, config, os.environ)

    async def drive() -> Any:
        async with Engine(store, config, recover=False) as engine:
            started = await engine.start(loaded, inputs)
            return await started.result()

    return _on_a_thread(drive)


def _on_a_thread(work: Any) -> Any:
    outcome: dict[str, Any] = {}

    def body() -> None:
        try:
            outcome["value"] = asyncio.run(work())
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=body, name="flowbuilder.run")
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]
