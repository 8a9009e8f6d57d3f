"""What is on disk before what: the order that the journal promises."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine
from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing.crashing_store import CrashingStore
from flowbuilder.testing.flows import load_text
from world import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path

    from world import World


class Disk:
    """A disk whose commits take as long as the test likes."""

    def __init__(self) -> None:
        self.memory = MemoryStore()
        self.store = CrashingStore(MemoryStore(self.memory.place), delay=self._write)
        self.asked = 0
        """The last commit that began."""
        self._done = 0
        self._changed = threading.Condition()

    def _write(self, number: int) -> None:
        with self._changed:
            self.asked = max(self.asked, number)
            self._changed.wait_for(lambda: self._done >= number, 20)

    def finish(self, number: int = 1_000_000) -> None:
        """Let the commits up to this one end."""
        with self._changed:
            self._done = number
            self._changed.notify_all()


@pytest.fixture
async def disk() -> AsyncIterator[Disk]:
    """A disk on which nothing is written yet."""
    disk = Disk()
    yield disk
    disk.finish()


@pytest.fixture
async def slow(disk: Disk) -> AsyncIterator[Engine]:
    """An engine over the disk."""
    async with Engine(":memory:", Config(), store=disk.store) as engine:
        yield engine
        disk.finish()


async def still(waiting: Awaitable[object]) -> bool:
    """Tell whether something has not come about although the engine had time for it."""
    for _ in range(50):
        await asyncio.sleep(0)
    return not asyncio.ensure_future(waiting).done()


async def test_a_start_is_acknowledged_when_the_run_is_on_disk(slow: Engine, disk: Disk) -> None:
    flow = load_text("flow: t\ninputs: {n: {default: 1}}\ntasks: {a: {type: set, with: '${{ inputs.n }}'}}\n")
    starting = asyncio.ensure_future(slow.start(flow))
    await until(lambda: disk.asked == 1)

    assert await still(starting)
    assert not disk.memory.place.runs
    disk.finish()
    run = await asyncio.wait_for(starting, 20)
    assert disk.memory.place.runs[run.id].status == "succeeded", "pure work ran ahead into the same commit"


async def test_an_effect_starts_when_what_it_rests_on_is_on_disk_and_reads_run_ahead(
    slow: Engine, disk: Disk, world: World
) -> None:
    flow = load_text("""
flow: t
tasks:
  first: {type: python, executor: inline, with: {call: act, args: {name: first, value: 1}}}
  read: {type: python, effect: read, executor: inline, with: {call: act, args: {name: read, value: "${{ tasks.first.output }}"}}}
  pure: {type: set, with: "${{ tasks.read.output + 1 }}"}
  again: {type: python, effect: read, executor: inline, with: {call: act, args: {name: again, value: "${{ tasks.pure.output }}"}}}
  second: {type: python, executor: inline, with: {call: act, args: {name: second, value: "${{ tasks.again.output }}"}}}
""")
    starting = asyncio.ensure_future(slow.start(flow))
    await until(lambda: disk.asked == 1)
    assert await still(starting)
    assert world.calls == [], "the run itself was not on disk"

    disk.finish(1)
    await until(lambda: disk.asked == 2)
    assert await still(asyncio.sleep(9))
    assert world.calls == ["first", "read", "again"]

    disk.finish(2)
    await until(lambda: "second" in world.calls)
    disk.finish()
    await (await starting).result(20)


async def test_an_element_rests_on_what_was_before_its_map_and_not_on_its_siblings(
    slow: Engine, disk: Disk, world: World
) -> None:
    flow = load_text("""
flow: t
tasks:
  first: {type: python, executor: inline, with: {call: act, args: {name: first, value: [1, 2, 3]}}}
  each: {for_each: "${{ tasks.first.output }}", concurrency: 1, type: python, with: {call: act_later, args: {name: "each ${{ item }}"}}}
""")
    starting = asyncio.ensure_future(slow.start(flow))
    disk.finish(1)
    await until(lambda: disk.asked == 2)
    assert world.calls == ["first"]

    disk.finish(2)
    await until(lambda: len(world.calls) == 4)
    disk.finish()
    await (await starting).result(20)


async def test_what_is_done_instead_of_a_failure_waits_for_the_failure_to_be_on_disk(
    slow: Engine, disk: Disk, world: World
) -> None:
    flow = load_text("""
flow: t
tasks:
  a:
    type: python
    effect: read
    executor: inline
    with: {call: fail, args: {name: a}}
    on_error: {tasks: {mend: {type: python, executor: inline, with: {call: act, args: {name: mend}}}}}
