"""Whatever stands in a file, the compiler answers with diagnostics: each at a place in it, soon, and never with a traceback.

The example flows are broken at random, as nodes and as text.  The seed is
fixed; `FLOWBUILDER_FUZZ_SEED` and `FLOWBUILDER_FUZZ_CASES` look elsewhere.
"""

from __future__ import annotations

import copy
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from flowbuilder.compiler.codegen import generate
from flowbuilder.compiler.lower.flow import FLOW
from flowbuilder.compiler.lower.task import TASK
from flowbuilder.compiler.passes import optimize
from flowbuilder.compiler.pipeline import compile_text
from flowbuilder.compiler.render import render_text
from flowbuilder.core.errors import FlowError
from flowbuilder.tasks.catalogue import CATALOGUE

if TYPE_CHECKING:
    from flowbuilder.core.diagnostics import Diagnostic

SEED: Final = int(os.environ.get("FLOWBUILDER_FUZZ_SEED", "20260105"))
CASES: Final = int(os.environ.get("FLOWBUILDER_FUZZ_CASES", "600"))
SECONDS: Final = 2.0
"""More than any of these small files may take, on a machine that is busy with other things."""
EXAMPLES: Final = Path(__file__).parents[2] / "examples"
FILES: Final = sorted(file for file in EXAMPLES.rglob("*.yaml") if ".test" not in file.name)
ODD: Final[list[Any]] = [
    *(None, "", [], {}, -1, 0, 3.5, 10**30, 1e308, True, float("inf"), "null", "true", "~", ".nan", "1e999"),
    *("${{", "${{ 1 + }}", "${{ inputs.x }}", "${{ tasks }}", "${{ item }}", "${{ secrets.X }}", "$${{"),
    *("10s", "-5s", "*", "=", "<<", "@", "../../x", "\x00x", "ж", "😀", "é" * 300, "a" * 5000),
    *([None], {"a": None}, {"": ""}, [[[]]], {"a": {"b": {}}}, ["a", "a"], {"while": "true"}),
    *({"type": "set", "with": 1}, {"tasks": {}}, {"type": ""}, {"run": None}),
]
BITS: Final = [
    *("\t", "  ", " ", "\n", ":", "- ", "{", "}", "[", "]", "'", '"', "${{", "}}", "#", " #", "|", ">"),
    *("&a ", "*a", "<<: *a", "!x ", "|-\n", "---\n", "...\n", "? ", "%YAML 1.1\n", "\x00", "\ufeff", "é"),
    *("😀", "\u2028", "\r", "\x85", "\x07", "\\", "@", "`", "(", "==", "[0]", "~", "null", "1e999", "0x1F"),
    *("a: &x [*x]", "{a: 1, a: 2}", "1: 2", "? [a]\n: b", "? {a: b}\n: c", "!!binary aGk="),
]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each part of a document."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from paths(part, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def broken(document: Any, pieces: list[Any], draw: random.Random) -> Any:
    """Return a document in which a few nodes were deleted, replaced, renamed, doubled or added."""
    document = copy.deepcopy(document)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        places = list(paths(document))
        if not places:
            break
        path = draw.choice(places)
        parent, key = at(document, path[:-1]), path[-1]
        match draw.randrange(6):
            case 0:
                del parent[key]
            case 1:
                parent[key] = copy.deepcopy(draw.choice(ODD))
            case 2:
                parent[key] = copy.deepcopy(draw.choice(pieces))
            case 3 if isinstance(parent, dict):
                parent[f"{key}{draw.choice(['x', 's', '-', '', ' ', 'é', '0'])}"] = parent.pop(key)
            case 4 if isinstance(parent[key], dict):
                parent[key][draw.choice([*TASK.keys, *FLOW.keys])] = copy.deepcopy(draw.choice(ODD + pieces))
            case _ if isinstance(parent, list):
                parent.insert(0, copy.deepcopy(parent[key]))
    return document


def scratched(text: str, draw: random.Random) -> str:
    """Return a text in which characters and lines came, went and moved."""
    for _ in range(draw.choice([1, 1, 2, 4])):
        place, lines = draw.randrange(len(text) + 1), text.split("\n")
        one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
        match draw.randrange(4):
            case 0:
                text = text[:place] + draw.choice(BITS) + text[place:]
                continue
            case 1:
                text = text[:place] + text[place + draw.choice([1, 2, 5, 30]) :]
                continue
            case 2:
                lines.insert(other, lines[one])
            case 3:
                lines[one] = draw.choice([" ", "  ", "\t", ""]) + lines[one].lstrip()
        text = "\n".join(lines)
    return text


def assert_answers(text: str, file: Path) -> None:
    """Compile a text: it is a flow, or every finding says where it is and can be shown."""

    def resolve(path: str, from_file: str) -> str:
        return (Path(from_file).parent / path).read_text("utf-8")

    began = time.perf_counter()
    diagnostics: tuple[Diagnostic, ...] = ()
    try:
        checked = compile_text(text, str(file), catalogue=CATALOGUE, resolve=resolve)
        generate(optimize(checked.flow).flow, definition=b"", check_inputs=dict)
        diagnostics = checked.diagnostics
    except FlowError as error:
        diagnostics = error.diagnostics
        if not diagnostics:
            raise
    seconds = time.perf_counter() - began
    last = len(text.splitlines()) + 2
    for found in diagnostics:
        assert 0 < found.at.line <= last or found.at.file != str(file), found
        assert found.at.column > 0, found
        assert len(found.what) <= 500, found
    assert render_text(diagnostics, {str(file): text}) or not diagnostics
    assert seconds < SECONDS


@pytest.mark.parametrize("part", range(4))
def test_a_flow_with_broken_nodes_is_answered(part: int) -> None:
    documents = [(file, yaml.load(file.read_text("utf-8"), yaml.BaseLoader)) for file in FILES]
    pieces = [at(document, path) for _, document in documents for path in paths(document)]
    draw = random.Random(SEED + part)
    for number in range(CASES):
        file, document = draw.choice(documents)
        text = yaml.safe_dump(broken(document, pieces, draw), allow_unicode=True, sort_keys=False)
        try:
            assert_answers(text, file)
        except Exception as error:
            pytest.fail(f"seed {SEED + part}, case {number}: {error!r}, of\n{text}")


@pytest.mark.parametrize("part", range(4))
def test_a_flow_that_is_scratched_is_answered(part: int) -> None:
    texts = [(file, file.read_text("utf-8")) for file in FILES]
    draw = random.Random(SEED + 100 + part)
    for number in range(CASES):
        file, text = draw.choice(texts)
        text = scratched(text, draw)
        try:
            assert_answers(text, file)
        except Exception as error:
            pytest.fail(f"seed {SEED + 100 + part}, case {number}: {error!r}, of\n{text}")
