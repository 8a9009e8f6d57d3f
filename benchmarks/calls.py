"""Ten `write` tasks in a chain, each output on disk before the next starts."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benchmarks import floors
from benchmarks.figure import Figure
from benchmarks.flows import call_chain
from benchmarks.running import check, engine_in, many_at_once, one_at_a_time, with_loop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def measure(folder: Path) -> Iterator[Figure]:
    """Yield two lines of the table."""
    yield with_loop(_one_at_a_time(folder))
    yield with_loop(_many_at_once(folder))


async def _one_at_a_time(folder: Path) -> Figure:
    flow = call_chain(folder)
    async with engine_in(folder) as engine:
        await one_at_a_time(engine, flow, 20)
        before = floors.commit(folder)
        taken = median(await one_at_a_time(engine, flow, 200))
        floor = median((before, floors.commit(folder)))
        run = await engine.start(flow, {"n": 1})
        await run.result()
        await check(engine, run.id, 10, {"result": 11})
    return Figure(
        "ten `write` tasks in a chain, one run at a time, p50",
        taken,
        20 * floor,
        13 * floor,
        floor,
        "one single-row commit",
    )


async def _many_at_once(folder: Path) -> Figure:
    flow = call_chain(folder)
    runs = 5120
    async with engine_in(folder) as engine:
        await many_at_once(engine, flow, 256, 256)
        taken, ids = await many_at_once(engine, flow, runs, 256)
        for id in ids[:: len(ids) // 10]:
            view = await engine.show(id)
            await check(engine, id, 10, {"result": view.inputs["n"] + 10})
    return Figure(
        "the same, 256 runs at once",
        runs * 10 / taken,
        40_000,
        100_000,
        1 / floors.inserts(folder),
        "batched inserts, one row for a task",
        "tasks/s",
        more=True,
    )
