"""`queue` and `resources`: how many attempts run at once, and whose turn it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine
from flowbuilder.core.errors import FlowError
from flowbuilder.runtime.config import QueueConfig, ResourcesConfig
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.flows import load_text
from world import World, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from flowbuilder.runtime.views import RunView
    from flowbuilder.sdk.run import Run

MAIL = """
flow: NAME
inputs: {n: {type: integer, default: 3}, key: {type: string, default: k}, fails: {type: boolean, default: false}}
tasks:
  send:
    for_each: ${{ range(inputs.n) }}
    concurrency: 100
    type: python
    with: {call: "world:hold", args: ["NAME ${{ inputs.key }} ${{ item }}", null, "${{ inputs.fails }}"]}
    queue: mail
    on_error: continue
"""


def mail(name: str = "post", queue: str = "mail") -> str:
    return MAIL.replace("NAME", name).replace("queue: mail", f"queue: {queue}")


def config(**queues: QueueConfig) -> Config:
    return Config(queues=queues)


@pytest.fixture
async def two() -> AsyncIterator[Engine]:
    """An engine whose queue has two places."""
    async with Engine.in_memory(config(mail=QueueConfig(concurrency=2))) as engine:
        yield engine


async def drain(world: World, runs: Sequence[Run]) -> list[RunView]:
    """Let everything go that begins, until the runs have ended."""
    ended = asyncio.gather(*(run.wait(20) for run in runs))
    while not ended.done():
        for name in list(world.calls):
            world.let_go(name)
        await asyncio.sleep(0.001)
    return await ended


async def in_queue(engine: Engine, run: Run, attempts: int) -> None:
    """Wait until so many attempts of a run wait for their place."""
    state = engine.core.machine.runs.live[run.id]
    await until(lambda: sum(one.held is not None for one in state.executions) == attempts)


async def test_no_more_run_at_once_than_there_are_places(two: Engine, world: World) -> None:
    runs = [await two.start(load_text(mail()), {"n": 5, "key": f"{n}"}) for n in range(3)]
    await until(lambda: len(world.calls) == 2)
    await asyncio.sleep(0.02)
    assert len(world.calls) == 2

    views = await drain(world, runs)
    assert {view.status for view in views} == {"succeeded"}
    assert len(world.calls) == 15
    assert world.most == 2


async def test_one_busy_flow_starves_nobody(two: Engine, world: World) -> None:
    busy = await two.start(load_text(mail("busy")), {"n": 50})
    await until(lambda: len(world.calls) == 2)
    other = await two.start(load_text(mail("other")), {"n": 2})
    await asyncio.sleep(0.02)

    await drain(world, [busy, other])
    assert world.calls.index("other k 1") < 8, world.calls[:12]


async def test_keys_take_turns_and_the_urgent_go_first_within_a_key(two: Engine, world: World) -> None:
    flow = load_text(mail(queue='{name: mail, key: "${{ inputs.key }}"}'))
    holder = await two.start(flow, {"n": 2, "key": "x"})
    await until(lambda: len(world.calls) == 2)
    runs = [
        await two.start(flow, {"n": 1, "key": key}, priority=priority)
        for key, priority in (("a", 10), ("a", 20), ("a", 90), ("b", 10), ("c", 10))
    ]
    again = [await two.start(load_text(mail("u", "{name: mail, key: a}")), {"n": 1}, priority=100)]
    await asyncio.sleep(0.02)

    await drain(world, [holder, *runs, *again])
    assert world.calls[2:5] == ["u k 0", "post b 0", "post c 0"]


async def test_a_key_has_a_bound_of_its_own(world: World) -> None:
    async with Engine.in_memory(config(mail=QueueConfig(concurrency=4, per_key=1))) as engine:
        flow = load_text(mail(queue='{name: mail, key: "${{ inputs.key }}"}'))
        runs = [await engine.start(flow, {"n": 3, "key": key}) for key in "ab"]
        await until(lambda: len(world.calls) == 2)
        await asyncio.sleep(0.05)
        assert sorted(world.calls) == ["post a 0", "post b 0"]

        await drain(world, runs)
        assert len(world.calls) == 6
        assert world.most == 2


async def test_keys_that_nobody_uses_are_forgotten_while_the_queue_is_busy(two: Engine, world: World) -> None:
    flow = load_text(mail(queue='{name: mail, key: "${{ inputs.key }}"}'))
    runs = [await two.start(flow, {"n": 1, "key": f"k{n}"}) for n in range(20)]
    for number, run in enumerate(runs):
        await world.begun(f"post k{number} 0")
        world.let_go(f"post k{number} 0")
        await run.wait(20)
        assert len(two.core.machine.limits.queues._queues["mail"].keys) < len(runs) - number


@pytest.mark.parametrize("how", ["fails", "cancelled", "times out", "is rescued"])
async def test_a_place_is_free_however_an_attempt_ends(world: World, how: str) -> None:
    async with Engine.in_memory(config(mail=QueueConfig(concurrency=1))) as engine:
        text = mail()
        if how == "times out":
            text = text.replace("queue:", "timeout: 50ms\n    queue:")
        if how == "is rescued":
            text = text.replace("on_error: continue", "on_error: {value: 1}")
        first = await engine.start(load_text(text), {"n": 1, "fails": how in ("fails", "is rescued")})
        await until(lambda: len(world.calls) == 1)
        if how == "cancelled":
            await first.cancel()
        await first.wait(20)

        second = await engine.start(load_text(mail("next")), {"n": 1})
        await world.begun("next k 0")
        await drain(world, [second])


async def test_a_retry_holds_no_place_while_it_waits(world: World) -> None:
    async with Engine.in_memory(config(mail=QueueConfig(concurrency=1))) as engine:
        text = mail().replace("on_error: continue", "retry: {attempts: 2, delay: 300ms, jitter: none}")
        first = await engine.start(load_text(text), {"n": 1, "fails": True})
        await until(lambda: len(world.calls) == 1)
        second = await engine.start(load_text(mail("next")), {"n": 1})
        await world.begun("next k 0")
        assert world.calls == ["post k 0", "next k 0"]
        await drain(world, [first, second])


async def test_who_is_cancelled_while_it_waits_leaves_the_queue(two: Engine, world: World) -> None:
    first = await two.start(load_text(mail("first")), {"n": 2})
    await until(lambda: len(world.calls) == 2)
    second = await two.start(load_text(mail("second")), {"n": 3})
    third = await two.start(load_text(mail("third")), {"n": 1})
    await in_queue(two, second, 3)
    await in_queue(two, third, 1)
    await second.cancel("not needed")
    assert (await second.wait(20)).status == "cancelled"

    await drain(world, [first, third])
    assert world.calls == ["first k 0", "first k 1", "third k 0"]


async def test_a_paused_run_takes_no_place_until_it_goes_on(two: Engine, world: World) -> None:
    first = await two.start(load_text(mail("first")), {"n": 2})
    await until(lambda: len(world.calls) == 2)
    second = await two.start(load_text(mail("second")), {"n": 1})
    await in_queue(two, second, 1)
    await two.core.machine.steering.pause(second.id)
    third = await two.start(load_text(mail("third")), {"n": 1})

    await drain(world, [first, third])
    assert world.calls == ["first k 0", "first k 1", "third k 0"]
    await two.core.machine.steering.resume(second.id)
    await drain(world, [second])
    assert world.calls[3:] == ["second k 0"]


async def test_a_waiting_task_says_which_queue_it_waits_for(two: Engine, world: World) -> None:
    flow = """
