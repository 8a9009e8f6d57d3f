"""`retry`: how often, after how long, and for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder.core.policies import RetryPolicy, next_delay
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import run_flow

if TYPE_CHECKING:
    from flowbuilder import RunView
    from world import World


async def tried(retry: str, *, times: int = 1_000_000, kind: str = "boom", more: str = "") -> RunView:
    """Run a task that fails some times."""
    return await run_flow(
        f"""
flow: t
tasks:
  a:
    type: python
    effect: read
    executor: inline
    retry: {retry}
    with: {{call: fail, args: {{name: a, times: {times}, kind: {kind}, value: 5}}}}
    {more}
""",
        clock=CLOCKS[-1] if CLOCKS else None,
    )


CLOCKS: list[FakeClock] = []


@pytest.fixture
def slept() -> list[float]:
    """What the clock skipped."""
    CLOCKS.append(FakeClock())
    try:
        yield CLOCKS[-1].slept  # type: ignore[misc]
    finally:
        CLOCKS.pop()


async def test_the_first_try_counts(world: World) -> None:
    run = await tried("{attempts: 3, delay: 1s}")

    assert world.count("a") == 3
    assert run.status == "failed"
    assert run.tasks["a"].attempts == 3
    assert run.error is not None
    assert (run.error["kind"], run.error["attempt"]) == ("boom", 3)


async def test_a_task_that_comes_to_succeed_has_no_error(world: World) -> None:
    run = await tried("3", times=2)

    assert (run.status, run.tasks["a"].output, run.tasks["a"].attempts) == ("succeeded", 5, 3)
    assert run.tasks["a"].error is None


@pytest.mark.parametrize(
    ("retry", "delays"),
    [
        ("{attempts: 4, delay: 10s, backoff: constant, jitter: none}", [10, 10, 10]),
        ("{attempts: 4, delay: 10s, backoff: linear, jitter: none}", [10, 20, 30]),
        ("{attempts: 4, delay: 10s, backoff: exponential, jitter: none}", [10, 20, 40]),
        ("{attempts: 4, delay: 10s, factor: 3, max_delay: 50s, jitter: none}", [10, 30, 50]),
    ],
)
async def test_the_waits_follow_the_policy_also_where_they_leave_memory(
    retry: str, delays: list[float], world: World, slept: list[float]
) -> None:
    await tried(retry)

    assert world.count("a") == 4
    assert slept == pytest.approx(delays)


@pytest.mark.parametrize(("jitter", "least"), [("full", 0.0), ("equal", 50.0)])
async def test_jitter_spreads_the_wait_and_is_the_same_for_the_same_attempt(
    jitter: str, least: float, world: World, slept: list[float]
) -> None:
    await tried(f"{{attempts: 6, delay: 100s, backoff: constant, jitter: {jitter}}}")

    assert len(slept) == 5
    assert all(least <= delay <= 100 for delay in slept)
    assert len({round(delay, 3) for delay in slept}) > 1
    policy = RetryPolicy(delay=100.0, jitter="equal")
    assert next_delay(policy, 1, 0.25) == next_delay(policy, 1, 0.25) == 62.5


@pytest.mark.parametrize(
    ("retry", "kind", "calls"),
    [
        ("{attempts: 3, delay: 0s, on: [http.5xx, timeout]}", "http.503", 3),
        ("{attempts: 3, delay: 0s, on: [http.5xx, timeout]}", "http.404", 1),
        ("{attempts: 3, delay: 0s, not_on: ['data.*']}", "data.bad", 1),
        ("{attempts: 3, delay: 0s, not_on: ['data.*']}", "database", 3),
        ("{attempts: 3, delay: 0s, if: \"${{ error.kind == 'boom' and error.attempt < 2 }}\"}", "boom", 2),
        ("{attempts: 3, delay: 0s}", "input", 1),
        ("{attempts: 3, delay: 0s}", "cancelled", 1),
        ("{attempts: 3, delay: 0s, on: ['*']}", "expression.type", 1),
    ],
)
async def test_only_what_the_policy_names_is_tried_again(
    retry: str, kind: str, calls: int, world: World
) -> None:
    await tried(retry, kind=kind)

    assert world.count("a") == calls


async def test_an_attempt_waits_as_long_as_the_other_side_asks_for() -> None:
    from aiohttp import web

    asked: list[int] = []

    async def busy(_request: web.Request) -> web.Response:
        asked.append(1)
        if len(asked) < 2:
            return web.Response(status=503, headers={"Retry-After": "90"})
        return web.json_response({"ok": True})

    app = web.Application()
    app.router.add_get("/", busy)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    clock = FakeClock()
    try:
        port = runner.addresses[0][1]
        run = await run_flow(
            f"""
flow: t
tasks:
  a: {{type: http, retry: {{attempts: 2, delay: 1s, jitter: none}}, with: {{url: "http://127.0.0.1:{port}/"}}}}
""",
            clock=clock,
        )
    finally:
        await runner.cleanup()

    assert run.status == "succeeded", run.error
    assert clock.slept == pytest.approx([90])


async def test_thousands_of_attempts_without_delay_are_no_deeper_than_one(world: World) -> None:
    run = await tried("{attempts: 3000, delay: 0s, jitter: none}", times=2999)

    assert run.status == "succeeded", run.error
    assert run.tasks["a"].attempts == 3000


async def test_a_retry_that_waits_is_waiting_and_shows_its_error(
    world: World, engine: object, clock: FakeClock
) -> None:
    from flowbuilder import Engine
    from flowbuilder.testing.flows import finish, load_text

    assert isinstance(engine, Engine)
    run = await engine.start(
        load_text("""
flow: t
tasks:
  a: {type: python, effect: read, executor: inline, retry: {attempts: 2, delay: 1h, max_delay: 1h, jitter: none}, with: {call: fail, args: {name: a, times: 1}}}
""")
    )
    await world.begun("a")
    view = await engine.show(run.id)
    while view.status != "waiting":  # on its way to the store
        view = await engine.show(run.id)

    task = view.tasks["a"]
    assert (task.status, task.attempts, (task.error or {})["kind"]) == ("waiting", 1, "boom")
    assert view.wake_at == pytest.approx(clock.now() + 3600)
    await finish(engine, run, clock)
    assert (await engine.show(run.id)).tasks["a"].attempts == 2
