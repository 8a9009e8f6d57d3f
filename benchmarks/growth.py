"""How time grows: ten times the tasks in a run, ten times the runs in a store.

Each line of the table is one step of ten; its figure says how many times as
long the larger one took, which is 10 where cost is linear.
"""

from __future__ import annotations

import itertools
import time
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.figure import Figure
from benchmarks.flows import async_fan, pure_chain, pure_fan, text_of
from benchmarks.running import engine_in, many_at_once, with_loop

from flowbuilder.runtime.plans import Plans
from flowbuilder.storage.api import RunFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flowbuilder import LoadedFlow

LIMIT = 12.0
"""Times as long that ten times as much may take."""


def measure(folder: Path) -> Iterator[Figure]:
    """Yield a line for each step of ten."""
    for what, make, most in (
        ("async tasks", partial(async_fan, concurrency=1000), 100_000),
        ("pure tasks", pure_fan, 1_000_000),
    ):
        sizes = [size for size in (10, 100, 1000, 10_000, 100_000, 1_000_000) if size <= most]
        yield from _steps(f"{what} in a run", with_loop(_tasks(folder, make(folder), sizes)))
    yield from _steps("runs in a store", with_loop(_runs(folder, [100, 1000, 10_000, 100_000, 1_000_000])))
    yield from _steps("tasks of a flow, compiled", _compiled(folder, [10, 100, 1000, 10_000]))


def _steps(what: str, taken: dict[int, float]) -> Iterator[Figure]:
    sizes = sorted(taken)
    for small, large in itertools.pairwise(sizes):
        note = f"{taken[small] * 1e3:,.2f} ms, then {taken[large] * 1e3:,.2f} ms"
        name = f"growth: from {small:,} to {large:,} {what}"
        yield Figure(name, taken[large] / taken[small], LIMIT, 10.0, unit="×", note=note)


async def _tasks(folder: Path, flow: LoadedFlow, sizes: list[int]) -> dict[int, float]:
    taken = {}
    async with engine_in(folder) as engine:
        await (await engine.start(flow, {"n": 1000})).result()
        for size in sizes:
            some = []
            for _ in range(max(3, min(50, 20_000 // size))):
                start = time.perf_counter()
                await (await engine.start(flow, {"n": size})).result()
                some.append(time.perf_counter() - start)
            taken[size] = median(some)
    return taken


async def _runs(folder: Path, sizes: list[int]) -> dict[int, float]:
    """Return what it takes to fill a store with so many runs, a hundred callers at a time, and to look at it."""
    flow = pure_chain(folder)
    taken = {}
    for size in sizes:
        async with engine_in(folder) as engine:
            await many_at_once(engine, flow, 200, 100)
            start = time.perf_counter()
            _filled, ids = await many_at_once(engine, flow, size, 100)
            newest = await engine.runs(RunFilter(limit=50))
            await engine.show(ids[0])
            await engine.show(newest[0].id)
            taken[size] = time.perf_counter() - start
    return taken


def _compiled(folder: Path, sizes: list[int]) -> dict[int, float]:
    taken = {}
    for size in sizes:
        path = folder / f"grown{size}.yaml"
        path.write_text(text_of(size))
        taken[size] = median(_timed(partial(_compile, path)) for _ in range(max(3, min(50, 5000 // size))))
    return taken


def _compile(path: Path) -> None:
    plans = Plans()
    plans.of_checked(plans.compile_file(path))


def _timed(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
