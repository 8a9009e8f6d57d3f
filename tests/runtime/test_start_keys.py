"""`key` makes a start idempotent within the flow's name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine, KeyConflict
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing.flows import load_text

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

FLOW = """
flow: {name}
inputs: {{n: {{type: integer, default: 1}}}}
tasks: {{a: {{type: python, with: {{call: act, args: {{name: a, value: "${{{{ inputs.n }}}}"}}}}}}}}
outputs: {{a: "${{{{ tasks.a.output }}}}"}}
"""


async def test_the_same_key_gives_the_same_run_also_when_it_has_ended(engine: Engine, world: World) -> None:
    flow = load_text(FLOW.format(name="t"))
    first = await engine.start(flow, {"n": 5}, key="k")
    await first.result(20)
    second = await engine.start(flow, {"n": 5}, key="k")

    assert second.id == first.id
    assert await second.result(20) == {"a": 5}
    assert world.calls == ["a"]


async def test_many_who_start_at_once_get_one_run(engine: Engine, world: World) -> None:
    flow = load_text(FLOW.format(name="t"))
    runs = await asyncio.gather(*(engine.start(flow, key="k") for _ in range(20)))

    assert len({run.id for run in runs}) == 1
    await runs[7].result(20)
    assert world.calls == ["a"]


async def test_a_key_holds_within_the_name_of_a_flow(engine: Engine, world: World) -> None:
    one = await engine.start(load_text(FLOW.format(name="one")), key="k")
    two = await engine.start(load_text(FLOW.format(name="two")), key="k")

    assert one.id != two.id


async def test_other_inputs_are_an_error_that_names_the_run(engine: Engine, world: World) -> None:
    flow = load_text(FLOW.format(name="t"))
    run = await engine.start(flow, {"n": 5}, key="k")

    with pytest.raises(KeyConflict, match=run.id):
        await engine.start(flow, {"n": 6}, key="k")


async def test_a_run_whose_engine_stopped_is_carried_on_by_its_key(world: World) -> None:
    memory = MemoryStore()
    flow = load_text(
        "flow: t\ntasks: {a: {type: python, with: {call: hold, args: {name: a, value: 3}}}}\noutputs: {a: '${{ tasks.a.output }}'}\n"
    )
    async with Engine(":memory:", Config(), store=memory) as engine:
        first = await engine.start(flow, key="k")
        await world.begun("a")
    world.let_go("a")
    async with Engine(":memory:", Config(), store=MemoryStore(memory.place), recover=False) as engine:
        second = await engine.start(flow, key="k")

        assert second.id == first.id
        assert await second.result(20) == {"a": 3}


async def test_a_key_holds_also_where_nothing_waits_for_the_disk(tmp_path: Path, world: World) -> None:
    flow = load_text("durability: none" + FLOW.format(name="t"))
    async with Engine(tmp_path / "store.db", Config()) as engine:
        first = await engine.start(flow, key="k")
        second = await engine.start(flow, key="k")

        assert second.id == first.id
        assert await second.result(20) == {"a": 1}
    assert world.calls == ["a"]
