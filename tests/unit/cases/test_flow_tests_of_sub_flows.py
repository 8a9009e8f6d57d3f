"""Tests of flows that call others: tasks inside of them are mocked by path or type, and their waits are skipped."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from flowbuilder.testing.cases.read import read_suite
from flowbuilder.testing.cases.suite import run_cases

TOP = """
flow: top
tasks:
  one: {type: flow, with: {path: child.yaml}}
  two: {type: flow, needs: [one], with: {path: child.yaml}}
"""
CHILD = """
flow: child
tasks:
  nap: {type: sleep, with: {for: 300d}}
  work: {needs: [nap], run: echo real}
outputs: {o: "${{ tasks.work.output.stdout }}"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "top.yaml").write_text(TOP)
    (tmp_path / "child.yaml").write_text(CHILD)
    return tmp_path


def problems(folder: Path, case: str) -> list[str]:
    path = folder / "top.test.yaml"
    path.write_text("tests:\n  one:\n" + "\n".join("    " + line for line in case.splitlines()))

    async def run() -> list[str]:
        return [each async for result in run_cases(read_suite(path).cases, 1) for each in result.problems]

    return asyncio.run(run())


def test_a_task_inside_of_a_sub_flow_is_mocked_by_the_path_to_it(folder: Path) -> None:
    case = """
only_mocks: true
mocks:
  one/work: {output: {stdout: first, stderr: "", exit_code: 0}}
  two/work: {output: {stdout: second, stderr: "", exit_code: 0}}
expect:
  tasks: {one: {output: {o: first}}, two: {output: {o: second}}}
  calls: {one/work: 1, "type:shell": 2}
"""
    assert problems(folder, case) == []


def test_a_sub_flow_that_is_mocked_needs_no_mocks_inside(folder: Path) -> None:
    assert problems(folder, 'only_mocks: true\nmocks: {"type:flow": {output: {o: x}}}') == []


def test_a_mock_of_no_task_inside_is_told_with_the_nearest(folder: Path) -> None:
    (told,) = problems(folder, "mocks: {one/wrok: {output: 1}}")

    assert told.endswith("did you mean 'one/work'?")


def test_the_waits_of_a_sub_flow_are_skipped_at_once(folder: Path) -> None:
    began = time.monotonic()
    assert problems(folder, 'expect: {duration: 600d, tasks: {two: {output: {o: "real\\n"}}}}') == []
    assert time.monotonic() - began < 10


def test_a_sub_flow_that_waits_for_ever_is_told(folder: Path) -> None:
    (folder / "child.yaml").write_text("flow: child\ntasks: {hear: {type: wait, with: {signal: go}}}\n")
    (told,) = problems(folder, "timeout: 20s")

    assert told == "the run waits for ever, in one: `send` what it waits for, or give it a `timeout`"


def test_what_came_of_it_long_ago_is_known_at_the_end(folder: Path) -> None:
    (folder / "child.yaml").write_text("""
flow: child
tasks:
  work: {run: echo real}
  told: {needs: [work], type: emit, with: {event: done}}
outputs: {o: 1}
""")
    (folder / "top.yaml").write_text("""
flow: top
tasks:
  one: {type: flow, with: {path: child.yaml}}
  nap: {needs: [one], type: sleep, with: {for: 90d}}
  again: {needs: [nap], type: sleep, with: {for: "30d"}, repeat: {until: "loop.index > 3", max: 9}}
""")
    case = "mocks: {one/work: {output: 1}}\nexpect: {calls: {one/work: 1}, events: [done]}"

    for _ in range(3):  # what is deleted after a time is deleted in the background
        assert problems(folder, case) == []
