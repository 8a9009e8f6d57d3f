"""`rate_limit`: when attempts begin, in one run and in many, through crashes and long waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine
from flowbuilder.core.rates import RateState, reserve
from flowbuilder.runtime import rates
from flowbuilder.runtime.views import iso
from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing import pass_time
from flowbuilder.testing.crashing_store import Crash, CrashingStore
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import finish, load_text, run_flow
from world import World, until

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder.core.limits import RatePolicy
    from flowbuilder.runtime.views import RunView

CRAWL = """
flow: crawl
inputs: {n: {type: integer}, key: {type: string, default: site}}
tasks:
  get:
    for_each: ${{ range(inputs.n) }}
    concurrency: 100
    type: python
    with: {call: "world:act", args: ["get ${{ inputs.key }} ${{ item }}"]}
    rate_limit: {limit: 4, per: 10s, key: "${{ inputs.key }}"}
"""


def starts(view: RunView, clock: FakeClock) -> list[float]:
    return sorted(round((task.started_at or 0) - view.created_at, 3) for task in view.elements.values())


async def test_attempts_are_spread_evenly(world: World) -> None:
    view = await run_flow(CRAWL, {"n": 6}, clock=(clock := FakeClock()))

    assert view.status == "succeeded"
    assert starts(view, clock) == [0, 2.5, 5, 7.5, 10, 12.5]
    assert len(world.calls) == 6


async def test_a_burst_comes_at_once_and_the_limit_holds_all_the_same(world: World) -> None:
    flow = CRAWL.replace("per: 10s", "per: 10s, burst: 3")

    view = await run_flow(flow, {"n": 9}, clock=(clock := FakeClock()))

    assert starts(view, clock) == [0, 0, 0, 2.5, 10, 10, 10, 12.5, 20]


async def test_runs_share_a_limit_by_key_and_others_have_their_own(
    engine: Engine, clock: FakeClock, world: World
) -> None:
    flow = load_text(CRAWL)
    runs = [await engine.start(flow, {"n": 1, "key": key}) for key in ("a", "b", "a", "b", "a")]
    for run in runs:
        await finish(engine, run, clock)

    views = [await engine.show(run.id) for run in runs]
    began = [round((view.elements["get[0]"].started_at or 0) - views[0].created_at, 3) for view in views]
    assert began == [0, 0, 2.5, 2.5, 5]


async def test_the_more_urgent_of_those_who_wait_goes_first(
    engine: Engine, clock: FakeClock, world: World
) -> None:
    flow = load_text(CRAWL.replace("per: 10s", "per: 4s"))
    first = await engine.start(flow, {"n": 1})
    await until(lambda: world.calls)
    low = await engine.start(flow, {"n": 1}, priority=10)
    high = await engine.start(flow, {"n": 1}, priority=90)
    for run in (first, low, high):
        await finish(engine, run, clock)

    late, soon = (await engine.show(low.id)).elements, (await engine.show(high.id)).elements
    assert (soon["get[0]"].started_at or 0) < (late["get[0]"].started_at or 0)


async def test_a_retry_takes_a_moment_of_its_own_and_holds_none_while_it_waits(world: World) -> None:
    flow = """
flow: t
tasks:
  a:
    type: python
    with: {call: "world:fail", args: [a, 2]}
    retry: {attempts: 3, delay: 1s, backoff: constant, jitter: none}
    rate_limit: {limit: 1, per: 60s}
