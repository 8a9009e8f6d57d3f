"""`kv`: what is kept between runs, by whom it is seen, and that nothing is added twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from flowbuilder.runtime.upkeep import Upkeep
from flowbuilder.sdk.engine import Engine
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing import Crash, CrashingStore, FakeClock, load_text, run_flow

HEAD = "flow: counter\ntasks:\n"


async def value(store: Any, task: str, clock: FakeClock | None = None, head: str = HEAD) -> Any:
    view = await run_flow(f"{head}  a: {{type: kv, with: {task}}}\n", store=store, clock=clock)
    assert view.status == "succeeded", view.error
    return view.tasks["a"].output


async def test_a_value_is_seen_by_later_runs_until_it_is_deleted() -> None:
    store = MemoryStore()

    assert await value(store, "{get: mark, default: none yet}") == "none yet"
    assert await value(store, "{set: mark, value: {day: 2026-01-05, n: [1, 2]}}") == {
        "day": "2026-01-05",
        "n": [1, 2],
    }
    assert await value(store, "{get: mark}") == {"day": "2026-01-05", "n": [1, 2]}
    assert await value(store, "{delete: mark}") is True
    assert await value(store, "{delete: mark}") is False
    assert await value(store, "{get: mark}") is None


async def test_numbers_add_up_over_runs() -> None:
    store = MemoryStore()

    assert await value(store, "{add: n}") == 1
    assert await value(store, "{add: n, value: 2.5}") == 3.5
    assert await value(store, "{add: n, value: -3}") == 0.5


async def test_what_is_no_number_is_not_added_to() -> None:
    store = MemoryStore()
    await value(store, "{set: n, value: text}")

    view = await run_flow(HEAD + "  a: {type: kv, with: {add: n}}\n", store=store)

    assert view.status == "failed"
    assert view.error is not None
    assert view.error["kind"] == "kv.type"


async def test_a_value_is_gone_when_its_time_is_up() -> None:
    store, clock = MemoryStore(), FakeClock()
    await value(store, "{set: n, value: 1, ttl: 1h}", clock)

    clock.jump(clock.now() + 3599)
    assert await value(store, "{get: n}", clock) == 1
    clock.jump(clock.now() + 2)
    assert await value(store, "{get: n, default: gone}", clock) == "gone"
    assert await value(store, "{list: ''}", clock) == {}
    assert await value(store, "{add: n}", clock) == 1


async def test_keys_are_listed_by_how_they_begin_and_belong_to_a_namespace() -> None:
    store = MemoryStore()
    for key in ("user/é", "user/1", "other"):
        await value(store, f"{{set: {key}, value: {key}}}")

    assert await value(store, "{list: user/}") == {"user/1": "user/1", "user/é": "user/é"}
    assert await value(store, "{list: '', limit: 1}") == {"other": "other"}
    assert await value(store, "{list: ''}", head="flow: another\ntasks:\n") == {}
    assert await value(store, "{get: other, namespace: counter}", head="flow: another\ntasks:\n") == "other"


async def test_flows_of_a_namespace_share_what_they_keep() -> None:
    store = MemoryStore()
    await value(store, "{set: n, value: 1}", head="flow: one\nnamespace: team\ntasks:\n")

    assert await value(store, "{get: n}", head="flow: two\nnamespace: team\ntasks:\n") == 1


async def test_two_engines_that_add_at_once_lose_nothing(tmp_path: Path) -> None:
    flow = load_text(
        "flow: counter\ntasks:\n"
        "  add: {for_each: '${{ range(20) }}', type: kv, with: {add: n}}\n"
        "  total: {type: kv, needs: [add], with: {get: n}}\n",
        tmp_path,
    )
    async with Engine(tmp_path / "store.db") as one, Engine(tmp_path / "store.db") as other:
        runs = [await engine.start(flow) for engine in (one, other, one, other)]
        views = await asyncio.gather(*(run.wait() for run in runs))

    assert {view.status for view in views} == {"succeeded"}
    assert max(view.tasks["total"].output for view in views) == 80


@pytest.mark.parametrize("after", [False, True], ids=["before-write", "after-write"])
async def test_a_crash_at_any_write_adds_once(after: bool) -> None:
    flow = "flow: counter\ntasks:\n  a: {type: kv, with: {add: n, value: 5}}\n  b: {type: kv, needs: [a], with: {get: n}}\n"
    for at in range(1, 30):
        kept = MemoryStore()
        try:
            view = await run_flow(flow, store=CrashingStore(kept, at, after=after), key="once")
        except Crash:
            view = await run_flow(flow, store=kept, key="once")
        else:
            assert at > 3
            break
        assert view.status == "succeeded"
        assert view.outputs is not None
        assert view.tasks["a"].output == 5
        assert view.tasks["b"].output == 5


async def test_what_an_add_came_to_and_what_has_expired_does_not_pile_up() -> None:
    clock, store = FakeClock(), MemoryStore()
    await value(store, "{add: count}", clock)
    await value(store, "{set: mark, value: 1, ttl: 1h}", clock)
    async with Engine(":memory:", store=MemoryStore(store.place), clock=clock) as engine:
        facts = engine.core.machine.store.facts()
        assert [len(facts.list(kind)) for kind in ("kv", "kv-added")] == [2, 1]
        clock.advance(8 * 86400)
        await Upkeep(engine.core.machine).step()
        assert [[fact.key for fact in facts.list(kind)] for kind in ("kv", "kv-added")] == [
            ["counter/count"],
            [],
        ]
