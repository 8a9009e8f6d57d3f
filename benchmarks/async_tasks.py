"""Tasks that really suspend: many, and a fan-out of a thousand with its join."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import floors
from benchmarks.figure import Figure
from benchmarks.flows import async_fan
from benchmarks.running import check, engine_in, with_loop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def measure(folder: Path) -> Iterator[Figure]:
    """Yield two lines of the table."""
    yield with_loop(_many(folder))
    yield with_loop(_fan_out(folder))


async def _many(folder: Path) -> Figure:
    flow = async_fan(folder, concurrency=256)
    count = 50_000
    async with engine_in(folder) as engine:
        await (await engine.start(flow, {"n": 1000})).result()
        taken = []
        for _ in range(3):
            start = time.perf_counter()
            run = await engine.start(flow, {"n": count})
            await run.result()
            taken.append(time.perf_counter() - start)
        await check(engine, run.id, count + 1, {"result": count * (count + 1) // 2})
    return Figure(
        "async tasks (each really suspends), durable",
        count / median(taken),
        100_000,
        250_000,
        1 / await floors.coroutines_here(),
        "a bare coroutine per task",
        "tasks/s",
        more=True,
    )


async def _fan_out(folder: Path) -> Figure:
    flow = async_fan(folder, concurrency=1000)
    async with engine_in(folder) as engine:
        taken = []
        for _ in range(30):
            start = time.perf_counter()
            run = await engine.start(flow, {"n": 1000})
            await run.result()
            taken.append(time.perf_counter() - start)
        await check(engine, run.id, 1001, {"result": 500_500})
    floor = 1000 * await floors.coroutines_here()
    return Figure(
        "fan-out of 1,000 async tasks and join, durable",
        median(taken),
        30e-3,
        10e-3,
        floor,
        "1,000 bare coroutines",
    )
