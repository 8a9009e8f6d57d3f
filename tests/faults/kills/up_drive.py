"""A project that is up in a child process; made to be killed.

Reads lines `store folder` and forks a child for each: so a round costs no
start of an interpreter.  A child says `up` when the project is, and stays up
until it is killed.
"""

from __future__ import annotations

import asyncio
import os
import sys

from flowbuilder import Engine
from flowbuilder.runtime.config import Config, EngineConfig


def say(text: str) -> None:
    """Write one whole line at once."""
    os.write(1, f"{text}\n".encode())


async def stay_up(store: str, folder: str) -> None:
    """Keep the project up."""
    async with Engine(store, Config(engine=EngineConfig(crashes=1000)), secrets={}) as engine:
        await engine.up(folder)
        say("up")
        await asyncio.Event().wait()


def main() -> None:
    """Serve rounds until standard input ends."""
    for line in sys.stdin:
        store, folder = line.split()
        pid = os.fork()
        if not pid:
            asyncio.run(stay_up(store, folder))
            os._exit(0)
        say(f"pid {pid}")
        os.waitpid(pid, 0)
        say("ended")


if __name__ == "__main__":
    main()
