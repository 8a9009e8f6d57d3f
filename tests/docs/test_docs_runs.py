"""Flows of the documentation that say what comes of them do what they say.

A comment in front of a block tells: `<!-- runs: {"inputs": {…}, "status": "succeeded", "outputs": {…}} -->`;
with `mocks` what reaches out of this machine is mocked.
"""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from flowbuilder.core import values
from flowbuilder.testing import FlowTester, load_text, run_flow
from flowbuilder.testing.cases.read import read_suite
from flowbuilder.testing.cases.suite import run_cases

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "guides"
RUN = re.compile(r"<!-- runs: (\{.*?\}) -->\s*\n```yaml[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
WITHOUT_FLOWS = {"command-line", "plugins", "upkeep"}
"""Guides that are about commands and packages, and show no flow."""


def runs() -> list[pytest.param]:
    found = []
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for number, match in enumerate(RUN.finditer(page.read_text("utf-8")), 1):
            found.append(pytest.param(json.loads(match[1]), match[2], id=f"{page.stem}-{number}"))
    return found


@pytest.mark.parametrize(("said", "text"), runs())
async def test_a_flow_in_the_documentation_does_what_it_says(
    said: dict[str, Any], text: str, tmp_path: Path
) -> None:
    if "mocks" in said:
        (tmp_path / "flow.yaml").write_text(text)
        mocked = FlowTester(tmp_path)("flow.yaml", said.get("inputs"), mocks=said["mocks"])
        status, outputs, error = mocked.status, mocked.outputs, mocked.error
    else:
        run = await run_flow(load_text(text, tmp_path), said.get("inputs"))
        status, outputs, error = run.status, values.to_json(run.outputs), run.error

    assert status == said.get("status", "succeeded"), error
    if "outputs" in said:
        assert outputs == said["outputs"]


def test_every_guide_has_a_flow_that_is_run() -> None:
    guides = {page.stem: page.read_text("utf-8") for page in GUIDES.glob("*.md")}

    assert {name for name, text in guides.items() if "<!-- runs:" not in text} == WITHOUT_FLOWS


def test_the_tests_that_the_guide_shows_pass(tmp_path: Path) -> None:
    page = (GUIDES / "flow-tests.md").read_text("utf-8")
    flow = re.search(r"```yaml\n(flow: orders\n.*?)```", page, re.DOTALL)
    tests = re.search(r'```yaml title="orders\.test\.yaml"\n(.*?)```', page, re.DOTALL)
    assert flow is not None
    assert tests is not None
    (tmp_path / "orders.yaml").write_text(flow[1])
    (tmp_path / "orders.test.yaml").write_text(tests[1])

    async def run() -> list[list[str]]:
        suite = read_suite(tmp_path / "orders.test.yaml")
        return [result.problems async for result in run_cases(suite.cases, 2)]

    assert asyncio.run(run()) == [[], []]
