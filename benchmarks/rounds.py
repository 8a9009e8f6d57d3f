"""Loops: what a round costs, and whether a loop of a million rounds stays small.

A round of a task that only computes; a round of a group of two such tasks,
which has a graph, a scope and records of its own; and how time grows with the
number of rounds.  What is left in the store and in memory is of the largest.
"""

from __future__ import annotations

import gc
import itertools
import time
from typing import TYPE_CHECKING

from benchmarks.figure import Figure
from benchmarks.flows import looping, looping_group
from benchmarks.running import engine_in, resident, with_loop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flowbuilder import LoadedFlow

SIZES = (10_000, 100_000, 1_000_000)
GROUPS = 100_000
_KEPT = 1_000_000
"""Bytes of a journal that no loop may leave."""


def measure(folder: Path) -> Iterator[Figure]:
    """Yield the lines of the table."""
    taken: dict[int, float] = {}
    flow = looping(folder)
    for rounds in SIZES:
        taken[rounds], kept, memory = with_loop(_loop(folder, flow, rounds))
    floor = _bare(SIZES[-1])
    yield Figure(
        f"a loop of {SIZES[-1]:,} pure rounds, durable: a round",
        taken[SIZES[-1]] / SIZES[-1],
        5e-6,
        1e-6,
        floor,
        "the same loop in plain Python",
    )
    yield Figure("what it leaves in its journal", kept / 1000, 1000, 100, unit="kB")
    yield Figure("what it takes of memory", memory, 20, 2, unit="MB")
    for small, large in itertools.pairwise(SIZES):
        note = f"{taken[small]:.3g} s, then {taken[large]:.3g} s"
        name = f"growth: from {small:,} to {large:,} pure rounds"
        yield Figure(name, taken[large] / taken[small], 12.0, 10.0, unit="×", note=note)
    spent, kept, _ = with_loop(_loop(folder, looping_group(folder), GROUPS))
    yield Figure(f"a loop of {GROUPS:,} groups of two pure tasks: a round", spent / GROUPS, 100e-6, 20e-6)
    yield Figure("what that leaves in its journal", kept / 1000, 1000, 100, unit="kB")


async def _loop(folder: Path, flow: LoadedFlow, rounds: int) -> tuple[float, int, float]:
    """Return seconds, bytes of the journal, and megabytes of memory that a loop takes."""
    async with engine_in(folder) as engine:
        await (await engine.start(flow, {"n": 10})).result()
        gc.collect()
        before = resident()
        start = time.perf_counter()
        run = await engine.start(flow, {"n": rounds})
        result = await run.result()
        spent = time.perf_counter() - start
        memory = resident() - before
        assert result == {"result": rounds}
        view = await engine.show(run.id)
        assert view.tasks["count"].rounds == rounds
        assert len(view.tasks["count"].history or ()) == 20
        return spent, sum(map(len, engine.core.machine.store.journal(run.id))), memory


def _bare(rounds: int) -> float:
    """Return what a round of the plain loop takes."""
    start = time.perf_counter()
    state = 0
    while True:
        loop = {"state": state, "index": 0}
        state = loop["state"] + 1
        if state >= rounds:
            break
    return (time.perf_counter() - start) / rounds