"""
    view = await run_flow(flow, clock=(clock := FakeClock()))

    assert view.status == "succeeded"
    assert sum(clock.slept) == pytest.approx(120, abs=0.01)


async def test_who_waits_for_long_leaves_memory_and_keeps_its_moment(
    engine: Engine, clock: FakeClock, world: World
) -> None:
    flow, begun_at = load_text(CRAWL.replace("per: 10s", "per: 400s")), clock.now()
    runs = [await engine.start(flow, {"n": 1}) for _ in range(20)]
    await until(lambda: not engine.core.machine.runs.live)

    rows = await engine.runs(RunFilter(status=("waiting",), limit=50))
    assert sorted(round((row.wake_at or 0) - begun_at) for row in rows) == list(range(100, 2000, 100))
    view = await engine.show(rows[0].id)
    assert view.status == "waiting"
    for run in runs:
        await finish(engine, run, clock)
    assert len(world.calls) == 20
    assert clock.now() - begun_at == pytest.approx(1900, abs=1)


async def test_a_group_that_comes_back_from_the_store_takes_no_second_moment(world: World) -> None:
    flow = """
flow: t
tasks:
  g:
    type: group
    rate_limit: {limit: 1, per: 10h}
    tasks:
      a: {type: python, with: {call: "world:act", args: [a]}}
      b: {type: sleep, with: {for: 1h}, needs: [a]}
"""
    view = await run_flow(flow, clock=(clock := FakeClock()))

    assert view.status == "succeeded"
    assert sum(clock.slept) == pytest.approx(3600, abs=1)
    assert world.calls == ["a"]


async def test_a_waiting_task_says_what_it_waits_for(engine: Engine, clock: FakeClock, world: World) -> None:
    flow = load_text("""
flow: t
inputs: {n: {type: integer}}
tasks:
  a: {type: python, with: {call: "world:act", args: [a]}, rate_limit: {limit: 1, per: 1h}}
