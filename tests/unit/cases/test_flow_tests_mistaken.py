"""Names in tests that are no tasks or types, and what was never sent, are told with what was meant."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from flowbuilder.testing.cases.names import mistakes_of
from flowbuilder.testing.cases.read import read_suite
from flowbuilder.testing.cases.suite import run_cases

if TYPE_CHECKING:
    from pathlib import Path

FLOW = """
flow: f
tasks:
  fetch: {run: x}
  each: {for_each: [1, 2], run: y}
  asked: {needs: [fetch], if: false, type: approval, with: {message: Well?}}
"""
SHELL = "'type:shell': {output: {exit_code: 0, stdout: '', stderr: ''}}"


def problems(folder: Path, case: str) -> list[str]:
    (folder / "f.yaml").write_text(FLOW)
    path = folder / "f.test.yaml"
    path.write_text("tests:\n  one:\n" + "\n".join("    " + line for line in case.splitlines()))

    async def run() -> list[str]:
        return [each async for result in run_cases(read_suite(path).cases, 1) for each in result.problems]

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("expect", "told"),
    [
        ("tasks: {fech: succeeded}", "tasks.fech: there is no such task; did you mean 'fetch'?"),
        ("order: [fetch, eahc]", "order: eahc did not end: there is no such task; did you mean 'each'?"),
        ("calls: {fech: 1}", "calls.fech: expected 1, got 0: there is no such task; did you mean 'fetch'?"),
        ("calls: {asked: 1}", "calls.asked: expected 1, got 0"),
        ("calls: {'type:http': 1}", "calls.type:http: expected 1, got 0"),
    ],
)
def test_a_name_that_is_no_task_is_told_with_the_nearest(tmp_path: Path, expect: str, told: str) -> None:
    assert problems(tmp_path, f"mocks: {{{SHELL}}}\nexpect: {{{expect}}}") == [told]


def test_a_mock_of_no_type_is_told(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, "mocks: {'type:shel': {output: 1}}")

    assert told.startswith("there is no task type 'shel' to be mocked (")
    assert told.endswith("did you mean 'shell'?")


def test_what_was_never_sent_fails_the_test(tmp_path: Path) -> None:
    case = f"mocks: {{{SHELL}}}\nsend: [{{approve: asked}}, {{cancel: late, at: 1h}}]"

    assert problems(tmp_path, case) == [
        "send: 'approve asked' was never sent: the run had ended without asking for it",
        "send: 'cancel late' was never sent: the run had ended without asking for it",
    ]


def test_an_error_may_be_its_kind_alone(tmp_path: Path) -> None:
    case = f"mocks: {{fetch: {{error: http.503}}, {SHELL}}}\nexpect: {{error: http.503}}"

    assert problems(tmp_path, case) == []


def test_what_is_sent_to_nobody_is_told_before_anything_runs(tmp_path: Path) -> None:
    case = "send: [{approve: askd}, {reject: fetch, at: 1h}, {signal: go}]"

    assert [problem.splitlines() for problem in problems(tmp_path, case)] == [
        [
            f"approve: no task 'askd' asks for approval ({tmp_path}/f.test.yaml:3:12); did you mean 'asked'?",
            f"reject: no task 'fetch' asks for approval ({tmp_path}/f.test.yaml:3:29); there are asked",
            f"signal: no task waits for 'go' ({tmp_path}/f.test.yaml:3:54); there are none",
        ]
    ]


def test_every_name_that_the_flow_lacks_is_found_without_running_it(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(FLOW + "  go: {type: wait, with: {signal: go}}\noutputs: {n: 1}\n")
    (tmp_path / "f.test.yaml").write_text("""
defaults: {mocks: {fech: {output: 1}}}
tests:
  one:
    mocks: {"type:shel": {output: 1}}
    send: [{signal: og}, {signal: go}]
    expect:
      tasks: {fetch: succeeded, "each[1]": succeeded, nope: skipped}
      outputs: {n: 1, m: 2}
      order: [fetch, ask]
      calls: {"type:shell": 1, "type:htp": 0, "e*": 2, "x*": 1}
  two:
    runs: {a: {expect: {tasks: {nobody: failed}}}}
    expect: {order: [a], calls: {fetch: 1, fetsch: 1}}
""")

    assert [
        (wrong.code, wrong.at.line, wrong.what) for wrong in mistakes_of(read_suite(tmp_path / "f.test.yaml"))
    ] == [
        ("FB220", 2, "there is no task 'fech' to be mocked"),
        ("FB206", 5, "there is no task type 'shel' to be mocked"),
        ("FB220", 6, "signal: no task waits for 'og'"),
        ("FB220", 8, "tasks: there is no task 'nope'"),
        ("FB206", 11, "there is no task type 'htp' to be called"),
        ("FB220", 11, "calls: there is no task 'x*'"),
        ("FB220", 9, "outputs: the flow has no output 'm'"),
        ("FB220", 10, "order: there is no task 'ask'"),
        ("FB220", 13, "tasks: there is no task 'nobody'"),
        ("FB220", 14, "calls: there is no task 'fetsch'"),
    ]


def test_a_signal_whose_name_is_made_while_the_flow_runs_may_be_any(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(
        "flow: f\ninputs: {n: {type: string}}\ntasks: {go: {type: wait, with: {signal: 'go-${{ inputs.n }}'}}}\n"
    )
    (tmp_path / "f.test.yaml").write_text("tests: {one: {send: [{signal: go-1}]}}\n")

    assert mistakes_of(read_suite(tmp_path / "f.test.yaml")) == []
