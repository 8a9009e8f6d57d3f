"""Cancel: in order, everywhere, once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine, RunCancelled, load
from flowbuilder.runtime.state import Frame
from flowbuilder.testing.flows import finish, load_text
from world import until

if TYPE_CHECKING:
    from flowbuilder.testing.fake_clock import FakeClock
    from world import World


async def test_what_runs_is_stopped_nothing_more_starts_and_finally_has_its_turn(
    engine: Engine, world: World
) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  done: {type: set, with: 1}
  held: {type: python, with: {call: hold, args: {name: held}}}
  group:
    type: group
    tasks: {inner: {type: python, with: {call: hold, args: {name: inner}}}}
  each: {for_each: [1, 2, 3], concurrency: 2, type: python, with: {call: hold, args: {name: "each${{ item }}"}}}
  behind: {type: python, needs: [held], run_when: always, with: {call: act, args: {name: behind}}}
on_failure:
  alert: {type: python, with: {call: act, args: {name: alert}}}
finally:
  tidy: {type: python, with: {call: act, args: {name: "tidy ${{ run.status }}"}}}
""")
    )
    for name in ("held", "inner", "each1", "each2"):
        await world.begun(name)

    assert await run.cancel("changed my mind")
    with pytest.raises(RunCancelled, match="changed my mind"):
        await run.result(20)

    view = await engine.show(run.id)
    assert view.status == "cancelled"
    assert sorted(world.cancelled) == ["each1", "each2", "held", "inner"]
    assert world.calls[4:] == ["tidy cancelled"]
    assert {id: (task.status, task.reason) for id, task in view.tasks.items()} == {
        "done": ("succeeded", None),
        "held": ("cancelled", "cancelled"),
        "group": ("cancelled", "cancelled"),
        "group.inner": ("cancelled", "cancelled"),
        "each": ("cancelled", "cancelled"),
        "behind": ("cancelled", "cancelled"),
        "on_failure:alert": ("skipped", "not_failed"),
        "finally:tidy": ("succeeded", None),
    }


async def test_a_second_cancel_and_one_of_an_ended_run_change_nothing(engine: Engine, world: World) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks: {held: {type: python, with: {call: hold, args: {name: held}}}}
finally: {tidy: {type: python, with: {call: hold, args: {name: tidy}}}}
""")
    )
    await world.begun("held")
    assert await run.cancel("first")
    await world.begun("tidy")

    assert not await run.cancel("second")
    world.let_go("tidy")
    view = await run.wait(20)

    assert (view.error or {})["message"] == "first"
    assert view.tasks["finally:tidy"].status == "succeeded"
    assert not await run.cancel("third")


async def test_a_finally_that_fails_makes_a_cancelled_run_failed(engine: Engine, world: World) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks: {held: {type: python, with: {call: hold, args: {name: held}}}}
finally: {tidy: {type: python, with: {call: fail, args: {name: tidy, kind: untidy}}}}
""")
    )
    await world.begun("held")
    await run.cancel()

    view = await run.wait(20)

    assert (view.status, (view.error or {})["kind"]) == ("failed", "untidy")


async def test_a_run_that_waits_in_the_store_is_cancelled_there(
    engine: Engine, world: World, clock: FakeClock
) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks: {nap: {type: sleep, with: {for: 1d}}}
finally: {tidy: {type: python, with: {call: act, args: {name: tidy}}}}
""")
    )
    await until(lambda: run.id not in engine.core.machine.runs.live)

    assert await run.cancel("enough")
    view = await run.wait(20)

    assert (view.status, view.tasks["nap"].status) == ("cancelled", "cancelled")
    assert world.calls == ["tidy"]
    assert clock.slept == []


async def test_a_retry_that_waits_is_cancelled(engine: Engine, world: World) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks: {a: {type: python, effect: read, retry: {attempts: 9, delay: 4s, jitter: none}, with: {call: fail, args: {name: a}}}}
""")
    )
    await world.begun("a")
    await until(engine.core.only_waits)
    await run.cancel()

    assert (await run.wait(20)).tasks["a"].status == "cancelled"
    assert world.count("a") == 1


async def test_an_effect_that_waits_for_the_disk_is_not_begun(engine: Engine, world: World) -> None:
    run = await engine.start(
        load_text("""
flow: t
inputs: {n: {type: integer, default: 1}}
tasks:
  held: {type: python, effect: read, with: {call: hold, args: {name: held}}}
""")
    )
    await world.begun("held")
    await run.cancel()
    assert (await run.wait(20)).status == "cancelled"


async def test_a_cancel_reaches_child_runs_and_theirs(
    engine: Engine, world: World, tmp_path: Path, clock: FakeClock
) -> None:
    (tmp_path / "inner.yaml").write_text(
        "flow: inner\ntasks: {held: {type: python, with: {call: hold, args: {name: held}}}}\n"
    )
    (tmp_path / "middle.yaml").write_text(
        "flow: middle\ntasks: {sub: {type: flow, with: {path: inner.yaml}}}\n"
        "finally: {tidy: {type: python, with: {call: act, args: {name: middle}}}}\n"
    )
    (tmp_path / "outer.yaml").write_text(
        "flow: outer\ntasks: {sub: {type: flow, with: {path: middle.yaml}}}\n"
    )
    run = await engine.start(load(tmp_path / "outer.yaml"))
    await world.begun("held")

    await run.cancel("all of it")
    await finish(engine, run, clock)

    rows = await engine.runs()
    assert {row.flow: row.status for row in rows} == dict.fromkeys(("inner", "middle", "outer"), "cancelled")
    assert world.cancelled == ["held"]
    assert world.calls == ["held", "middle"]


async def test_a_shell_that_ignores_term_is_killed(tmp_path: Path) -> None:
    (tmp_path / "stubborn.yaml").write_text(
        "flow: stubborn\n"
        "tasks:\n"
        "  a:\n"
        "    run: |\n"
        "      trap '' TERM\n"
        "      echo $$ > pid.part && mv pid.part pid\n"
        "      while :; do sleep 60 & wait $! || true; done\n"
    )
    async with Engine(tmp_path / "store.db") as engine:
        run = await engine.start(load(tmp_path / "stubborn.yaml"))
        await until((tmp_path / "pid").exists)
        pid = int((tmp_path / "pid").read_text())
        await run.cancel("be gone")

        view = await run.wait(30)

    assert view.tasks["a"].status == "cancelled"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_map_of_many_groups_is_stopped_by_a_look_or_two_at_each(
    engine: Engine, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  each:
    for_each: "${{ range(200) }}"
    concurrency: 200
    type: group
    tasks: {a: {type: python, with: {call: hold, args: {name: a}}}}
""")
    )
    await until(lambda: world.count("a") == 200)
    looks: list[Frame] = []
    lies_in = Frame.lies_in
    monkeypatch.setattr(Frame, "lies_in", lambda self, other: looks.append(self) or lies_in(self, other))

    await run.cancel()
    with pytest.raises(RunCancelled):
        await run.result(20)

    assert len(world.cancelled) == 200
    assert len(looks) <= 2 * 400
