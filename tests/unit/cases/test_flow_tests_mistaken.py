"""Names in tests that are no tasks or types, and what was never sent, are told with what was meant."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

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
