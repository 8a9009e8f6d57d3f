"""The store without an engine: what a lone run waits, what many share, and what the log's room is worth."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import floors
from benchmarks.figure import Figure

from flowbuilder.core.ids import RunIds
from flowbuilder.storage.api import Accept, Append, RunRow
from flowbuilder.storage.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NOW = 1_790_000_000.0
_BATCH = b"x" * 300


def measure(folder: Path) -> Iterator[Figure]:
    """Yield the store's own lines."""
    store = SqliteStore(folder / "store-benchmark.db")
    store.open("benchmark")
    try:
        yield asyncio.run(_lone(store, folder))
        yield asyncio.run(_burst(store, folder))
        yield asyncio.run(_waits(store, folder))
    finally:
        store.close()


class _Runs:
    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._ids = RunIds(time.time_ns())
        self._turn: asyncio.Future[None] | None = None

    def submit(self) -> str:
        """Submit a run that has ended and its only batch."""
        run_id = self._ids.make(time.time())
        row = RunRow(run_id, "f", "h", "succeeded", _NOW, b"\x80", started_at=_NOW, ended_at=_NOW)
        self._store.submit(Accept(row))
        self._store.submit(Append(run_id, 0, _BATCH))
        return run_id

    async def durable(self) -> None:
        """Return when all that was submitted is on disk; those who ask in one turn of the loop ask as one."""
        if self._turn is None:
            loop = asyncio.get_running_loop()
            self._turn = loop.create_future()
            loop.call_soon(self._ask, loop)
        await self._turn

    def _ask(self, loop: asyncio.AbstractEventLoop) -> None:
        turn, self._turn = self._turn, None
        assert turn is not None

        def settle(error: Exception | None) -> None:
            if error is not None:
                turn.set_exception(error)
            else:
                turn.set_result(None)

        self._store.when_durable(lambda error: loop.call_soon_threadsafe(settle, error))


async def _lone(store: SqliteStore, folder: Path) -> Figure:
    runs = _Runs(store)
    taken = []
    for number in range(1_000):
        start = time.perf_counter()
        runs.submit()
        await runs.durable()
        if number >= 200:
            taken.append(time.perf_counter() - start)
    floor = floors.commit(folder)
    return Figure(
        "the store alone: a lone run, submitted until durable, p50",
        median(taken),
        2.5 * floor,
        1.2 * floor,
        floor,
        "commit",
    )


async def _burst(store: SqliteStore, folder: Path, count: int = 100_000, share: int = 250) -> Figure:
    runs = _Runs(store)
    start = time.perf_counter()

    async def submit_some(times: int) -> None:
        for _ in range(times):
            for _ in range(share):
                runs.submit()
            await runs.durable()

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(submit_some(count // share // 4))
    rate = count / (time.perf_counter() - start)
    floor = 1 / floors.inserts(folder)
    return Figure(
        "the store alone: runs that end at once, a thousand at a time",
        rate,
        30_000,
        100_000,
        floor,
        "inserts",
        "runs/s",
        more=True,
    )


async def _waits(store: SqliteStore, folder: Path, conc: int = 256, rounds: int = 20) -> Figure:
    runs = _Runs(store)
    start = time.perf_counter()

    async def append_and_wait() -> None:
        for _ in range(rounds):
            run_id = runs.submit()
            for sequence in range(1, 11):
                store.submit(Append(run_id, sequence, _BATCH))
                await runs.durable()

    async with asyncio.TaskGroup() as group:
        for _ in range(conc):
            group.create_task(append_and_wait())
    rate = conc * rounds * 10 / (time.perf_counter() - start)
    return Figure(
        "the store alone: waits for a commit, 256 runs at once",
        rate,
        40_000,
        100_000,
        1 / floors.inserts(folder),
        "inserts",
        "waits/s",
        more=True,
    )
