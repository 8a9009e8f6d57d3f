"""An engine that is stopped while somebody waits for a run that is not in its memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine
from flowbuilder.core.errors import EngineStopped
from flowbuilder.testing.flows import load_text
from world import World, until

if TYPE_CHECKING:
    from pathlib import Path

FLOW = """
flow: one
inputs: {name: {type: string}}
concurrency: 1
tasks:
  work: {type: python, with: {call: "world:hold", args: ["${{ inputs.name }}"]}}
"""


@pytest.mark.parametrize("paused", [False, True])
async def test_whoever_waits_is_told_that_it_was_stopped(tmp_path: Path, world: World, paused: bool) -> None:
    engine = Engine(tmp_path / "s.db", Config(), recover=False)
    await engine.core.open()
    await engine.start(load_text(FLOW), {"name": "first"})
    await world.begun("first")
    queued = await engine.start(load_text(FLOW), {"name": "second"})
    if paused:
        await queued.pause()
    waiting = asyncio.ensure_future(queued.wait())
    await until(lambda: queued.id in engine.core.machine.runs._watchers)

    await engine.stop(0)

    with pytest.raises(EngineStopped):
        await asyncio.wait_for(waiting, 10)
