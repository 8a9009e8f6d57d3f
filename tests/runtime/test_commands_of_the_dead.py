"""Commands that were left for an engine which died before it read them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine, RunCancelled
from flowbuilder.core import values
from flowbuilder.storage.api import Command
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.flows import load_text
from world import until

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

FLOW = """
flow: t
tasks:
  work: {type: python, with: {call: "world:hold", args: [work]}}
"""


NAP = """
flow: t
tasks:
  nap: {type: sleep, with: {for: 50ms}}
  work: {type: python, needs: [nap], with: {call: "world:hold", args: [work]}}
"""


async def cancelled_while_nobody_lives(path: Path, world: World) -> str:
    """Return a run that its engine left, and for which a command was left after that."""
    async with Engine(path, Config()) as engine:
        run = await engine.start(load_text(FLOW))
        await world.begun("work")
    reader = SqliteStore(path)
    reader.open(None)
    reader.send(run.id, "cancel", values.encode({"reason": "enough"}))
    reader.close()
    return run.id


@pytest.mark.parametrize("recover", [True, False], ids=["takes over", "resumes by name"])
async def test_the_next_engine_obeys_them_with_nobody_to_wake_it(
    recover: bool, world: World, tmp_path: Path
) -> None:
    path = tmp_path / "s.db"
    run_id = await cancelled_while_nobody_lives(path, world)

    async with asyncio.timeout(30), Engine(path, Config(), recover=recover) as engine:
        again = await engine.get(run_id)
        if not recover:
            await engine.resume([run_id])
        with pytest.raises(RunCancelled, match="enough"):
            await again.result(10)


async def test_they_are_obeyed_though_who_had_them_read_gave_up_meanwhile(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.db"
    run_id = await cancelled_while_nobody_lives(path, world)

    async with Engine(path, Config(), recover=False) as engine:
        machine = engine.core.machine
        receive = machine.store.receive

        def received() -> list[Command]:
            machine.loop.call_soon_threadsafe(resuming.cancel)  # it comes before what is returned
            return receive()

        monkeypatch.setattr(machine.store, "receive", received)
        resuming = asyncio.ensure_future(engine.resume([run_id]))
        await asyncio.wait((resuming,))
        assert resuming.cancelled()

        with pytest.raises(RunCancelled, match="enough"):
            await (await engine.get(run_id)).result(10)


async def test_one_for_a_run_that_left_memory_just_then_is_carried_out_in_the_store(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Engine.in_memory(Config()) as engine:
        machine = engine.core.machine
        run = await engine.start(load_text(NAP))
        await run.pause()
        await until(lambda: run.id not in machine.runs.live)
        adopt = machine.recovery.adopt_if_free

        async def left_again(run_id: str) -> bool:
            monkeypatch.setattr(machine.recovery, "adopt_if_free", adopt)
            return True

        monkeypatch.setattr(machine.recovery, "adopt_if_free", left_again)
        await machine.commands._obey([Command(1, run.id, "resume", values.encode({}))])

        world.let_go("work")
        assert await run.result(10) == {}
