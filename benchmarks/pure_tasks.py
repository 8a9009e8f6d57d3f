"""Ten pure tasks in a chain: in memory, durably one run at a time, durably many runs at once."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benchmarks import floors
from benchmarks.figure import Figure
from benchmarks.flows import pure_chain
from benchmarks.running import check, engine_in, many_at_once, one_at_a_time, with_loop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def measure(folder: Path) -> Iterator[Figure]:
    """Yield three lines of the table."""
    yield with_loop(_in_memory(folder))
    yield with_loop(_one_at_a_time(folder))
    yield with_loop(_many_at_once(folder))


async def _in_memory(folder: Path) -> Figure:
    flow = pure_chain(folder, durability="none")
    async with engine_in(folder, memory=True) as engine:
        await one_at_a_time(engine, flow, 500)
        taken = median(await one_at_a_time(engine, flow, 5000))
        run = await engine.start(flow, {"n": 7})
        await run.result()
        await check(engine, run.id, 10, {"result": 17})
    return Figure("ten pure tasks in a chain, not durable, per run", taken, 15e-6, 5e-6)


async def _one_at_a_time(folder: Path) -> Figure:
    flow = pure_chain(folder)
    async with engine_in(folder) as engine:
        await one_at_a_time(engine, flow, 100)
        before = floors.commit(folder)
        taken = median(await one_at_a_time(engine, flow, 1000))
        floor = median((before, floors.commit(folder)))
        run = await engine.start(flow, {"n": 7})
        await run.result()
        await check(engine, run.id, 10, {"result": 17})
    name = "one single-row commit"
    return Figure("the same, durable, one run at a time, p50", taken, 2.5 * floor, 1.3 * floor, floor, name)


async def _many_at_once(folder: Path) -> Figure:
    flow = pure_chain(folder)
    runs = 30_000
    async with engine_in(folder) as engine:
        await many_at_once(engine, flow, 2000, 1000)
        taken, ids = await many_at_once(engine, flow, runs, 1000)
        for id in ids[:: len(ids) // 20]:
            view = await engine.show(id)
            await check(engine, id, 10, {"result": view.inputs["n"] + 10})
    floor = 10 / floors.inserts(folder)
    return Figure(
        "pure tasks, durable, many runs at once",
        runs * 10 / taken,
        300_000,
        1_000_000,
        floor,
        "batched inserts, one row for ten tasks",
        "tasks/s",
        more=True,
    )
