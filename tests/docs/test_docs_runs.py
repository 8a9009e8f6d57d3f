"""Flows of the documentation that say what comes of them do what they say.

A comment in front of a block tells: `<!-- runs: {"inputs": {…}, "status": "succeeded", "outputs": {…}} -->`.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from flowbuilder.core import values
from flowbuilder.testing import load_text, run_flow

ROOT = Path(__file__).parents[2]
RUN = re.compile(r"<!-- runs: (\{.*?\}) -->\s*\n```yaml[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


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
    run = await run_flow(load_text(text, tmp_path), said.get("inputs"))

    assert run.status == said.get("status", "succeeded"), run.error
    if "outputs" in said:
        assert values.to_json(run.outputs) == said["outputs"]


def test_there_are_such_flows() -> None:
    assert len(runs()) >= 1