""")
    await (await engine.start(flow, {"n": 1})).result()
    second = await engine.start(flow, {"n": 2})
    await until(lambda: second.id not in engine.core.machine.runs.live)

    task = (await engine.show(second.id)).tasks["a"]
    assert task.status == "waiting"
    assert task.reason == "waits for the rate limit 't/a'"
    assert iso(task.until) == "2026-01-01T01:00:00.000000+00:00"


async def test_a_clock_that_is_set_back_makes_nobody_wait_for_the_difference(
    engine: Engine, clock: FakeClock, world: World
) -> None:
    flow = load_text(CRAWL)
    first = await engine.start(flow, {"n": 4})
    await until(lambda: len(world.calls) == 1)
    clock.advance(2.5)
    await until(lambda: len(world.calls) == 2)

    clock.set(clock.now() - 3600)
    more = await engine.start(flow, {"n": 1, "key": "site"})
    await pass_time(engine, clock, 15)

    assert len(world.calls) == 5
    assert {(await first.wait(20)).status, (await more.wait(20)).status} == {"succeeded"}


async def test_the_limit_outlives_its_engine(tmp_path: Path, world: World) -> None:
    clock, flow = FakeClock(), load_text(CRAWL)
    first = await run_flow(flow, {"n": 1}, clock=clock, store=SqliteStore(tmp_path / "s.db"))
    second = await run_flow(flow, {"n": 1}, clock=clock, store=SqliteStore(tmp_path / "s.db"))

    assert (second.elements["get[0]"].started_at or 0) - first.created_at == pytest.approx(2.5)


async def test_two_engines_of_one_store_share_a_limit(tmp_path: Path, world: World) -> None:
    clock, flow = FakeClock(), load_text(CRAWL)
    path = tmp_path / "s.db"
    async with (
        Engine(path, clock=clock, secrets={}) as one,
        Engine(path, clock=clock, secrets={}) as other,
    ):
        runs = []
        for each in (
            one,
            other,
        ):  # the one has its moments before the other asks: the clock goes by one at a time
            runs.append((each, await each.start(flow, {"n": 3})))
            await until(each.core.only_waits)
        for each, run in runs:
            await finish(each, run, clock)
        views = [await each.show(run.id) for each, run in runs]

    began = sorted(start for view in views for start in starts(view, clock))
    assert began == pytest.approx([0, 2.5, 5, 7.5, 10, 12.5], abs=0.001)


async def test_a_cancelled_wait_ends_at_once(engine: Engine, clock: FakeClock, world: World) -> None:
    flow = load_text(CRAWL.replace("per: 10s", "per: 16s"))
    first = await engine.start(flow, {"n": 1})
    await first.result()
    second = await engine.start(flow, {"n": 1})
    await until(engine.core.only_waits)

    await second.cancel("no longer wanted")
    view = await second.wait(20)

    assert view.status == "cancelled"
    assert len(world.calls) == 1
    third = await engine.start(flow, {"n": 1})
    await finish(engine, third, clock)
    assert sum(clock.slept) == pytest.approx(4, abs=0.01), "the moment of the cancelled one is used"


async def test_a_deadline_ends_a_wait_and_a_timeout_does_not_count_it(world: World) -> None:
    flow = CRAWL.replace(
        "rate_limit", "timeout: 1s\n    deadline: 6s\n    on_error: continue\n    rate_limit"
    )

    view = await run_flow(flow.replace("world:act", "world:act_later"), {"n": 4}, clock=FakeClock())

    kinds = [error["kind"] for error in view.tasks["get"].errors or []]
    assert kinds == ["timeout"]
    assert len(world.calls) == 3


@pytest.mark.parametrize("after", [False, True], ids=["before-write", "after-write"])
async def test_a_crash_at_any_write_makes_no_window_too_full(after: bool, world: World) -> None:
    """Whatever is repeated after the crash takes a moment of its own."""
    flow, count = load_text(CRAWL.replace("per: 10s", "per: 40s")), 5
    whole = CrashingStore(MemoryStore(), 0)
    await run_flow(flow, {"n": count}, clock=FakeClock(), store=whole)
    for at in range(1, whole.writes + 1):
        place, clock = MemoryStore(), FakeClock()
        began: list[float] = []
        real_note, world.note = world.note, lambda _name, c=clock, b=began: b.append(c.now())  # type: ignore[assignment, misc]
        try:
            try:
                await run_flow(
                    flow, {"n": count}, clock=clock, key="k", store=CrashingStore(place, at, after=after)
                )
            except Crash:
                view = await run_flow(
                    flow, {"n": count}, clock=clock, key="k", store=MemoryStore(place.place)
                )
                assert view.status == "succeeded"
        finally:
            world.note = real_note  # type: ignore[method-assign]
        assert count <= len(began) <= count + 1
        assert all(b - a >= 40 - 0.001 for a, b in zip(began, began[4:], strict=False)), at


async def test_a_key_that_cannot_be_evaluated_fails_the_task(world: World) -> None:
    flow = CRAWL.replace('"${{ inputs.key }}"}', '"${{ {}.missing }}"}')

    view = await run_flow(flow, {"n": 1})

    assert view.status == "failed"
    assert (view.error or {})["kind"] == "expression.missing"


async def test_many_waits_are_reserved_with_few_writes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def counted(
        state: RateState, policy: RatePolicy, now: float, count: int
    ) -> tuple[list[float], RateState]:
        counts.append(count)
        return reserve(state, policy, now, count)

    monkeypatch.setattr(rates, "reserve", counted)
    flow = CRAWL.replace("limit: 4, per: 10s", "limit: 100000, per: 1s").replace("rency: 100", "rency: 1000")

    view = await run_flow(flow, {"n": 1000}, clock=FakeClock())

    assert view.status == "succeeded"
    assert len(world.calls) == 1000
    assert len(counts) < 100  # how many come together depends on how busy the machine is


async def test_a_state_that_cannot_be_read_keeps_nobody_waiting_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [OSError("too many open files"), ValueError("no state")]

    def reserve_after_failures(*arguments: object) -> object:
        if failures:
            raise failures.pop()
        return reserve(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(rates, "reserve", reserve_after_failures)
    monkeypatch.setattr(rates, "AGAIN", 0.0)

    view = await run_flow(CRAWL, {"n": 2})

    assert view.status == "succeeded"
    assert len(world.calls) == 2
    assert failures == []
