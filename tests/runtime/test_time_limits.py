"""`timeout` bounds one attempt, `deadline` all of them; a flow's `timeout` the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine, load
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import finish, load_text, run_flow
from world import until

if TYPE_CHECKING:
    from pathlib import Path

    from world import World


async def test_a_timeout_ends_the_attempt_and_the_next_has_its_own(world: World) -> None:
    clock = FakeClock()
    async with Engine.in_memory(clock=clock) as engine:
        run = await engine.start(
            load_text("""
flow: t
tasks:
  a: {type: python, effect: read, timeout: 10s, retry: {attempts: 2, delay: 1s, jitter: none}, with: {call: hold, args: {name: a}}}
""")
        )
        await world.begun("a")
        clock.advance(10)
        await until(lambda: world.cancelled == ["a"])
        await until(lambda: engine.core.only_waits())
        clock.advance(1)
        await until(lambda: world.count("a") == 2)
        clock.advance(10)
        view = await run.wait(20)

    assert view.error is not None
    assert (view.error["kind"], view.error["attempt"]) == ("timeout", 2)
    assert "10 s" in view.error["message"]


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_timeout_and_a_retry_in_memory_go_by_the_time_that_passes(world: World, hours: int) -> None:
    clock = FakeClock()
    async with Engine.in_memory(clock=clock) as engine:
        run = await engine.start(
            load_text("""
flow: t
tasks:
  a: {type: python, effect: read, timeout: 5s, retry: {attempts: 2, delay: 1s, jitter: none}, with: {call: hold, args: {name: a}}}
""")
        )
        await world.begun("a")
        clock.set(clock.now() + hours * 3600)
        clock.advance(4)
        await engine.core.machine.in_thread(lambda: None)
        assert world.cancelled == []
        clock.advance(1)
        await until(lambda: world.cancelled == ["a"])
        await until(lambda: engine.core.only_waits())

        clock.set(clock.now() - hours * 3600)
        clock.advance(1)
        await until(lambda: world.count("a") == 2)
        world.let_go("a")
        assert (await run.wait(20)).status == "succeeded"


async def test_a_deadline_ends_the_wait_for_another_attempt(world: World) -> None:
    clock = FakeClock()
    run = await run_flow(
        """
flow: t
tasks:
  a: {type: python, effect: read, deadline: 25s, retry: {attempts: 100, delay: 10s, backoff: constant, jitter: none}, with: {call: fail, args: {name: a}}}
""",
        clock=clock,
    )

    assert world.count("a") == 3
    assert run.error is not None
    assert run.error["kind"] == "timeout"
    assert "25 s" in run.error["message"]
    assert sum(clock.slept) == pytest.approx(25)


async def test_a_deadline_does_not_bound_what_is_done_instead(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  a:
    type: python
    effect: read
    deadline: 25s
    retry: {attempts: 100, delay: 10s, backoff: constant, jitter: none}
    with: {call: fail, args: {name: a}}
    on_error: {tasks: {nap: {type: sleep, with: {for: 1h}}, b: {type: python, needs: [nap], with: {call: act, args: {name: b}}}}}
""")

    assert (run.status, world.count("b")) == ("succeeded", 1)
    assert (run.tasks["a"].error or {})["kind"] == "timeout"


@pytest.mark.parametrize("inner", ["", "retry: {attempts: 2, delay: 1s, jitter: none}, "])
async def test_the_timeout_of_a_group_holds_while_it_is_in_the_store(inner: str, world: World) -> None:
    clock = FakeClock()
    run = await run_flow(
        f"""
flow: t
tasks:
  g:
    {{type: group, timeout: 100s, {inner}tasks: {{
      a: {{type: sleep, with: {{for: 30s}}}},
      b: {{type: sleep, needs: [a], with: {{for: 1h}}}},
      c: {{type: python, needs: [b], with: {{call: act, args: {{name: c}}}}}}}}}}
""",
        clock=clock,
    )

    assert (run.error or {})["kind"] == "timeout"
    assert sum(clock.slept) == pytest.approx(201 if inner else 100)
    assert (run.tasks["g.a"].status, run.tasks["g.b"].status, run.tasks["g.c"].status) == (
        "succeeded",
        "cancelled",
        "cancelled",
    )
    assert run.tasks["g.b"].reason == "timeout"
    assert not world.calls


async def test_the_timeout_of_a_sub_flow_cancels_its_run(tmp_path: Path, world: World) -> None:
    (tmp_path / "child.yaml").write_text(
        "flow: child\ntasks: {a: {type: sleep, with: {for: 1d}}}\n"
        "finally: {b: {type: python, with: {call: act, args: {name: tidied}}}}\n"
    )
    (tmp_path / "parent.yaml").write_text(
        "flow: parent\ntasks: {sub: {type: flow, timeout: 1m, with: {path: child.yaml}}}\n"
    )
    clock = FakeClock()
    async with Engine.in_memory(clock=clock) as engine:
        run = await engine.start(load(tmp_path / "parent.yaml"))
        await finish(engine, run, clock)
        view = await engine.show(run.id)
        child = await engine.show(view.tasks["sub"].child or "")

    assert ((view.error or {})["kind"], child.status) == ("timeout", "cancelled")
    assert child.parent == run.id
    assert world.calls == ["tidied"]
    assert sum(clock.slept) == pytest.approx(60)


async def test_a_sleep_longer_than_its_timeout_times_out() -> None:
    clock = FakeClock()
    run = await run_flow("flow: t\ntasks: {a: {type: sleep, timeout: 30s, with: {for: 1h}}}\n", clock=clock)

    assert (run.error or {})["kind"] == "timeout"
    assert sum(clock.slept) == pytest.approx(30)


async def test_the_time_of_a_run_counts_from_its_start_and_ends_it_with_its_handlers(world: World) -> None:
    clock = FakeClock()
    run = await run_flow(
        """
flow: t
timeout: 90s
tasks:
  a: {type: sleep, with: {for: 60s}}
  b: {type: sleep, needs: [a], with: {for: 60s}}
on_failure:
  alert: {type: python, with: {call: act, args: {name: "${{ error.kind }}"}}}
finally:
  tidy: {type: python, with: {call: act, args: {name: tidy}}}
""",
        clock=clock,
    )

    assert run.status == "failed"
    assert (run.error or {})["kind"] == "timeout"
    assert sum(clock.slept) == pytest.approx(90)
    assert world.calls == ["timeout", "tidy"]
    assert (run.tasks["b"].status, run.tasks["b"].reason) == ("cancelled", "timeout")


async def test_a_synchronous_function_with_a_timeout_runs_in_a_process(tmp_path: Path) -> None:
    import os

    (tmp_path / "where_it_runs.py").write_text("import os\ndef pid():\n    return os.getpid()\n")
    (tmp_path / "t.yaml").write_text(
        "flow: t\ntasks:\n"
        "  a: {type: python, timeout: 60s, with: {call: 'where_it_runs:pid'}}\n"
        "  b: {type: python, with: {call: 'where_it_runs:pid'}}\n"
    )

    run = await run_flow(tmp_path / "t.yaml")

    assert run.status == "succeeded", run.error
    assert run.tasks["b"].output == os.getpid() != run.tasks["a"].output
