"""Every flow in Python that a guide shows runs as it says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from flowbuilder.sdk.load import load
from flowbuilder.testing import run_flow

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
BLOCK = re.compile(r"<!-- runs: (\{.*?\}) -->\n```python\n(.*?)```", re.DOTALL)
SHOWN = [
    pytest.param(json.loads(said), code, id=f"{page.stem}-{number}")
    for page in sorted(GUIDES.glob("*.md"))
    for number, (said, code) in enumerate(BLOCK.findall(page.read_text("utf-8")), 1)
]


@pytest.mark.parametrize(("said", "code"), SHOWN)
async def test_a_flow_in_python_in_a_guide_runs(
    said: dict[str, Any], code: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    module = tmp_path / (re.sub(r"\W", "_", request.node.name) + ".py")
    module.write_text(code)

    view = await run_flow(load(f"{module}:{said['flow']}"), said.get("inputs"))

    assert view.status == said.get("status", "succeeded"), view.error
    assert view.outputs == said["outputs"]
