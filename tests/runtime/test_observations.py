"""What tasks cost is kept, for the planner: durations, sizes, failures, items, by path without indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine, Reader
from flowbuilder.runtime.observations import plain_path
from flowbuilder.testing.flows import finish, load_text

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder.testing.fake_clock import FakeClock
    from world import World

FLOW = """
flow: watched
tasks:
  one: {type: python, with: {call: act, args: {name: one, value: "0123456789"}}}
  bad: {type: python, on_error: continue, with: {call: fail, args: {name: bad}}}
  each: {for_each: [1, 2, 3], type: python, with: {call: act, args: {name: each, value: "${{ item }}"}}}
  group: {for_each: [1, 2], type: group, tasks: {inner: {type: python, with: {call: act, args: {name: inner}}}}}
  pure: {type: set, with: 1}
"""

WAITS = """
flow: waits
tasks:
  ask: {type: approval, on_error: continue, with: {message: Well?, timeout: 5s}}
  signal: {type: wait, on_error: continue, with: {signal: go, timeout: 7s}}
  sub: {type: flow, with: {path: child.yaml}}
  again:
    repeat: {until: loop.index >= 2, max: 9}
    type: group
    tasks: {inner: {type: python, with: {call: act, args: {name: inner}}}}
"""


async def test_each_task_that_calls_something_is_counted(tmp_path: Path, world: World) -> None:
    async with Engine(tmp_path / "store.db", Config()) as engine:
        for _ in range(3):
            run = await engine.start(load_text(FLOW))
            await run.result(20)
    with Reader(tmp_path / "store.db") as reader:
        known = reader.statistics("watched")

    assert {path: (seen.executions, seen.failures) for path, seen in known.items()} == {
        "one": (3, 0),
        "bad": (3, 3),
        "each": (3, 0),
        "group.inner": (6, 0),
    }
    assert known["each"].items == 3
    assert known["one"].output_bytes >= 10


async def test_waits_and_sub_flows_are_counted_and_rounds_are_one_task(
    engine: Engine, clock: FakeClock, tmp_path: Path, world: World
) -> None:
    (tmp_path / "child.yaml").write_text("flow: child\ntasks: {s: {type: sleep, with: {for: 30s}}}\n")
    flow = load_text(WAITS, tmp_path)
    run = await engine.start(flow)
    await finish(engine, run, clock)
    engine.core.machine.observations.hand_over()

    known = engine.core.machine.store.statistics("waits")

    assert {path: (seen.executions, seen.failures) for path, seen in known.items()} == {
        "ask": (1, 1),
        "signal": (1, 1),
        "sub": (1, 0),
        "again.inner": (3, 0),
    }
    assert known["ask"].duration_p50 == pytest.approx(5, rel=0.1)
    assert known["sub"].duration_p50 == pytest.approx(30, rel=0.1)


def test_a_path_without_indexes_is_the_plans() -> None:
    assert plain_path('build[3]#2.compile["x"].link') == "build.compile.link"
    assert plain_path('a["]"]!mend') == "a!mend"
    assert plain_path("plain") == "plain"
