"""An engine that drives runs which wait for the world; made to be killed.

Reads lines `store count` and forks a child for each, as `drive.py` does.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from flowbuilder import Engine, load
from flowbuilder.runtime.config import Config, EngineConfig


def say(text: str) -> None:
    """Write one whole line at once."""
    os.write(1, f"{text}\n".encode())


async def drive(store: str, count: int) -> None:
    """Start what has not been started, carry on the rest, wait for all; waits leave memory at once."""
    flow = load(Path(__file__).parent / "waits.yaml")
    async with Engine(store, Config(engine=EngineConfig(crashes=10_000, leave_after=0.05))) as engine:

        async def one(n: int) -> None:
            run = await engine.start(flow, {"n": n}, key=f"k{n}")
            say(f"accepted {n} {run.id}")
            await run.result()

        async with asyncio.TaskGroup() as group:
            for n in range(count):
                group.create_task(one(n))
    say("done")


def main() -> None:
    """Serve rounds until standard input ends."""
    for line in sys.stdin:
        store, count = line.split()
        pid = os.fork()
        if not pid:
            asyncio.run(drive(store, int(count)))
            os._exit(0)
        say(f"pid {pid}")
        os.waitpid(pid, 0)
        say("ended")


if __name__ == "__main__":
    main()
