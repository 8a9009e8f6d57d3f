"""Tests that start several runs: in order, at moments, after each other; what holds for each, and for all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from flowbuilder.core.errors import FlowError
from flowbuilder.testing.cases.read import read_suite
from flowbuilder.testing.cases.suite import coverage, run_cases

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder.testing.cases.suite import Result

FLOW = """
flow: sync
inputs: {shop: {type: string, default: berlin}, size: {type: integer, default: 1}}
concurrency: {limit: 1, key: "${{ inputs.shop }}", when_full: WHEN_FULL}
tasks:
  check: {type: assert, with: {that: "${{ inputs.size < 10 }}", message: too large}}
  small: {needs: [check], if: inputs.size < 5, type: set, with: small}
  load: {needs: [check], run: load}
  go: {needs: [load], if: inputs.size == 2, type: wait, with: {signal: go, timeout: 1d}}
  stop: {needs: [load], if: inputs.size == 3, type: wait, with: {signal: stop}}
  told: {needs: [load], type: emit, with: {event: shop.synced, payload: {shop: "${{ inputs.shop }}"}}}
outputs: {shop: "${{ inputs.shop }}"}
"""
MOCKS = "mocks: {load: {output: {exit_code: 0, stdout: '', stderr: ''}, delay: 10m}}\n"


def results(folder: Path, case: str, when_full: str = "queue") -> list[Result]:
    (folder / "sync.yaml").write_text(FLOW.replace("WHEN_FULL", when_full))
    path = folder / "sync.test.yaml"
    path.write_text("tests:\n  one:\n" + "\n".join("    " + line for line in (MOCKS + case).splitlines()))

    async def run() -> list[Result]:
        return [result async for result in run_cases(read_suite(path).cases, 1)]

    return asyncio.run(run())


def problems(folder: Path, case: str, when_full: str = "queue") -> list[str]:
    (result,) = results(folder, case, when_full)
    return result.problems


def said(folder: Path, case: str) -> list[str]:
    with pytest.raises(FlowError) as raised:
        results(folder, case)
    return [f"{each.at.line}:{each.at.column} {each.code} {each.what}" for each in raised.value.diagnostics]


def test_runs_are_queued_and_end_in_order(tmp_path: Path) -> None:
    case = """
runs:
  first: {expect: {duration: 10m, calls: {load: 1}, events: [shop.synced]}}
  second: {at: 4m, expect: {duration: 16m, tasks: {load: succeeded}}}
  elsewhere: {at: 4m, inputs: {shop: paris}, expect: {outputs: {shop: paris}, duration: 10m}}
expect:
  order: [first, elsewhere, second]
  calls: {load: 3}
  events: [{event: shop.synced, payload: {shop: berlin}}, shop.synced, shop.synced]
  duration: 20m
  that: ["runs.elsewhere.outputs.shop == 'paris'", "len(calls.load) == 3"]
"""
    assert problems(tmp_path, case) == []


def test_each_difference_names_its_run(tmp_path: Path) -> None:
    case = """
runs:
  first: {expect: {outputs: {shop: rome}}}
  second: {inputs: {size: 12}, expect: {duration: 1h}}
  third: {inputs: {size: wrong}}
expect: {order: [second, first], calls: {load: 5}, duration: 1h}
"""
    assert problems(tmp_path, case) == [
        'runs.first.outputs.shop: expected "rome", got "berlin"',
        "runs.second.status: expected succeeded, got failed in check: assert: too large",
        "runs.second.duration: expected 1h, got 10m",
        'runs.third.status: expected succeeded, got refused: input: $.size: "wrong" is not of type "integer"',
        "order: first ended before second",
        "calls.load: expected 5, got 1",
        "duration: expected 1h, got 10m",
    ]


def test_a_start_that_is_skipped_gives_the_run_of_before(tmp_path: Path) -> None:
    case = """
