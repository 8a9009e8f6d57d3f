"""An engine that drives runs of flows with every construct; made to be killed.

As `kills/drive.py`: reads lines `store effects web first count seed` and forks
a child for each, with the flows compiled already: so a kill finds runs at work.
The child plays the world as well: it emits events, sends signals, decides
approvals, pauses, resumes and cancels runs, each of which may be done twice
without harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
from pathlib import Path

from flowbuilder import Engine, FlowBuilderError, load
from flowbuilder.runtime.settings import read_settings
from flowbuilder.storage.api import LIVE

FLOWS = ("loops", "saga", "waits", "limits", "single", "undone", "halted", "once", "types", "rules")
HERE = Path(__file__).parent
SETTINGS = read_settings(
    HERE, {"FLOWBUILDER_ENGINE__CRASHES": "1000", "FLOWBUILDER_ENGINE__LEAVE_AFTER": "20ms"}
).config
LOADED = [load(HERE / f"{name}.yaml", SETTINGS.for_compiler()) for name in FLOWS]


def say(text: str) -> None:
    """Write one whole line at once."""
    os.write(1, f"{text}\n".encode())


async def drive(store: str, effects: str, web: str, first: int, count: int, chance: random.Random) -> None:
    """Start what has not been started, carry on the rest, be the world, wait for all."""
    async with Engine(store, SETTINGS) as engine:

        async def one(n: int) -> None:
            flow, name = LOADED[n % len(FLOWS)], FLOWS[n % len(FLOWS)]
            inputs = {"file": effects, "n": n, **({"web": web} if name == "types" else {})}
            run = await engine.start(flow, inputs, key=f"k{n}")
            say(f"accepted k{n} {run.id}")
            if name == "waits":
                await world(engine, run.id, n)
            elif name == "halted":
                await asyncio.sleep(chance.uniform(0.0, 0.1))
                await run.cancel("enough", undo=n // len(FLOWS) % 2 == 0)
            elif chance.random() < 0.3:
                await halt(engine, run.id)
            await run.wait()

        async with asyncio.TaskGroup() as group:
            for n in range(first, first + count):
                group.create_task(one(n))
    say("done")


async def world(engine: Engine, run_id: str, n: int) -> None:
    """Do what a run waits for; each thing has an id, so that it counts once."""
    await engine.emit("order.paid", {"n": n, "amount": 100}, id=f"paid-{n}")
    for part in (1, 2):
        with contextlib.suppress(FlowBuilderError):  # the run has ended already
            await engine.signal(run_id, "packed", {"part": part}, id=f"packed-{n}-{part}")
    while (await engine.row(run_id)).status in LIVE:
        open = [asked for asked in await engine.approvals(run_id) if asked.run_id == run_id]
        for asked in open:
            for who in ("ada", "bob") if asked.task == "review" else ():
                with contextlib.suppress(FlowBuilderError):  # decided before the last crash
                    await engine.approve(run_id, who, {"more": 500}, task="review")
        await asyncio.sleep(0.005)


async def halt(engine: Engine, run_id: str) -> None:
    """Pause a run for a moment."""
    run = await engine.get(run_id)
    with contextlib.suppress(FlowBuilderError):  # it has ended
        await run.pause()
        await asyncio.sleep(0.01)
        await run.resume()


def main() -> None:
    """Serve rounds until standard input ends."""
    for line in sys.stdin:
        store, effects, web, first, count, seed = line.split()
        pid = os.fork()
        if not pid:
            asyncio.run(drive(store, effects, web, int(first), int(count), random.Random(int(seed))))
            os._exit(0)
        say(f"pid {pid}")
        os.waitpid(pid, 0)
        say("ended")


if __name__ == "__main__":
    main()
