"""Runs that sleep: for a second, all at once; for a day, in the store only."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING

from benchmarks.figure import Figure
from benchmarks.flows import sleeper
from benchmarks.running import check, engine_in, resident, with_loop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowbuilder import Engine, LoadedFlow


def measure(folder: Path) -> Iterator[Figure]:
    """Yield five lines of the table."""
    for count, reach, aim, most, least in (
        (10_000, 2.5, 1.3, 120, 60),
        (100_000, 8.0, 4.0, 400, 150),
    ):
        taken, memory = with_loop(_sleep(folder, count))
        what = f"{count:,} runs that sleep 1 s, until all are done"
        yield Figure(what, taken, reach, aim, 1.0, "the sleep")
        yield Figure("– memory beyond the bare callers", memory, most, least, unit="MB")
    yield with_loop(_wait_for_a_day(folder))


async def _sleep(folder: Path, count: int) -> tuple[float, float]:
    flow = sleeper(folder)
    bare = await _bare_callers(count)
    async with engine_in(folder) as engine:
        gc.collect()
        before = resident()
        highest = before
        done = asyncio.Event()
        ids: list[str] = []

        async def caller(n: int) -> None:
            run = await engine.start(flow, {"n": n})
            await run.result()
            ids.append(run.id)

        async def watch() -> None:
            nonlocal highest
            while not done.is_set():
                highest = max(highest, resident())
                await asyncio.sleep(0.1)

        watching = asyncio.create_task(watch())
        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for n in range(count):
                group.create_task(caller(n))
        taken = time.perf_counter() - start
        done.set()
        await watching
        for id in ids[:: len(ids) // 10]:
            view = await engine.show(id)
            await check(engine, id, 1, {"result": view.inputs["n"]})
    return taken, highest - before - bare


async def _bare_callers(count: int) -> float:
    """Return what so many waiting coroutines take without an engine, in MB."""
    gc.collect()
    before = resident()
    gate = asyncio.Event()

    async def caller(_n: int) -> None:
        await gate.wait()

    async with asyncio.TaskGroup() as group:
        for n in range(count):
            group.create_task(caller(n))
        await asyncio.sleep(0.1)
        taken = resident() - before
        gate.set()
    return taken


async def _wait_for_a_day(folder: Path, count: int = 20_000) -> Figure:
    flow = sleeper(folder, "1d")
    async with engine_in(folder) as engine:
        await _start(engine, flow, 2000)
        await _all_left(engine)
        gc.collect()
        before = resident()
        await _start(engine, flow, count)
        await _all_left(engine)
        gc.collect()
        taken = (resident() - before) * 1024 * 1024 / count
    return Figure("runs waiting for a day, per run in memory", max(taken, 0.0), 100, 0, unit="bytes")


async def _start(engine: Engine, flow: LoadedFlow, count: int) -> None:
    numbers = iter(range(count))

    async def caller() -> None:
        for n in numbers:
            await engine.start(flow, {"n": n})

    async with asyncio.TaskGroup() as group:
        for _ in range(500):
            group.create_task(caller())


async def _all_left(engine: Engine) -> None:
    """Return when every run has left memory: nothing tells of that, so look now and then."""
    async with asyncio.timeout(60):
        while engine.core.machine.runs.live:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
