"""Broken flows, each with the exact words that its author reads.

Adding a case is adding a file: `errors/<code>-<what>.yaml`; `--update-golden`
writes the `.txt` beside it.  A first line `# limits: tasks=3` sets limits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowbuilder.compiler.codes import CODES, PYTHON_CODES
from flowbuilder.compiler.limits import Limits
from flowbuilder.compiler.pipeline import compile_text
from flowbuilder.compiler.render import render_text, summary
from flowbuilder.core.errors import FlowError
from flowbuilder.tasks.catalogue import CATALOGUE
from flowbuilder.tasks.registry import broken

if TYPE_CHECKING:
    from flowbuilder.core.catalogue import TaskSpec
    from flowbuilder.core.diagnostics import Diagnostic

FOLDER = Path(__file__).parent / "errors"
CASES = sorted(FOLDER.glob("*.yaml"))
PAGES = Path(__file__).parents[2] / "docs" / "errors"


def diagnose(case: Path) -> tuple[tuple[Diagnostic, ...], dict[str, str]]:
    """Return what is found in a file, and the texts that it was found in."""
    text = case.read_text(encoding="utf-8")
    sources = {case.name: text}

    def resolve(path: str, from_file: str) -> str:
        file = Path(from_file).parent / path
        found = (FOLDER / file).read_text(encoding="utf-8")
        sources[str(file)] = found
        return found

    return diagnose_text(text, case.name, resolve), sources


def diagnose_text(text: str, file: str, resolve: Callable[[str, str], str]) -> tuple[Diagnostic, ...]:
    """Return what is found in a text, warnings among it."""
    limits = re.match(r"# limits: (.*)\n", text)
    given = dict(pair.split("=") for pair in limits[1].split()) if limits else {}
    try:
        return compile_text(
            text,
            file,
            catalogue=_catalogue(text),
            resolve=resolve,
            limits=Limits(**{name: _bound(value) for name, value in given.items()}),
        ).diagnostics
    except FlowError as error:
        return error.diagnostics


def _catalogue(text: str) -> Mapping[str, TaskSpec]:
    """Return the task types, with one that cannot be used where a first line says so: `# broken: name: why`."""
    found = re.match(r"# broken: ([\w-]+): (.*)\n", text)
    return CATALOGUE if found is None else {**CATALOGUE, found[1]: broken(found[1], found[2])}


def _bound(value: str) -> int | frozenset[str]:
    return int(value) if value.isdecimal() else frozenset(value.split(","))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_broken_flow_gets_its_message(case: Path, golden: Callable[[Path, str], None]) -> None:
    diagnostics, sources = diagnose(case)

    assert case.name[:5] in {d.code for d in diagnostics}
    golden(case.with_suffix(".txt"), render_text(diagnostics, sources) + summary(diagnostics) + "\n")


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60


def test_findings_stand_in_file_order() -> None:
    for case in CASES:
        diagnostics, sources = diagnose(case)
        order = list(sources)
        places = [(order.index(d.at.file), d.at.line, d.at.column) for d in diagnostics]

        assert places == sorted(places)


def test_every_code_has_a_title_a_page_and_a_broken_flow() -> None:
    pages = {page.stem for page in PAGES.glob("FB*.md")}
    cases = {case.name[:5] for case in [*CASES, *(FOLDER.parent / "python").glob("*.py")]}

    assert pages == set(CODES)
    assert cases >= set(CODES)


@pytest.mark.parametrize("code", sorted(set(CODES) - set(PYTHON_CODES)))
def test_a_page_shows_a_flow_that_gets_its_code(code: str) -> None:
    page = (PAGES / f"{code}.md").read_text(encoding="utf-8")
    blocks = re.findall(r'```yaml(?: title="(.*)")?\n(.*?)```', page, re.DOTALL)
    texts = {title or "flow.yaml": text for title, text in blocks}

    def resolve(path: str, _from_file: str) -> str:
        if path not in texts:
            raise FileNotFoundError(path)
        return texts[path]

    assert page.splitlines()[0] == f"# {code}: {CODES[code]}"
    found = diagnose_text(texts["flow.yaml"], "flow.yaml", resolve)
    assert code in {d.code for d in found}


def test_the_index_names_every_page() -> None:
    index = (PAGES / "index.md").read_text(encoding="utf-8")

    assert all(
        f"[{code}]({code}.md) | {title.replace('|', '&#124;')} |" in index for code, title in CODES.items()
    )
