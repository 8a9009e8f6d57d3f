"""Where work waits for a place, the priority of its run decides, then that of its task."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine
from flowbuilder.runtime.config import ExecutorsConfig
from flowbuilder.tasks.python import name_function
from flowbuilder.testing.flows import load_text, run_flow
from world import until

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

GATE = threading.Event()


def block() -> None:
    """Take a thread until the test lets go."""
    GATE.wait(20)


name_function("block", block)

BLOCKS = "flow: blocks\ntasks: {a: {type: python, with: {call: block}}}\n"
FLOW = """
flow: t
inputs: {n: {type: string}}
tasks: {a: {type: python, executor: thread, with: {call: act, args: {name: "${{ inputs.n }}"}}}}
"""


async def test_threads_go_to_the_runs_of_the_highest_priority_first(world: World) -> None:
    GATE.clear()
    config = Config(executors=ExecutorsConfig(threads=1))
    async with Engine.in_memory(config) as engine:
        blocking = await engine.start(load_text(BLOCKS))
        flow = load_text(FLOW)
        runs = [
            await engine.start(flow, {"n": name}, priority=priority)
            for name, priority in (("low", 10), ("usual", 50), ("high", 90), ("usual too", 50))
        ]
        live = engine.core.machine.runs.live
        await until(lambda: all(any(e.handle for e in live[run.id].executions) for run in runs))
        await asyncio.sleep(0)
        GATE.set()
        for run in (blocking, *runs):
            await run.result(20)

    assert world.calls == ["high", "usual", "usual too", "low"]


@pytest.mark.timeout(60)
async def test_shells_go_to_the_most_urgent_task_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(
        """
flow: t
tasks:
  first: {run: 'while [ ! -e go ]; do sleep 0.01; done'}
  low: {priority: 10, run: 'echo low >> order'}
  high: {priority: 90, run: 'echo high >> order'}
  usual: {run: 'echo usual >> order; '}
  go: {type: python, executor: inline, priority: 0, with: {call: release, args: [GO]}}
""".replace("GO", str(tmp_path / "go"))
    )

    run = await run_flow(tmp_path / "t.yaml", config=Config(executors=ExecutorsConfig(shells=1)), timeout=50)

    assert run.status == "succeeded", run.error
    order = (tmp_path / "order").read_text().split()
    assert order == ["high", "usual", "low"]


async def release(path: str) -> None:
    """Let the first shell end when the others wait for its place."""
    await asyncio.sleep(0.1)
    with open(path, "w"):  # noqa: ASYNC230 - a moment
        pass


name_function("release", release)
