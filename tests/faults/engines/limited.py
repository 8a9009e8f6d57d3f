"""An engine in a process of its own, made to be killed: `limited.py STORE FILE FIRST COUNT`.

Starts some runs of `limited.yaml`, or carries on what is there, and says
`done` when nothing is left.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from flowbuilder import Engine, load
from flowbuilder.runtime.config import Config, EngineConfig, QueueConfig
from flowbuilder.storage.api import LIVE, RunFilter

CONFIG = Config(engine=EngineConfig(crashes=1000), queues={"few": QueueConfig(concurrency=3, per_key=2)})


async def main(store: str, file: str, first: str, count: str) -> None:
    """Drive all runs to their ends."""
    flow = load(Path(__file__).parent / "limited.yaml")
    async with Engine(store, CONFIG, secrets={}) as engine:
        for n in range(int(first), int(first) + int(count)):
            await engine.start(flow, {"file": file, "n": n}, key=f"k{n}")
        while rows := await engine.runs(RunFilter(status=tuple(sorted(LIVE)), limit=1000)):  # type: ignore[arg-type]
            await asyncio.gather(*[(await engine.get(row.id)).wait() for row in rows])
    os.write(1, b"done\n")


asyncio.run(main(*sys.argv[1:]))
