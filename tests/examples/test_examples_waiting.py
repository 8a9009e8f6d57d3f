"""The examples that wait for the world."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Config, Engine, load
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import finish
from world import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from flowbuilder.sdk.run import Run

examples = Path(__file__).parents[2] / "examples"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def engine(clock: FakeClock) -> AsyncIterator[Engine]:
    async with Engine.in_memory(Config(), clock=clock) as engine:
        yield engine


async def begun(engine: Engine, name: Path, **inputs: Any) -> Run:
    run = await engine.start(load(name / "flow.yaml"), inputs)
    await until(lambda: not engine.core.machine.runs.live)
    return run


async def test_two_events_of_one_order_come_together(engine: Engine, clock: FakeClock) -> None:
    name = examples / "event_correlation"
    one, other = await begun(engine, name, order="A7"), await begun(engine, name, order="B1")
    await engine.emit("order.packed", {"order": "A7", "parcels": 2})
    await engine.emit("order.paid", {"order": "B1", "amount": 5})
    await engine.emit("order.paid", {"order": "A7", "amount": 0})
    await engine.emit("order.paid", {"order": "A7", "amount": 120})

    assert await one.result(20) == {"amount": 120, "parcels": 2}
    (shipped,) = await engine.events("order.shipped")
    assert shipped.value()["payload"] == {"order": "A7", "parcels": 2, "amount": 120}
    await finish(engine, other, clock)
    view = await engine.show(other.id)
    assert (view.error["kind"], view.tasks["packed"].status) == ("wait.timeout", "failed")


async def test_an_order_is_followed_by_signals(engine: Engine, clock: FakeClock) -> None:
    name = examples / "order_fulfilment"
    run, unpaid = await begun(engine, name), await begun(engine, name)
    await run.signal("scanned", {"parcel": 1})  # too early, and kept
    await run.signal("paid", {"amount": 120})
    await run.signal("scanned", {"parcel": 2})
    await run.signal("delivered", {"by": "courier"})
    assert await run.result(20) == {"state": "delivered", "parcels": [1, 2]}
    await finish(engine, unpaid, clock)
    assert await unpaid.result(20) == {"state": "never paid", "parcels": []}


async def test_a_release_is_approved_or_put_off(engine: Engine, clock: FakeClock) -> None:
    name = examples / "approval_escalation"
    run = await begun(engine, name)
    clock.jump(clock.now() + 8 * 3600)
    await until(lambda: engine._store.events().last() >= 2)
    await until(lambda: not engine.core.machine.runs.live)
    for person in ("grace", "barbara"):
        await run.approve(person, {"note": "fine"})
    assert await run.result(20) == {"released": True}
    (event,) = await engine.events("release.approved")
    assert event.value()["payload"]["by"] == ["grace", "barbara"]
    late = await engine.start(load(name / "flow.yaml"))
    await finish(engine, late, clock)
    assert await late.result(20) == {"released": False}


async def test_a_trial_ends_or_is_upgraded(engine: Engine, clock: FakeClock) -> None:
    name = examples / "long_sleep"
    run, kept = await begun(engine, name), await begun(engine, name)
    await kept.signal("upgraded", {"plan": "team"})
    started = clock.now()
    await finish(engine, run, clock)
    assert await run.result(20) == {"plan": "none"}
    assert clock.now() - started == 30 * 86400
    assert await kept.result(20) == {"plan": "team"}