flow: NAME
inputs: {n: {type: integer}}
tasks: {send: {type: python, with: {call: "world:hold", args: ["${{ inputs.n }}"]}, queue: mail}}
"""
    runs = [await two.start(load_text(flow.replace("NAME", "t")), {"n": n}) for n in range(3)]
    await until(lambda: len(world.calls) == 2)

    task = (await two.show(runs[2].id)).tasks["send"]
    assert (task.status, task.reason) == ("waiting", "waits for a place in the queue 'mail'")
    await drain(world, runs)
    assert (await two.show(runs[2].id)).tasks["send"].reason is None


async def test_a_queue_that_nobody_set_up_is_refused_with_the_nearest(world: World) -> None:
    async with Engine.in_memory(config(mail=QueueConfig(), reports=QueueConfig())) as engine:
        with pytest.raises(FlowError, match="FB267 there is no queue 'mial'") as raised:
            await engine.start(load_text(mail(queue="mial")))

    assert raised.value.diagnostics[0].hints[0] == "did you mean 'mail'?"
    assert raised.value.diagnostics[0].at.line == 10


async def test_two_engines_of_one_store_share_the_places_and_none_starves(
    tmp_path: Path, world: World
) -> None:
    settings = config(mail=QueueConfig(concurrency=2))
    path = tmp_path / "s.db"
    async with (
        Engine(path, settings, secrets={}) as one,
        Engine(path, settings, secrets={}) as other,
    ):
        first = await one.start(load_text(mail("one")), {"n": 40})
        await until(lambda: len(world.calls) == 2)
        second = await other.start(load_text(mail("other")), {"n": 40})

        async def slowly() -> list[RunView]:
            ended = asyncio.gather(first.wait(40), second.wait(40))
            while not ended.done():
                for name in list(world.calls):
                    world.let_go(name)
                await asyncio.sleep(0.02)
            return await ended

        views = await slowly()
    assert {view.status for view in views} == {"succeeded"}
    assert world.most == 2
    assert len(world.calls) == 80
    middle = world.calls[20:60]
    assert sum(name.startswith("other") for name in middle) >= 10


async def test_places_of_a_dead_engine_are_free(tmp_path: Path, world: World) -> None:
    settings, path = config(mail=QueueConfig(concurrency=2)), tmp_path / "s.db"
    store = SqliteStore(path)
    dying = Engine(path, settings, store=store, secrets={}, recover=False)
    await dying.core.open()
    await dying.start(load_text(mail("dead")), {"n": 5})
    await until(lambda: len(world.calls) == 2)
    store.abandon()
    dying.core.machine.stopping = True

    async with Engine(path, settings, secrets={}, recover=False) as engine:
        run = await engine.start(load_text(mail("alive")), {"n": 2})
        await until(lambda: len(world.calls) == 4)
        await drain(world, [run])
    for task in dying.core._serving:
        task.cancel()


async def test_places_that_nobody_uses_are_given_back(tmp_path: Path, world: World) -> None:
    store = MemoryStore()
    async with Engine(":memory:", config(mail=QueueConfig(concurrency=2)), store=store, secrets={}) as engine:
        run = await engine.start(load_text(mail()), {"n": 4})
        await until(lambda: len(world.calls) == 2)
        assert store.facts().get("queue", "mail") is not None
        await drain(world, [run])
        await until(lambda: store.facts().get("queue", "mail") is None)


# -- resources ---------------------------------------------------------------------

WORK = """
flow: NAME
inputs: {n: {type: integer, default: 1}}
tasks:
  work:
    for_each: ${{ range(inputs.n) }}
    concurrency: 100
    type: python
    with: {call: "world:hold", args: ["NAME ${{ item }}"]}
    resources: ASK
