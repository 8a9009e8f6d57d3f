"""An engine that drives some runs to their ends; made to be killed.

Reads lines `store folder first count` and forks a child for each: so a
round costs no start of an interpreter.  A child says `accepted KEY ID` when
a start is acknowledged, and `done` when all its runs have ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from flowbuilder import Engine, load
from flowbuilder.runtime.config import Config, EngineConfig

FLOWS = ("chain", "fan", "mend", "rounds")


def say(text: str) -> None:
    """Write one whole line at once."""
    os.write(1, f"{text}\n".encode())


async def drive(store: str, folder: Path, effects: str, first: int, count: int) -> None:
    """Start what has not been started, carry on the rest, wait for all."""
    flows = [load(Path(__file__).parent / f"{name}.yaml") for name in FLOWS]
    async with Engine(store, Config(engine=EngineConfig(crashes=1000))) as engine:

        async def one(n: int) -> None:
            run = await engine.start(flows[n % len(flows)], {"file": effects, "n": n}, key=f"k{n}")
            say(f"accepted k{n} {run.id}")
            await run.result()

        async with asyncio.TaskGroup() as group:
            for n in range(first, first + count):
                group.create_task(one(n))
    say("done")


def main() -> None:
    """Serve rounds until standard input ends."""
    for line in sys.stdin:
        store, folder, effects, first, count = line.split()
        pid = os.fork()
        if not pid:
            asyncio.run(drive(store, Path(folder), effects, int(first), int(count)))
            os._exit(0)
        say(f"pid {pid}")
        os.waitpid(pid, 0)
        say("ended")


if __name__ == "__main__":
    main()
