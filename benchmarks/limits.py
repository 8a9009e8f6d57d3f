"""Limits: what they add to an attempt, a thousand keys of `concurrency`, runs that are queued."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import floors
from benchmarks.figure import Figure
from benchmarks.flows import async_fan
from benchmarks.running import engine_in, resident, with_loop

from flowbuilder.runtime.config import Config, QueueConfig
from flowbuilder.storage.api import RunFilter
from flowbuilder.testing.flows import load_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowbuilder import Engine, LoadedFlow

ATTEMPTS = 10_000
KEYS = 1_000
QUEUED = 100_000
_LIMITS = {
    "a rate-limited attempt": "rate_limit: {limit: 1000000, per: 1s}",
    "an attempt in a queue": "queue: wide",
}
_LANE = """
flow: lane
inputs: {n: {type: integer}}
concurrency: {limit: 1, key: "${{ inputs.n % 1000 }}"}
tasks: {a: {type: set, with: "${{ inputs.n }}"}}
"""
_HOLD = """
flow: held
inputs: {n: {type: integer}}
concurrency: 1
tasks: {a: {type: sleep, with: {for: 1h}}}
"""


def measure(folder: Path) -> Iterator[Figure]:
    """Yield four lines of the table."""
    yield from with_loop(_attempts(folder))
    yield with_loop(_keys(folder))
    yield with_loop(_queued(folder))


async def _attempts(folder: Path) -> list[Figure]:
    """Return what a limit that nobody has to wait for adds to an attempt."""
    config = Config(queues={"wide": QueueConfig(concurrency=100_000)})
    plain = async_fan(folder, concurrency=256)
    figures = []
    async with engine_in(folder, config=config) as engine:
        base = await _per_attempt(engine, plain)
        for what, key in _LIMITS.items():
            text = plain.path.read_text() if plain.path.exists() else plain.sources[str(plain.path)]
            limited = load_text(text.replace("    effect: read\n", f"    effect: read\n    {key}\n"), folder)
            assert limited.plan.main.tasks[0].limits is not None
            figures.append(
                Figure(
                    what, await _per_attempt(engine, limited), 100e-6, 50e-6, base, "the same without a limit"
                )
            )
    return figures


async def _per_attempt(engine: Engine, flow: LoadedFlow) -> float:
    await (await engine.start(flow, {"n": 1000})).result()
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        await (await engine.start(flow, {"n": ATTEMPTS})).result()
        taken.append((time.perf_counter() - start) / ATTEMPTS)
    return median(taken)


async def _keys(folder: Path) -> Figure:
    """Return how many runs end in a second where each of a thousand keys lets one run at a time."""
    flow, count = load_text(_LANE, folder), 10 * KEYS
    async with engine_in(folder) as engine:
        start = time.perf_counter()
        await asyncio.gather(*(engine.start(flow, {"n": n}) for n in range(count)))
        while await engine.runs(RunFilter(status=("queued", "running"), limit=1)):  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.02)
        taken = time.perf_counter() - start
        ended = await engine.runs(RunFilter(status=("succeeded",), limit=count + 1))
        assert len(ended) == count
    floor = 1 / floors.inserts(folder)
    name = "10,000 runs over 1,000 `concurrency` keys, one of each at a time"
    return Figure(name, count / taken, 500, 4_000, floor, "batched inserts", "runs/s", more=True)


async def _queued(folder: Path) -> Figure:
    """Return what a queued run takes of memory."""
    flow = load_text(_HOLD, folder)
    async with engine_in(folder) as engine:
        await engine.start(flow, {"n": 0})
        await asyncio.gather(*(engine.start(flow, {"n": n}) for n in range(1, 1000)))
        before, start = resident(), time.perf_counter()
        for first in range(0, QUEUED, 10_000):
            await asyncio.gather(*(engine.start(flow, {"n": n}) for n in range(first, first + 10_000)))
        taken = time.perf_counter() - start
        assert engine.core.machine.store.lanes().count("held")[1] == QUEUED + 999
        each = max(0.0, resident() - before) * 1e6 / QUEUED
    note = f"({QUEUED / taken:,.0f} queued in a second)"
    return Figure("100,000 queued runs: memory each", each, 500, 100, None, "", "bytes", note=note)
