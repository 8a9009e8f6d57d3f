"""Every flow that the documentation shows compiles, without a warning."""

import re
from pathlib import Path

import pytest

from flowbuilder.compiler.limits import Limits
from flowbuilder.compiler.pipeline import compile_text
from flowbuilder.compiler.render import render_text
from flowbuilder.core.errors import FlowError
from flowbuilder.tasks.catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "errors"),
]
BLOCK = re.compile(r"^( *)```yaml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
KEYS = ("tasks:", "on_failure:", "finally:")


def flows() -> list[pytest.param]:
    found = []
    for page in PAGES:
        for number, match in enumerate(BLOCK.finditer(page.read_text("utf-8")), 1):
            text = match[2] if not match[1] else re.sub(rf"^{match[1]}", "", match[2], flags=re.MULTILINE)
            if text.startswith(KEYS):
                text = "flow: fragment\n" + text
            if text.startswith("flow:"):
                found.append(pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}"))
    return found


@pytest.mark.parametrize("text", flows())
def test_a_flow_in_the_documentation_compiles(text: str) -> None:
    def resolve(path: str, _from: str) -> str:
        raise FileNotFoundError(path)

    try:
        checked = compile_text(text, "flow.yaml", catalogue=CATALOGUE, resolve=resolve, limits=Limits())
    except FlowError as error:
        pytest.fail(render_text(error.diagnostics, {"flow.yaml": text}))
    assert not checked.diagnostics, render_text(checked.diagnostics, {"flow.yaml": text})


def test_the_documentation_shows_flows() -> None:
    assert len(flows()) >= 15
