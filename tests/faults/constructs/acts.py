"""Effects whose every execution leaves a line in a file, written at once and whole."""

from __future__ import annotations

import asyncio


def leave(file: str, key: str, value: int = 0) -> int:
    """Append the key of this execution, and return a value that later tasks depend on."""
    with open(file, "ab", buffering=0) as out:
        out.write(f"{key}\n".encode())
    return value + 1


async def leave_later(file: str, key: str, value: int = 0) -> int:
    """Do the same after a real wait."""
    await asyncio.sleep(0.002)
    return leave(file, key, value)


def fail_first(file: str, key: str, times: int) -> int:
    """Fail the first times that it is called with this key, as the file remembers."""
    leave(file, key)
    with open(file, "rb") as lines:
        calls = lines.read().count(f"{key}\n".encode())
    if calls <= times:
        raise RuntimeError(f"call {calls}")
    return calls


def refuse(file: str, key: str) -> None:
    """Leave a line and fail."""
    leave(file, key)
    raise RuntimeError("refused")
