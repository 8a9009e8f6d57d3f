"""What flows of the tests do to the world: lines in a file, and deaths."""

from __future__ import annotations

import asyncio
import os
import signal
import time


def leave(file: str, line: str) -> str:
    """Append a line."""
    with open(file, "ab", buffering=0) as out:
        out.write(f"{line}\n".encode())
    return line


async def wait_for(file: str, line: str, until: str) -> str:
    """Append a line, and wait until a file is there."""
    leave(file, line)
    while not os.path.exists(until):  # noqa: ASYNC110, ASYNC240 - another process makes the file
        await asyncio.sleep(0.01)
    return line


def die(file: str, line: str) -> None:
    """Take the engine along, as a fault in a C library does."""
    leave(file, line)
    os.kill(os.getpid(), signal.SIGKILL)


async def note_span(file: str, key: str) -> str:
    """Write down when this began and when it ended, on a clock that all processes share."""
    leave(file, f"begin {key} {os.getpid()} {time.monotonic()}")
    await asyncio.sleep(0.04)
    return leave(file, f"end {key} {os.getpid()} {time.monotonic()}")


async def note_start(file: str, key: str) -> str:
    """Write down when this began."""
    return leave(file, f"start {key} {os.getpid()} {time.monotonic()}")
