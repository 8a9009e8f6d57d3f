"""Common to the measurements of runs: an engine over a folder, and looking whether all is as it must be."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbuilder import Engine
from flowbuilder.runtime.config import Config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from flowbuilder import LoadedFlow


def with_loop(work: Coroutine[Any, Any, Any]) -> Any:
    """Run on the loop that the engine would choose: uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


@contextlib.asynccontextmanager
async def engine_in(
    folder: Path, *, memory: bool = False, config: Config | None = None
) -> AsyncIterator[Engine]:
    """Give an engine over a new store in the folder, or over memory."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        engine = Engine(":memory:" if memory else Path(place) / "store.db", config or Config())
        async with engine:
            yield engine


async def check(engine: Engine, run_id: str, tasks: int, outputs: dict[str, Any]) -> None:
    """Fail unless a run has ended as it must, with status, output and times of every task."""
    view = await engine.show(run_id)
    assert view.status == "succeeded", view.error
    assert view.outputs == outputs, (view.outputs, outputs)
    parts = {**view.tasks, **view.elements}
    assert len(parts) >= tasks, (len(parts), tasks)
    for path, task in parts.items():
        assert task.status == "succeeded", path
        assert task.started_at is not None, path
        assert task.duration is not None, path


async def one_at_a_time(engine: Engine, flow: LoadedFlow, rounds: int) -> list[float]:
    """Return what each of so many runs took, one after the other."""
    taken = []
    for n in range(rounds):
        start = time.perf_counter()
        run = await engine.start(flow, {"n": n})
        result = await run.result()
        taken.append(time.perf_counter() - start)
        assert result is not None
    return taken


async def many_at_once(engine: Engine, flow: LoadedFlow, runs: int, at_once: int) -> tuple[float, list[str]]:
    """Return what so many runs took, so many at a time, and their ids."""
    ids: list[str] = []
    numbers = iter(range(runs))

    async def caller() -> None:
        for n in numbers:
            run = await engine.start(flow, {"n": n})
            await run.result()
            ids.append(run.id)

    gc.collect()
    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(caller())
    return time.perf_counter() - start, ids


def resident() -> float:
    """Return the memory of this process, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