runs:
  first: {}
  second: {at: 1m, expect: {same_as: first}}
  third: {after: first, at: 1m}
expect: {calls: {load: 2}, order: [first, third]}
"""
    assert problems(tmp_path, case, "skip") == []
    wrong = case.replace(", expect: {same_as: first}", "").replace(
        "third: {", "third: {expect: {same_as: first}, "
    )
    assert problems(tmp_path, wrong, "skip") == [
        "runs.second.same_as: it began no run of its own, and gave the run 'first'",
        "runs.third.same_as: expected the run 'first', and it began a run of its own",
    ]


def test_a_key_gives_the_same_run_and_other_inputs_are_refused(tmp_path: Path) -> None:
    case = """
runs:
  first: {key: order-7}
  again: {after: first, key: order-7, expect: {same_as: first}}
  other: {key: order-7, inputs: {shop: rome}, expect: refused}
"""
    assert problems(tmp_path, case) == []


def test_the_newest_takes_the_place_of_the_oldest(tmp_path: Path) -> None:
    case = """
runs:
  first: {expect: {status: cancelled, error: {message: takes its place}}}
  second: {at: 1m}
"""
    assert problems(tmp_path, case, "cancel_running") == []


def test_signals_go_to_the_run_that_they_stand_in(tmp_path: Path) -> None:
    case = """
inputs: {size: 2}
runs:
  first: {send: [{signal: go, at: 1h}], expect: {duration: 1h}}
  second: {inputs: {shop: rome}, send: [{signal: go, at: 2h}], expect: {duration: 2h}}
"""
    assert problems(tmp_path, case) == []


def test_a_run_that_waits_for_ever_is_named(tmp_path: Path) -> None:
    case = "runs: {first: {}, second: {inputs: {size: 3, shop: rome}}}"
    (told, *_) = problems(tmp_path, case)

    assert told == (
        "the run second waits for ever, in stop: `send` what it waits for, or give it a `timeout`"
    )


def test_coverage_counts_what_any_of_the_runs_has_reached(tmp_path: Path) -> None:
    found = results(tmp_path, "runs: {small: {}, large: {inputs: {size: 7, shop: rome}}}")
    (flow,) = coverage(found)

    assert "small: if is false" not in [str(point) for point in flow.missed(branches=True)]
    assert "small: if is true" not in [str(point) for point in flow.missed(branches=True)]


def test_mistakes_are_told_at_their_places(tmp_path: Path) -> None:
    case = """runs:
  first: {after: secnd, expect: {same_as: second}}
  second: {after: third, needs: x}
  third: {after: second, at: soon, priority: 1000}
  2nd: {}
send: [{signal: go}]
expect: {status: failed, order: [first, secound], that: "outputs.x == 1"}
"""
    assert said(tmp_path, case) == [
        "5:22 FB220 there is no run 'secnd' in this test",
        "5:47 FB220 there is no run 'second' before it",
        "6:7 FB221 run 'second' waits for itself",
        "6:30 FB201 a run of a test has no key 'needs'",
        "7:34 FB208 'at': 'soon' is no duration",
        "7:50 FB210 'priority' is 1000, and must lie between 0 and 100",
        "8:7 FB204 the run '2nd' must consist of letters, digits and '_' and not begin with a digit",
        "9:5 FB201 a test of several runs has no key 'send'",
        "10:14 FB201 what is expected of several runs has no key 'status'",
        "10:45 FB220 there is no run 'secound' in this test",
        "10:62 FB310 there is no 'outputs' here",
    ]


def test_runs_that_wait_for_each_other_are_refused(tmp_path: Path) -> None:
    (told,) = said(tmp_path, "runs:\n  a: {after: b}\n  b: {after: c}\n  c: {after: a}")
    assert told == "5:7 FB221 run 'a' waits for itself"


def test_no_runs_are_refused(tmp_path: Path) -> None:
    (told,) = said(tmp_path, "runs: {}")
    assert "a mapping of runs by name" in told
