"""`flow`: a run of its own, linked both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine, load
from flowbuilder.core.records import ChildStarted, decode
from flowbuilder.runtime.config import Config, EngineConfig
from flowbuilder.storage.api import RunFilter
from flowbuilder.testing.flows import finish, load_text
from world import until

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder import RunView
    from flowbuilder.testing.fake_clock import FakeClock
    from world import World

CHILD = """
flow: child
inputs: {n: {type: integer}, times: {type: integer, default: 0}}
tasks:
  a: {type: python, with: {call: fail, args: {name: a, times: "${{ inputs.times }}", kind: broke, value: "${{ inputs.n * 2 }}"}}}
outputs: {twice: "${{ tasks.a.output }}"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "child.yaml").write_text(CHILD)
    return tmp_path


async def ran(engine: Engine, clock: FakeClock, folder: Path, tasks: str) -> RunView:
    (folder / "parent.yaml").write_text(f"flow: parent\ntasks:\n{tasks}\n")
    run = await engine.start(load(folder / "parent.yaml"))
    await finish(engine, run, clock)
    return await engine.show(run.id)


@pytest.mark.parametrize("which", ["path: child.yaml", "name: child", "name: \"${{ 'chi' + 'ld' }}\""])
async def test_its_output_is_the_outputs_of_the_run(
    which: str, engine: Engine, clock: FakeClock, folder: Path, world: World
) -> None:
    view = await ran(engine, clock, folder, f"  sub: {{type: flow, with: {{{which}, inputs: {{n: 4}}}}}}")

    assert view.tasks["sub"].output == {"twice": 8}, view.error
    child = await engine.show(view.tasks["sub"].child or "")
    assert (child.flow, child.parent, child.status) == ("child", view.run_id, "succeeded")


async def test_it_fails_with_the_error_of_the_run(
    engine: Engine, clock: FakeClock, folder: Path, world: World
) -> None:
    view = await ran(
        engine, clock, folder, "  sub: {type: flow, with: {path: child.yaml, inputs: {n: 4, times: 9}}}"
    )

    error = view.tasks["sub"].error or {}
    assert (view.status, error["kind"], error["task"]) == ("failed", "broke", "sub")
    assert "a failed" in error["message"]


async def test_a_retry_starts_a_new_run(engine: Engine, clock: FakeClock, folder: Path, world: World) -> None:
    view = await ran(
        engine,
        clock,
        folder,
        "  sub: {type: flow, retry: {attempts: 2, delay: 1m}, with: {path: child.yaml, inputs: {n: 4, times: 1}}}",
    )

    assert (view.status, view.tasks["sub"].attempts) == ("succeeded", 2)
    children = [row for row in await engine.runs() if row.parent == view.run_id]
    assert sorted(row.status for row in children) == ["failed", "succeeded"]


async def test_without_wait_the_parent_goes_on(
    engine: Engine, clock: FakeClock, folder: Path, world: World
) -> None:
    (folder / "slow.yaml").write_text(
        "flow: slow\ntasks: {a: {type: python, with: {call: hold, args: {name: slow}}}}\n"
    )
    view = await ran(engine, clock, folder, "  sub: {type: flow, with: {path: slow.yaml, wait: false}}")

    child = await engine.get(view.tasks["sub"].output["run_id"])
    assert (view.status, child.status) == ("succeeded", "running")
    world.let_go("slow")
    assert (await child.wait(20)).status == "succeeded"


async def test_a_key_gives_the_same_run_to_all_who_ask(
    engine: Engine, clock: FakeClock, folder: Path, world: World
) -> None:
    view = await ran(
        engine,
        clock,
        folder,
        "  one: {type: flow, with: {path: child.yaml, key: same, inputs: {n: 4}}}\n"
        "  two: {type: flow, needs: [one], with: {path: child.yaml, key: same, inputs: {n: 4}}}\n",
    )

    assert view.status == "succeeded", view.error
    assert view.tasks["one"].child == view.tasks["two"].child
    assert world.calls == ["a"]


async def test_wrong_inputs_are_an_error_of_kind_input(
    engine: Engine, clock: FakeClock, folder: Path, world: World
) -> None:
    view = await ran(
        engine,
        clock,
        folder,
        "  value: {type: set, with: text}\n"
        '  sub: {type: flow, with: {path: child.yaml, inputs: {n: "${{ tasks.value.output }}"}}}',
    )

    assert (view.tasks["sub"].error or {})["kind"] == "input"
    assert not world.calls


async def test_a_parent_that_waits_leaves_memory_and_wakes_when_its_child_ends(
    engine: Engine, clock: FakeClock, folder: Path, world: World
) -> None:
    (folder / "slow.yaml").write_text("flow: slow\ntasks: {a: {type: sleep, with: {for: 1d}}}\n")
    (folder / "parent.yaml").write_text(
        "flow: parent\ntasks:\n  sub: {type: flow, with: {path: slow.yaml}}\n"
        "  b: {type: python, needs: [sub], with: {call: act, args: {name: b}}}\n"
    )
    run = await engine.start(load(folder / "parent.yaml"))
    clock_started = clock.now()
    store = engine.core.machine.store
    await until(lambda: store.runs(RunFilter(status=("waiting",))))  # the child sleeps in the store
    clock.advance(6)
    await until(lambda: not engine.core.machine.runs.live)

    await finish(engine, run, clock)

    assert world.calls == ["b"]
    assert clock.now() - clock_started == pytest.approx(86400, abs=1)


