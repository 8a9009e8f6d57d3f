"""What the machine itself can do: each figure of the engine stands beside one of these.

Every function returns the median of many measurements, in seconds, and takes
the folder to write into where it writes: a floor counts only for the disk
that the engine used in the same run.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from statistics import median

import apsw

_ROW = b"x" * 200


def flush(folder: Path, rounds: int = 300) -> float:
    """Return what one append of 4 KiB and its `fdatasync` take."""
    block = os.urandom(4096)
    path = folder / "flush.floor"
    taken = []
    sync = getattr(os, "fdatasync", os.fsync)
    handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        for _ in range(rounds):
            start = time.perf_counter()
            os.write(handle, block)
            sync(handle)
            taken.append(time.perf_counter() - start)
    finally:
        os.close(handle)
        path.unlink()
    return median(taken)


def commit(folder: Path, rounds: int = 500) -> float:
    """Return what a commit of a single row takes: WAL, `synchronous = FULL`, on the caller's thread.

    The log is as long as it will be before the first measurement: a flush
    that lengthens it would take two to three times as long.
    """
    connection = _database(folder / "commit.floor")
    with connection:
        connection.executemany("INSERT INTO rows (data) VALUES (?)", ((_ROW,) for _ in range(20_000)))
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
    cursor = connection.cursor()
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        cursor.execute("INSERT INTO rows (data) VALUES (?)", (_ROW,))
        taken.append(time.perf_counter() - start)
    _remove(connection)
    return median(taken)


def inserts(folder: Path, rows: int = 20_000, rounds: int = 5) -> float:
    """Return what one row of a large batch takes: one transaction, `executemany`."""
    connection = _database(folder / "inserts.floor")
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        with connection:
            connection.executemany("INSERT INTO rows (data) VALUES (?)", ((_ROW,) for _ in range(rows)))
        taken.append((time.perf_counter() - start) / rows)
    _remove(connection)
    return median(taken)


async def coroutines_here(count: int = 20_000, rounds: int = 5) -> float:
    """Return what one asyncio task takes that suspends once, of many started together on the loop that runs."""

    async def bare() -> None:
        await asyncio.sleep(0)

    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(bare())
        taken.append((time.perf_counter() - start) / count)
    return median(taken)


def _database(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    connection.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, data BLOB)")
    return connection


def _remove(connection: apsw.Connection) -> None:
    path = Path(connection.filename)
    connection.close()
    path.unlink()