"""


def work(name: str, ask: str) -> str:
    return WORK.replace("NAME", name).replace("ASK", ask)


@pytest.fixture
async def machine() -> AsyncIterator[Engine]:
    """An engine with four cores, a gigabyte and one graphics processor."""
    resources = ResourcesConfig(cpu=4, memory=10**9, gpu=1)
    async with Engine.in_memory(Config(resources=resources)) as engine:
        yield engine


@pytest.mark.parametrize(
    ("ask", "most"),
    [
        ("{cpu: 1}", 4),
        ("{cpu: 1.5}", 2),
        ("{memory: 300MB}", 3),
        ("{gpu: 0.5}", 2),
        ("{cpu: 1, memory: 600MB}", 1),
    ],
)
async def test_attempts_start_while_what_they_ask_for_is_free(
    machine: Engine, world: World, ask: str, most: int
) -> None:
    run = await machine.start(load_text(work("w", ask)), {"n": 6})
    await until(lambda: len(world.calls) == most)
    await asyncio.sleep(0.02)
    assert len(world.calls) == most

    await drain(world, [run])
    assert world.most == most
    assert len(world.calls) == 6


async def test_a_large_ask_is_not_starved_by_small_ones(machine: Engine, world: World) -> None:
    first = await machine.start(load_text(work("first", "{cpu: 1}")), {"n": 4})
    await until(lambda: len(world.calls) == 4)
    large = await machine.start(load_text(work("large", "{cpu: 4}")), {"n": 1})
    small = await machine.start(load_text(work("small", "{cpu: 1}")), {"n": 20})
    await asyncio.sleep(0.02)

    await drain(world, [first, large, small])
    assert world.calls[4] == "large 0"


async def test_who_is_cancelled_while_it_waits_for_the_machine_keeps_nobody_waiting(
    machine: Engine, world: World
) -> None:
    first = await machine.start(load_text(work("first", "{cpu: 1}")))
    await world.begun("first 0")
    large = await machine.start(load_text(work("large", "{cpu: 4}")))
    small = await machine.start(load_text(work("small", "{cpu: 1}")))
    await until(lambda: machine.core.machine.limits.resources.waiting == 2)

    await large.cancel()
    await world.begun("small 0")

    await drain(world, [first, large, small])


@pytest.mark.parametrize(
    ("ask", "setting"), [("{cpu: 5}", "cpu"), ("{gpu: 2}", "gpu"), ("{memory: 2GB}", "memory")]
)
async def test_an_ask_for_more_than_there_is_fails_and_names_the_setting(
    machine: Engine, world: World, ask: str, setting: str
) -> None:
    text = work("w", ask) + "    retry: {attempts: 3, delay: 0s}\n"

    view = await (await machine.start(load_text(text))).wait(20)

    assert (view.error or {})["kind"] == "resource.impossible"
    assert f"`resources.{setting}` in the settings" in (view.error or {})["message"]
    assert (view.error or {})["attempt"] == 1


async def test_without_settings_the_machine_is_what_it_is(world: World) -> None:
    async with Engine.in_memory(Config()) as engine:
        run = await engine.start(load_text(work("w", "{cpu: 0.5, memory: 1MB}")))
        await world.begun("w 0")
        await drain(world, [run])
