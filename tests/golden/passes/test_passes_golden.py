"""Each pass on flows of its own: a folder a pass, a flow and what the pass makes of it a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowbuilder.compiler.passes import PASSES, optimize
from flowbuilder.compiler.pipeline import compile_text
from flowbuilder.tasks.catalogue import CATALOGUE
from oracle.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
BEFORE = {"share_subexpressions": ("fuse_tasks",)}
"""Passes without which one has nothing to do."""

FILES = sorted(HERE.glob("*/*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_pass_does_what_its_golden_file_says(file: Path, golden: Callable[[Path, str], None]) -> None:
    wanted = (*BEFORE.get(file.parent.name, ()), file.parent.name)
    passes = [one for one in PASSES if one.__name__ in wanted]  # type: ignore[attr-defined]
    flow = compile_text(file.read_text(encoding="utf-8"), file.name, catalogue=CATALOGUE).flow

    found = optimize(flow, passes)

    notes = [
        f"{note.path}: {note.what}" if note.path else note.what
        for note in found.notes
        if note.by == file.parent.name
    ]
    warnings = [f"{warning.at}: {warning.code} {warning.what}" for warning in found.warnings]
    golden(
        file.with_suffix(".txt"), shown(found.flow) + "".join(f"-- {line}\n" for line in [*notes, *warnings])
    )


def test_every_pass_has_golden_files() -> None:
    assert {file.parent.name for file in FILES} == {one.__name__ for one in PASSES}  # type: ignore[attr-defined]
