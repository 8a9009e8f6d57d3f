"""Ten thousand schedules in one engine: what they cost while nothing is due, and how late their runs start.

A thousand flows with ten triggers each, in a process of its own.  At first
all are far from due; then each comes once a minute, spread evenly; then all
of them come in the same second.
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

FLOWS, TRIGGERS = 1000, 10
SCHEDULES = FLOWS * TRIGGERS
_PROGRAM = """
import asyncio, json, sys, time
from pathlib import Path
from benchmarks.running import engine_in, resident, with_loop
from flowbuilder.core import values

def write(folder, flows, triggers, line):
    folder.mkdir(exist_ok=True)
    for flow in range(flows):
        text = "".join(line(flow * triggers + n) for n in range(triggers))
        (folder / f"f{flow}.yaml").write_text(
            f"flow: f{flow}\\ntriggers:\\n{text}tasks:\\n  a: {{type: set, with: '${{{{ trigger.type }}}}'}}\\n")

def lateness(rows):
    found = []
    for row in rows:
        at = values.decode(row.about)["trigger"]["scheduled_at"].timestamp()
        found.append(row.created_at - at)
    return sorted(found)

async def main(folder, flows, triggers):
    count = flows * triggers
    idle = lambda n: f"  - {{cron: '{n % 60} {n // 60 % 24} 29 2 *', timezone: Europe/Berlin}}\\n"
    write(folder / "idle", flows, triggers, idle)
    now = time.time()
    async with engine_in(folder) as engine:
        before = resident()
        began = time.perf_counter()
        still = asyncio.ensure_future(standstill())
        project = await engine.up(folder / "idle", watch=False)
        started = time.perf_counter() - began
        still.cancel()
        stood = await still
        memory = resident() - before
        await asyncio.sleep(2)
        used = time.process_time()
        await asyncio.sleep(10)
        share = (time.process_time() - used) / 10
        await project.close()

        told = []
        begin = time.time() + 15
        spread = lambda n: f"  - {{every: 1m, anchor: '{iso(begin + n * 60 / count)}'}}\\n"
        write(folder / "spread", flows, triggers, spread)
        rows = []
        engine.core.machine.runs.listeners += (rows.append,)
        project = await engine.up(folder / "spread", watch=False)
        await asyncio.sleep(max(0, begin - time.time()) + 20)
        await project.close()
        late = lateness(rows)

        rows.clear()
        at = time.time() + 15
        write(folder / "burst", flows, triggers, lambda n: f"  - {{every: 1d, anchor: '{iso(at)}'}}\\n")
        project = await engine.up(folder / "burst", watch=False)
        assert time.time() < at
        while len(rows) < count:
            await asyncio.sleep(0.05)
        burst = lateness(rows)[-1]
        await project.close()
    print(json.dumps([started, stood, memory, share, late[len(late) // 2], late[int(len(late) * 0.99)], burst, len(late)]))

async def standstill():
    longest = 0.0
    try:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - before - 0.001)
    except asyncio.CancelledError:
        return longest

def iso(moment):
    import datetime as dt
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat()

with_loop(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
"""


def measure(folder: Path) -> Iterator[Figure]:
    """Yield seven lines of the table."""
    command = [sys.executable, "-c", _PROGRAM, str(folder), str(FLOWS), str(TRIGGERS)]
    printed = subprocess.run(command, check=True, capture_output=True, timeout=300).stdout
    started, stood, memory, share, p50, p99, burst, count = json.loads(printed)
    what = f"{SCHEDULES:,} schedules"
    yield Figure(f"{what}: read, checked and in force", started, 20.0, 8.0)
    yield Figure(f"{what}: the loop stands still meanwhile, at most", stood, 0.25, 0.05)
    yield Figure(f"{what}: memory, with their flows' plans", memory, 120, 60, unit="MB")
    yield Figure(f"{what}: processor time while none is due", share * 1000, 2.0, 0.5, unit="ms/s")
    yield Figure(
        f"{what}, one a minute each: start behind its moment, p50", p50, 0.02, 0.005, note=f"{count} runs"
    )
    yield Figure(f"{what}, one a minute each: start behind its moment, p99", p99, 0.2, 0.05)
    yield Figure(f"{what} in the same second: until the last has started", burst, 15.0, 5.0)
