"""`circuit_breaker`: closed, open, half open; shared, and kept through restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine
from flowbuilder.core.errors import StoreFull
from flowbuilder.runtime.breakers import KIND
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import finish, load_text, run_flow
from world import World, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flowbuilder.storage.api import Fact
    from flowbuilder.storage.memory.facts import MemoryFacts

CALL = """
flow: t
inputs: {kind: {type: string, default: boom}, ok: {type: boolean, default: false}, key: {type: string, default: k}}
tasks:
  call:
    type: python
    with: {call: "world:fail", args: ["${{ inputs.key }}", "${{ 0 if inputs.ok else 1000 }}", "${{ inputs.kind }}"]}
    circuit_breaker: {failures: 3, reset: 30s, key: "${{ inputs.key }}"}
"""

HOLD = """
flow: u
tasks: {call: {type: python, with: {call: "world:hold", args: [try]}, circuit_breaker: {failures: 3, reset: 30s, key: k}}}
"""


async def kind_of(engine: Engine, clock: FakeClock, **inputs: object) -> str:
    """Return the kind of error that a run of `CALL` ends with, or `ok`."""
    run = await engine.start(load_text(CALL), inputs)
    await finish(engine, run, clock)
    view = await engine.show(run.id)
    return "ok" if view.error is None else str(view.error["kind"])


async def test_it_opens_after_failures_in_a_row_and_lets_one_try_later(
    engine: Engine, clock: FakeClock, world: World
) -> None:
    assert [await kind_of(engine, clock) for _ in range(5)] == ["boom"] * 3 + ["circuit.open"] * 2
    assert world.count("k") == 3

    clock.advance(31)
    assert [await kind_of(engine, clock) for _ in range(2)] == ["boom", "circuit.open"]

    clock.advance(31)
    assert [await kind_of(engine, clock, ok=True) for _ in range(2)] == ["ok", "ok"]
    assert [await kind_of(engine, clock) for _ in range(3)] == ["boom"] * 3
    assert await kind_of(engine, clock) == "circuit.open"


async def test_a_success_between_them_closes_the_row(engine: Engine, clock: FakeClock, world: World) -> None:
    kinds = [await kind_of(engine, clock, ok=ok) for ok in (False, False, True, False, False, True)]

    assert kinds == ["boom", "boom", "ok", "boom", "boom", "ok"]


async def test_each_key_has_its_own(engine: Engine, clock: FakeClock, world: World) -> None:
    for _ in range(3):
        await kind_of(engine, clock, key="a")

    assert await kind_of(engine, clock, key="a") == "circuit.open"
    assert await kind_of(engine, clock, key="b") == "boom"


@pytest.mark.parametrize("kind", ["input", "expression.value", "cancelled"])
async def test_what_says_nothing_of_the_other_side_does_not_count(
    engine: Engine, clock: FakeClock, world: World, kind: str
) -> None:
    assert [await kind_of(engine, clock, kind=kind) for _ in range(5)] == [kind] * 5


async def test_only_kinds_that_are_named_count(world: World) -> None:
    flow = """
flow: t
tasks:
  a:
    for_each: [http.404, http.503, http.404, http.500, http.502, http.503, http.404]
    concurrency: 1
    type: fail
    with: {kind: "${{ item }}", message: no}
    on_error: continue
    circuit_breaker: {failures: 3, reset: 1m, on: [http.5xx]}
"""
    view = await run_flow(flow)

    kinds = [error["kind"] for error in view.tasks["a"].errors or []]
    assert kinds == ["http.404", "http.503", "http.404", "http.500", "http.502", "http.503", "circuit.open"]


async def test_half_open_lets_one_through_at_a_time(engine: Engine, clock: FakeClock, world: World) -> None:
    for _ in range(3):
        await kind_of(engine, clock)
    clock.advance(31)
    flow = load_text("""
flow: u
inputs: {n: {type: integer}}
tasks:
  call:
    type: python
    with: {call: "world:hold", args: [try]}
    circuit_breaker: {failures: 3, reset: 30s, key: k}
""")
    first = await engine.start(flow, {"n": 1})
    await world.begun("try")
    others = [await engine.start(flow, {"n": n}) for n in range(2, 6)]
    for other in others:
        assert ((await other.wait(20)).error or {})["kind"] == "circuit.open"
    world.let_go("try")

    assert (await first.wait(20)).status == "succeeded"
    assert (await (await engine.start(flow, {"n": 7})).wait(20)).status == "succeeded"


async def test_a_cancelled_try_lets_the_next_one_try(engine: Engine, clock: FakeClock, world: World) -> None:
    for _ in range(3):
        await kind_of(engine, clock)
    clock.advance(31)
    holds = CALL.replace('"world:fail"', '"world:hold"').replace('"${{ 0 if inputs.ok else 1000 }}"', "null")
    run = await engine.start(load_text(holds.replace(', "${{ inputs.kind }}"', "")), {"key": "k"})
    await world.begun("k")
    await run.cancel()
    await run.wait(20)

    assert await kind_of(engine, clock, ok=True) == "ok"


async def test_a_retry_may_outwait_it_and_on_error_is_the_fallback(world: World) -> None:
    flow = """
