"""An engine in a process of its own: `drives.py STORE FILE UNTIL [FLOW]`.

Starts a run of the flow, or carries on what is there; says `run ID`, and
`ended STATUS` when nothing is left.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from flowbuilder import Engine, load
from flowbuilder.storage.api import LIVE, RunFilter


def say(text: str) -> None:
    """Write one whole line at once."""
    os.write(1, f"{text}\n".encode())


async def main(store: str, file: str, until: str, *flows: str) -> None:
    """Drive all runs to their ends."""
    async with Engine(store) as engine:
        for name in flows:
            run = await engine.start(
                load(Path(__file__).parent / f"{name}.yaml"), {"file": file, "until": until}
            )
            say(f"run {run.id}")
        for row in await engine.runs(RunFilter(status=tuple(sorted(LIVE)))):  # type: ignore[arg-type]
            view = await (await engine.get(row.id)).wait()
            say(f"ended {view.status}")


asyncio.run(main(*sys.argv[1:]))
