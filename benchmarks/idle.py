"""An engine that has nothing to do: what it takes of the processor and of memory.

Measured in a process of its own, after a thousand runs that sleep for a day.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 10
_PROGRAM = """
import asyncio, json, sys, time
from pathlib import Path
from benchmarks.flows import sleeper
from benchmarks.running import engine_in, resident, with_loop

async def main(folder, seconds):
    flow = sleeper(folder, "1d")
    async with engine_in(folder) as engine:
        for n in range(1000):
            await engine.start(flow, {"n": n})
        await asyncio.sleep(2)
        before = time.process_time()
        await asyncio.sleep(seconds)
        print(json.dumps([(time.process_time() - before) / seconds, resident()]))

with_loop(main(Path(sys.argv[1]), float(sys.argv[2])))
"""


def measure(folder: Path) -> Iterator[Figure]:
    """Yield two lines of the table."""
    command = [sys.executable, "-c", _PROGRAM, str(folder), str(SECONDS)]
    printed = subprocess.run(command, check=True, capture_output=True, timeout=120).stdout
    share, memory = json.loads(printed)
    yield Figure("an idle engine: processor time", share * 1000, 1.0, 0.2, unit="ms/s")
    yield Figure("an idle engine: memory", memory, 60, 45, unit="MB")
