"""Runs that wait for events: memory, how fast the right one is woken, and how the cost grows."""

from __future__ import annotations

import asyncio
import functools
import gc
import time
from typing import TYPE_CHECKING

from benchmarks.figure import Figure
from benchmarks.flows import waiter
from benchmarks.running import check, engine_in, resident, with_loop
from benchmarks.sleeping import _all_left as all_left
from benchmarks.sleeping import _start as start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowbuilder import Engine

WAITING = (1_000, 10_000, 100_000)
PROBES = 200
"""Runs whose waking is timed, one after the other."""
BURST = 5_000
"""Events that are emitted at once, each for another run."""


def measure(folder: Path) -> Iterator[Figure]:
    """Yield six lines of the table."""
    matched: list[float] = []
    for count in WAITING:
        memory, taken, latencies, rate = with_loop(_wait(folder, count))
        matched.append(1 / rate)
        if count == WAITING[-1]:
            what = f"{count:,} runs that wait for an event, per run in memory"
            yield Figure(what, memory, 100, 0, unit="bytes")
            yield Figure("– from start to waiting in the store, per run", taken, 0.001, 0.0003)
            yield Figure(
                "– from an event to the end of its run, p50", latencies[len(latencies) // 2], 0.02, 0.005
            )
            yield Figure("– the same, p99", latencies[len(latencies) * 99 // 100], 0.1, 0.02)
            yield Figure("– events matched, a second", rate, 1000, 4000, unit="events/s", more=True)
    yield Figure(
        "a matched event among 100,000 waiting runs, in those among 1,000",
        matched[-1] / matched[0],
        2.0,
        1.1,
        unit="×",
    )


async def _wait(folder: Path, count: int) -> tuple[float, float, list[float], float]:
    flow = waiter(folder)
    async with engine_in(folder) as engine:
        await start(engine, flow, count // 10)  # what is allocated once, is so now
        await all_left(engine)
        gc.collect()
        before = resident()
        began = time.perf_counter()
        first = 1_000_000
        runs: dict[int, str] = {}
        numbers = iter(range(first, first + count))

        async def caller() -> None:
            for n in numbers:
                run = await engine.start(flow, {"n": n})
                if n < first + PROBES + BURST:
                    runs[n] = run.id  # not the handle: what is measured is the engine's memory

        async with asyncio.TaskGroup() as group:
            for _ in range(500):
                group.create_task(caller())
        await all_left(engine)
        taken = (time.perf_counter() - began) / count
        gc.collect()
        memory = max(resident() - before, 0.0) * 1024 * 1024 / count
        latencies = sorted([await _probe(engine, runs[first + n], first + n) for n in range(PROBES)])
        rate = await _burst(
            engine, [(n, run) for n, run in runs.items() if n >= first + PROBES][: count // 2]
        )
    return memory, taken, latencies, rate


async def _probe(engine: Engine, run_id: str, n: int) -> float:
    began = time.perf_counter()
    ended = engine.core.machine.runs.watch(run_id)
    await engine.emit("tick", {"n": n})
    await ended
    taken = time.perf_counter() - began
    await check(engine, run_id, 1, {"result": n})
    return taken


async def _burst(engine: Engine, waiting: list[tuple[int, str]]) -> float:
    """Return how many events a second end their runs, when many come at once."""
    ended = [engine.core.machine.runs.watch(run_id) for _, run_id in waiting]
    began = time.perf_counter()
    emit = functools.partial(engine.emit, "tick")
    numbers = iter(waiting)

    async def emitter() -> None:
        for n, _ in numbers:
            await emit({"n": n})

    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(emitter())
    await asyncio.gather(*ended)
    return len(waiting) / (time.perf_counter() - began)
