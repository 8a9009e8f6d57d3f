"""What earlier runs took decides which ready task goes first."""

from pathlib import Path

import pytest

from flowbuilder import Engine, load
from flowbuilder.storage.api import Statistic
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing import FakeClock, run_flow

FLOW = """
flow: two-ways
tasks:
  a: {type: python, executor: inline, with: {call: "order_of_two:note", args: ["a"]}}
  b: {type: python, executor: inline, with: {call: "order_of_two:note", args: ["b"]}}
  behind_b: {type: python, needs: [b], executor: inline, with: {call: "order_of_two:note", args: ["behind b"]}}
  preferred: {type: python, priority: 51, executor: inline, with: {call: "order_of_two:note", args: ["preferred"]}}
"""
CODE = """
order = []

def note(name):
    order.append(name)
    return list(order)
"""


@pytest.fixture
async def flow(tmp_path: Path):
    (tmp_path / "order_of_two.py").write_text(CODE)
    path = tmp_path / "two.yaml"
    path.write_text(FLOW)
    loaded = load(path)
    await run_flow(loaded)  # imports the module: from then on its functions are called in place
    return loaded


async def order_of(engine: Engine, flow) -> list[str]:
    """Return in which order a run carried out `a` and `b`."""
    run = await engine.start(flow)
    await run.result()
    view = await engine.show(run.id)
    order = max((task.output for task in view.tasks.values()), key=len)
    return [name for name in order[-4:] if name in ("a", "b")]


def seen(store: MemoryStore, task: str, seconds: float) -> None:
    for _ in range(50):
        store.submit(Statistic("two-ways", task, seconds, 10, False, 1))


async def test_the_longest_path_goes_first_and_a_change_of_magnitude_turns_the_order(flow) -> None:
    store, clock = MemoryStore(), FakeClock()
    async with Engine(":memory:", store=store, clock=clock) as engine:
        assert await order_of(engine, flow) == ["b", "a"]  # two tasks are longer than one

        seen(store, "a", 100.0)
        clock.advance(60)
        await order_of(engine, flow)  # its end is what makes the engine look
        engine.core.machine.observations.hand_over()
        while engine.core.machine.recovery.busy:
            await engine.runs()
        assert await order_of(engine, flow) == ["a", "b"]


async def test_an_engine_begins_with_what_the_store_knows(flow) -> None:
    store = MemoryStore()
    async with Engine(":memory:", store=store) as engine:
        seen(store, "a", 100.0)

        assert await order_of(engine, flow) == ["a", "b"]


async def test_what_the_author_prefers_goes_before_the_longest_path(flow) -> None:
    store = MemoryStore()
    async with Engine(":memory:", store=store) as engine:
        seen(store, "a", 100.0)
        run = await engine.start(flow)
        await run.result()
        tasks = (await engine.show(run.id)).tasks

        assert len(tasks["preferred"].output) < len(tasks["a"].output)