""")
    starting = asyncio.ensure_future(slow.start(flow))
    await until(lambda: disk.asked == 1)
    assert await still(starting)
    assert world.calls == ["a"]

    disk.finish()
    await (await starting).result(20)
    assert world.calls == ["a", "mend"]


async def test_a_child_run_is_started_when_what_its_parent_rests_on_is_on_disk(
    slow: Engine, disk: Disk, world: World
) -> None:
    flow = load_text("""
flow: t
inputs: {deep: {type: boolean, default: false}}
tasks:
  first: {type: python, if: "${{ not inputs.deep }}", executor: inline, with: {call: act, args: {name: first, value: true}}}
  sub: {type: flow, if: "${{ not inputs.deep }}", needs: [first], with: {name: t, inputs: {deep: "${{ tasks.first.output }}"}}}
""")
    starting = asyncio.ensure_future(slow.start(flow))
    disk.finish(1)
    await until(lambda: disk.asked == 2)
    await still(starting)
    assert len(slow.core.machine.runs.live) == 1

    disk.finish()
    await (await starting).result(20)
    assert len(disk.memory.place.runs) == 2


async def test_a_result_is_shown_when_it_is_on_disk(slow: Engine, disk: Disk, world: World) -> None:
    flow = load_text("""
flow: t
tasks: {a: {type: python, with: {call: hold, args: {name: a, value: 5}}}}
outputs: {a: "${{ tasks.a.output }}"}
""")
    disk.finish(1)
    run = await slow.start(flow)
    await world.begun("a")
    result = asyncio.ensure_future(run.result(20))
    world.let_go("a")
    await until(lambda: disk.asked == 2)

    assert await still(result)
    assert run.status == "running"
    assert (await slow.row(run.id)).status == "running"
    disk.finish()
    assert await result == {"a": 5}


async def test_without_durability_nothing_waits_for_the_disk(slow: Engine, disk: Disk, world: World) -> None:
    flow = load_text("""
flow: t
durability: none
tasks:
  a: {type: python, with: {call: act, args: {name: a, value: 5}}}
  b: {type: python, with: {call: act, args: {name: b, value: "${{ tasks.a.output + 1 }}"}}}
outputs: {b: "${{ tasks.b.output }}"}
""")
    run = await slow.start(flow)
    assert await run.result(20) == {"b": 6}
    assert not disk.memory.place.runs

    disk.finish()
    await until(lambda: disk.memory.place.runs)  # within a tenth of a second, by itself
    assert disk.memory.place.runs[run.id].status == "succeeded"


async def test_one_commit_serves_all_runs_that_came_together(slow: Engine, disk: Disk) -> None:
    flow = load_text("flow: t\ninputs: {n: {default: 1}}\ntasks: {a: {type: set, with: '${{ inputs.n }}'}}\n")
    starting = [asyncio.ensure_future(slow.start(flow, {"n": n})) for n in range(100)]
    disk.finish()
    await asyncio.gather(*starting)

    assert len(disk.memory.place.runs) == 100
    assert disk.store.groups < 50
    assert len(await slow.runs(RunFilter(limit=1000))) == 100


async def test_each_element_that_may_run_once_has_its_start_on_disk_before_it_begins(
    slow: Engine, disk: Disk, world: World
) -> None:
    flow = load_text("""
flow: t
on_crash: fail
tasks:
  each: {for_each: [1, 2], concurrency: 1, type: python, with: {call: act_later, args: {name: "each ${{ item }}"}}}
""")
    starting = asyncio.ensure_future(slow.start(flow))
    disk.finish(1)
    await until(lambda: disk.asked == 2)
    assert await still(asyncio.sleep(9))
    assert world.calls == ["each 1"]

    disk.finish()
    await (await starting).result(20)
    assert world.calls == ["each 1", "each 2"]


async def test_a_run_that_nothing_waits_for_is_shown_once_it_has_ended(tmp_path: Path) -> None:
    flow = load_text(
        "flow: t\ndurability: none\ntasks: {a: {type: set, with: 1}}\noutputs: {a: '${{ tasks.a.output }}'}\n"
    )
    async with Engine(tmp_path / "store.db", Config()) as engine:
        for _ in range(5):
            run = await engine.start(flow)
            view = await run.wait(20)

            assert (view.status, view.outputs) == ("succeeded", {"a": 1})
            assert (await engine.get(run.id)).status == "succeeded"
