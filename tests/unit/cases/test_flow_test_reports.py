"""Results of tests of flows, as other programs read them."""

import asyncio
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from msgspec.structs import replace

from flowbuilder.testing.cases.read import read_suite
from flowbuilder.testing.cases.reports import as_data, junit, tap
from flowbuilder.testing.cases.suite import Result, coverage, run_cases


@pytest.fixture
def results(tmp_path: Path) -> list[Result]:
    (tmp_path / "f.yaml").write_text(
        "flow: f\ninputs: {n: {type: integer}}\ntasks:\n  a: {type: log, with: {message: 'said ${{ inputs.n }}'}}\n"
        "outputs: {n: '${{ inputs.n }}'}\n"
    )
    path = tmp_path / "f.test.yaml"
    path.write_text(
        "tests:\n"
        "  it works: {inputs: {n: 1}, expect: {outputs: {n: 1}, logs: [said 1]}}\n"
        "  'it <fails> & says #why': {inputs: {n: 2}, expect: {outputs: {n: \"3\\e\"}}}\n"
        "  later: {skip: not yet}\n"
    )

    async def run() -> list[Result]:
        return [result async for result in run_cases(read_suite(path).cases, 2)]

    return asyncio.run(run())


def test_junit_has_a_suite_a_file_and_what_went_wrong(results: list[Result]) -> None:
    root = ET.fromstring(junit(results))
    (suite,) = root
    works, fails, later = suite

    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("3", "1", "1")
    assert suite.get("name") == str(results[0].case.file)
    assert works.get("name") == "it works"
    assert works.findtext("system-out") == "said 1"
    assert fails.get("name") == "it <fails> & says #why"
    assert fails.get("line") == "3"
    failure = fails.find("failure")
    assert failure is not None
    assert failure.text is not None
    assert failure.text.startswith("outputs.n: expected")
    skipped = later.find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "not yet"


def test_tap_numbers_every_test(results: list[Result]) -> None:
    lines = tap(results).splitlines()

    assert lines[:2] == ["TAP version 14", "1..3"]
    assert lines[2].startswith("ok 1 - ")
    assert lines[3].startswith("not ok 2 - ")
    assert lines[3].endswith("says \\#why")
    assert lines[4].startswith("  # outputs.n")
    assert lines[-1].endswith("later # SKIP not yet")


def test_what_means_something_to_tap_is_escaped(results: list[Result]) -> None:
    case = replace(results[0].case, name="a\\b #1")

    assert tap([Result(case, "passed")]).splitlines()[2].endswith("a\\\\b \\#1")


def test_as_data_everything_is_there_that_is_shown(results: list[Result]) -> None:
    data = as_data(results, coverage(results))

    assert [data[name] for name in ("passed", "failed", "skipped")] == [1, 1, 1]
    assert [test["verdict"] for test in data["tests"]] == ["passed", "failed", "skipped"]
    assert data["coverage"][0]["tasks"] == [1, 1]
