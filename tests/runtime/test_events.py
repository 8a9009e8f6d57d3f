"""The bus carries what happens to whoever watches, and waits for nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.testing.flows import finish, load_text
from world import until

if TYPE_CHECKING:
    from flowbuilder import Engine
    from flowbuilder.testing.fake_clock import FakeClock
    from world import World

FLOW = """
flow: t
tasks:
  a: {type: python, effect: read, retry: {attempts: 2, delay: 1m}, with: {call: fail, args: {name: a, times: 1}}}
  b: {type: set, needs: [a], with: 1}
  c: {type: set, needs: [b], if: "${{ tasks.b.output > 1 }}", with: 1}
  each: {for_each: [1, 2], needs: [b], type: set, with: "${{ item }}"}
"""


async def test_each_change_is_told_in_order(engine: Engine, clock: FakeClock, world: World) -> None:
    listener = engine.core.machine.bus.listen()
    run = await engine.start(load_text(FLOW))
    await finish(engine, run, clock)
    engine.core.machine.bus.leave(listener)

    told = [(getattr(event, "task", "run"), event.status) async for event in listener]

    assert [status for name, status in told if name == "a"] == ["running", "waiting", "running", "succeeded"]
    assert told[0] == ("run", "running")
    assert told[-1] == ("run", "succeeded")
    for wanted in (("b", "succeeded"), ("c", "skipped"), ("each[0]", "succeeded"), ("each", "succeeded")):
        assert wanted in told
    assert told.index(("a", "succeeded")) < told.index(("b", "succeeded"))


async def test_a_listener_that_does_not_keep_up_is_cut_off_and_nobody_waits_for_it(
    engine: Engine, clock: FakeClock, world: World
) -> None:
    bus = engine.core.machine.bus
    slow = bus.listen(limit=5)
    run = await engine.start(load_text(FLOW))
    await finish(engine, run, clock)

    assert slow.lost
    assert not bus.active
    assert len([event async for event in slow]) == 5


async def test_a_run_can_be_watched_to_its_end(engine: Engine, world: World) -> None:
    run = await engine.start(
        load_text("flow: t\ntasks: {a: {type: python, with: {call: hold, args: {name: a}}}}\n")
    )
    await world.begun("a")
    world.let_go("a")

    statuses = [event.status async for event in run.events()]

    assert statuses[-1] == "succeeded"
    await until(lambda: not engine.core.machine.bus.active)
