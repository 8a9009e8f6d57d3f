"""What tasks cost is kept, for the planner: durations, sizes, failures, items, by path without indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder import Config, Engine, Reader
from flowbuilder.runtime.observations import plain_path
from flowbuilder.testing.flows import load_text

if TYPE_CHECKING:
    from pathlib import Path

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


def test_a_path_without_indexes_is_the_plans() -> None:
    assert plain_path('build[3]#2.compile["x"].link') == "build.compile.link"
    assert plain_path('a["]"]!mend') == "a!mend"
    assert plain_path("plain") == "plain"
