"""Broken flows in Python, each with the exact words that its author reads.

Adding a case is adding a file: `python/<code>-<what>.py` with a flow `broken`;
`--update-golden` writes the `.txt` beside it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowbuilder.cli.diagnostics import texts_of
from flowbuilder.compiler.codes import CODES, PYTHON_CODES
from flowbuilder.compiler.render import render_text, summary
from flowbuilder.core.errors import FlowError
from flowbuilder.sdk.load import load

if TYPE_CHECKING:
    from flowbuilder.core.diagnostics import Diagnostic

FOLDER = Path(__file__).parent / "python"
CASES = sorted(FOLDER.glob("*.py"))
PAGES = Path(__file__).parents[2] / "docs" / "errors"


def diagnose(file: Path, name: str) -> tuple[Diagnostic, ...]:
    try:
        return load(f"{os.path.relpath(file)}:{name}").diagnostics
    except FlowError as error:
        return error.diagnostics


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_broken_flow_in_python_gets_its_message(
    case: Path, golden: Callable[[Path, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = tmp_path / (re.sub(r"\W", "_", case.stem) + ".py")
    shutil.copy(case, module)

    diagnostics = diagnose(module, "broken")

    assert case.name[:5] in {each.code for each in diagnostics}
    text = render_text(diagnostics, texts_of(diagnostics)) + summary(diagnostics) + "\n"
    golden(case.with_suffix(".txt"), text)


@pytest.mark.parametrize("code", sorted(PYTHON_CODES))
def test_a_page_shows_a_flow_in_python_that_gets_its_code(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (PAGES / f"{code}.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert block is not None
    monkeypatch.chdir(tmp_path)
    module = tmp_path / f"page_{code}.py"
    module.write_text(block[1])

    assert page.splitlines()[0] == f"# {code}: {CODES[code]}"
    assert code in {each.code for each in diagnose(module, "report")}
