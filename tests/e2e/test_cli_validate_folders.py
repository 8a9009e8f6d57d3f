"""`flowbuilder validate` of folders, and of files of tests: they are no broken flows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from command_line import Cli

FLOW = """
    flow: sum
    tasks:
      a: {type: set, with: "${{ 1 + 1 }}"}
"""
TESTS = """
    flow: sum.yaml
    tests:
      it adds:
        expect: {status: succeeded}
"""


@pytest.fixture
def sums(cli: Cli) -> Cli:
    """A project with a flow, its tests, and what is neither."""
    for folder in ("flows/deep", "flows/.hidden", "empty"):
        (cli.folder / folder).mkdir(parents=True)
    cli.flow(FLOW, "flows/sum.yaml")
    cli.flow(TESTS, "flows/sum.test.yaml")
    cli.flow(FLOW.replace("sum", "deep"), "flows/deep/deep.yaml")
    cli.flow("flow: hidden\nno: flow", "flows/.hidden/hidden.yaml")
    cli.flow("version: 3\nservices: {}", "flows/compose.yaml")
    return cli


def test_a_folder_stands_for_its_flows_and_their_tests(sums: Cli) -> None:
    checked = sums("validate", "flows")

    assert checked.returncode == 0, checked.stdout
    assert "3 files: nothing wrong" in checked.stderr


def test_a_file_of_tests_is_checked_as_one_and_its_mistakes_are_found(sums: Cli) -> None:
    assert sums("validate", "flows/sum.test.yaml").returncode == 0
    sums.flow(
        TESTS.replace("tests:", "defaults: {mocks: {nobody: {output: 1}}}\n    tests:"), "flows/sum.test.yaml"
    )
    wrong = sums("validate", "flows/sum.test.yaml")
    assert wrong.returncode == 3
    assert "there is no task 'nobody' to be mocked" in wrong.stdout
    sums.flow(TESTS.replace("expect", "expct"), "flows/sum.test.yaml")

    checked = sums("validate", "flows")

    assert checked.returncode == 3
    assert "expct" in checked.stdout
    assert "did you mean 'expect'?" in checked.stdout


def test_a_folder_without_a_flow_says_what_a_flow_is(sums: Cli) -> None:
    checked = sums("validate", "empty")

    assert checked.returncode != 0
    assert "key `flow`" in checked.stderr
    assert "Traceback" not in checked.stderr


def test_flows_in_python_files_are_checked_all_of_them_at_their_lines(sums: Cli) -> None:
    sums.flow(
        """
        from flowbuilder import flow, task

        @task
        def total(x: int) -> int:
            return x

        @flow
        def fine(x: int):
            return total(x)

        @flow(tiemout="1h")
        def wrong(x: int):
            return total(x)
        """,
        "flows/sums.py",
    )
    sums.flow("raise SystemExit(9)", "flows/tool.py")

    checked = sums("validate", "flows")
    alone = sums("validate", "flows/sums.py")

    assert (checked.returncode, alone.returncode) == (3, 3)
    assert "4 files: 1 error" in checked.stderr
    assert "flows/sums.py:12:7: FB201" in checked.stdout
    assert alone.stdout == checked.stdout