async def test_children_start_where_no_more_runs_may(folder: Path, clock: FakeClock, world: World) -> None:
    config = Config(engine=EngineConfig(live_runs=1))
    async with Engine.in_memory(config, clock=clock) as engine:
        view = await ran(
            engine,
            clock,
            folder,
            '  each: {for_each: [1, 2, 3], type: flow, with: {path: child.yaml, inputs: {n: "${{ item }}"}}}',
        )

    assert view.tasks["each"].output == [{"twice": 2}, {"twice": 4}, {"twice": 6}]


async def test_two_who_wait_for_the_run_of_one_key_both_hear_of_its_end(world: World, tmp_path: Path) -> None:
    (tmp_path / "child.yaml").write_text(
        "flow: child\ntasks: {a: {type: python, with: {call: hold, args: {name: c}}}}\noutputs: {x: 1}\n"
    )
    parent = load_text(
        """
flow: parent
tasks:
  a: {type: flow, with: {path: child.yaml, key: one}}
  b: {type: flow, with: {path: child.yaml, key: one}}
outputs: {both: "${{ [tasks.a.output.x, tasks.b.output.x] }}"}
""",
        tmp_path,
    )
    async with Engine.in_memory() as engine:
        run = await engine.start(parent)
        await world.begun("c")
        world.let_go("c")

        assert await run.result(20) == {"both": [1, 1]}
    assert world.count("c") == 1


async def test_a_flow_that_starts_itself_without_end_is_stopped(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    view = await ran(engine, clock, tmp_path, "  sub: {type: flow, with: {name: \"${{ 'par' + 'ent' }}\"}}")

    runs = await engine.runs(RunFilter())
    assert view.status == "failed"
    assert view.error is not None
    assert "deep" in view.error["message"]
    assert len(runs) == 33


NAP = "flow: nap\ntasks: {a: {type: sleep, with: {for: 1d}}}\n"


async def rests(engine: Engine, clock: FakeClock) -> None:
    """Return when the runs of an engine have had time enough to leave memory, and have."""
    await until(engine.core.only_waits)
    clock.advance(6)
    await until(lambda: not engine.core.machine.runs.live and not engine.core.machine.recovery.busy)


async def test_looking_now_and_then_at_a_child_that_takes_long_leaves_nothing_behind(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    (tmp_path / "nap.yaml").write_text(NAP)
    (tmp_path / "parent.yaml").write_text("flow: p\ntasks: {c: {type: flow, with: {path: nap.yaml}}}\n")
    run = await engine.start(tmp_path / "parent.yaml")
    await rests(engine, clock)
    row = engine.core.machine.store.run
    for _ in range(4):
        clock.advance(301)
        await until(lambda: (row(run.id).wake_at or 0.0) > clock.now())  # it has looked, and has left again
        await until(lambda: not engine.core.machine.runs.live)

    assert not engine.core.machine.sub_flows._waiting
    journal = [record for batch in engine.core.machine.store.journal(run.id) for record in decode(batch)]
    assert sum(type(record) is ChildStarted for record in journal) == 1


async def test_all_that_wait_for_one_run_and_have_left_memory_are_woken_by_its_end(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    (tmp_path / "nap.yaml").write_text(NAP)
    (tmp_path / "parent.yaml").write_text(
        "flow: p\ntasks: {c: {type: flow, with: {path: nap.yaml, key: one}}}\n"
    )
    runs = [await engine.start(tmp_path / "parent.yaml") for _ in range(3)]
    await rests(engine, clock)
    (nap,) = await engine.runs(RunFilter(flow="nap"))
    engine.core.machine.recovery.cancel_soon(nap.id, "enough")

    for run in runs:
        assert (await run.wait(20)).status == "failed"
    assert clock.now() < nap.created_at + 60


async def test_a_run_that_stays_in_memory_hears_of_the_end_of_one_that_another_engine_drives(
    tmp_path: Path, clock: FakeClock, world: World
) -> None:
    (tmp_path / "child.yaml").write_text(
        "flow: child\ntasks: {a: {type: python, with: {call: hold, args: {name: child}}}}\n"
    )
    (tmp_path / "parent.yaml").write_text("""
flow: parent
tasks:
  child: {type: flow, with: {path: child.yaml, key: one}}
  after: {type: python, needs: [child], with: {call: act, args: {name: after}}}
  long: {type: python, with: {call: hold, args: {name: long}}}
""")
    store = tmp_path / "s.db"
    async with Engine(store, Config(), clock=clock) as one, Engine(store, Config(), clock=clock) as other:
        child = await other.start(tmp_path / "child.yaml", key="one")
        await one.start(tmp_path / "parent.yaml")
        await world.begun("long")
        await until(lambda: child.id in one.core.machine.sub_flows._waiting)
        world.let_go("child")
        await child.wait(20)
        clock.advance(300)

        await world.begun("after")