flow: t
tasks:
  a:
    type: python
    with: {call: "world:fail", args: [a, 2]}
    retry: {attempts: 10, delay: 20s, backoff: constant, jitter: none}
    circuit_breaker: {failures: 2, reset: 1m, key: other}
  b:
    type: fail
    with: {kind: boom, message: no}
    needs: [a]
    circuit_breaker: {failures: 1, reset: 1m}
    retry: {attempts: 2, delay: 1s}
    on_error: {value: cached, on: [circuit.open]}
outputs: {b: "${{ tasks.b.output }}"}
"""
    view = await run_flow(flow, clock=FakeClock())

    assert view.status == "succeeded"
    assert view.outputs == {"b": "cached"}
    assert world.count("a") == 3
    assert view.tasks["a"].attempts == 5


async def test_it_outlives_its_engine_and_is_shared_by_engines(tmp_path: Path, world: World) -> None:
    clock, flow = FakeClock(), load_text(CALL)
    for _ in range(3):
        await run_flow(flow, {}, clock=clock, store=SqliteStore(tmp_path / "s.db"))
    view = await run_flow(flow, {}, clock=clock, store=SqliteStore(tmp_path / "s.db"))

    assert (view.error or {})["kind"] == "circuit.open"
    assert "is open after 3 failures in a row" in (view.error or {})["message"]


async def test_a_try_that_died_with_its_engine_keeps_nobody_from_trying(tmp_path: Path, world: World) -> None:
    clock, path = FakeClock(), tmp_path / "s.db"
    for _ in range(3):
        await run_flow(load_text(CALL), {}, clock=clock, store=SqliteStore(path))
    clock.advance(31)
    dying = SqliteStore(path)
    engine = Engine(path, clock=clock, store=dying, secrets={}, recover=False)
    await engine.core.open()
    await engine.start(load_text(HOLD))
    await world.begun("try")
    dying.abandon()

    async with Engine(path, clock=clock, secrets={}, recover=False) as other:
        assert await kind_of(other, clock, ok=True) == "ok"
    engine.core.machine.stopping = True
    for task in engine.core._serving:
        task.cancel()
    world.let_go("try")


class FullOnce(MemoryStore):
    """A store that does not take what a try has come to, once."""

    trying = refused = False

    def facts(self) -> MemoryFacts:
        facts = super().facts()
        change = facts.change

        def full_once(kind: str, key: str, to: Callable[[Fact | None], Fact | None]) -> Fact | None:
            if kind == KIND and self.trying and not self.refused:
                self.refused = True
                raise StoreFull("the disk is full", "once")
            return change(kind, key, to)

        facts.change = full_once  # type: ignore[method-assign]
        return facts


@pytest.mark.parametrize("set_back", [0, 3600])
async def test_what_a_try_has_come_to_is_told_again_where_the_store_did_not_take_it(
    clock: FakeClock, world: World, set_back: float
) -> None:
    store = FullOnce()
    async with (
        Engine(":memory:", clock=clock, store=store, secrets={}) as engine,
        Engine(":memory:", clock=clock, store=MemoryStore(store.place), secrets={}) as other,
    ):
        for _ in range(3):
            await kind_of(engine, clock)
        clock.advance(31)
        hold = await engine.start(load_text(HOLD))
        await world.begun("try")
        store.trying = True
        world.let_go("try")
        await hold.result(20)
        await until(lambda: store.refused)
        await until(lambda: not engine.core.machine.limits.breakers._writing)
        assert await kind_of(other, clock) == "circuit.open"

        clock.set(clock.now() - set_back)
        clock.advance(2)
        await until(lambda: not engine.core.machine.limits.breakers._breakers["k"].news)
        assert await kind_of(other, clock, ok=True) == "ok"


async def test_a_sub_flow_and_a_group_have_breakers_too(tmp_path: Path, world: World) -> None:
    (tmp_path / "child.yaml").write_text(
        "flow: child\ntasks: {a: {type: fail, with: {kind: boom, message: no}}}\n"
    )
    (tmp_path / "t.yaml").write_text("""
flow: t
tasks:
  f:
    for_each: [1, 2, 3]
    concurrency: 1
    type: flow
    with: {path: child.yaml}
    on_error: continue
    circuit_breaker: {failures: 2, reset: 1m}
  g:
    for_each: [1, 2, 3]
    concurrency: 1
    type: group
    tasks: {a: {type: fail, with: {kind: bang, message: no}}}
    on_error: continue
    circuit_breaker: {failures: 2, reset: 1m}
""")
    view = await run_flow(tmp_path / "t.yaml")

    assert [error["kind"] for error in view.tasks["f"].errors or []] == ["boom", "boom", "circuit.open"]
    assert [error["kind"] for error in view.tasks["g"].errors or []] == ["bang", "bang", "circuit.open"]
    await until(lambda: True)
