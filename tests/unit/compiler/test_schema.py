"""The JSON Schema of the language agrees with the reader."""

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from flowbuilder.compiler.findings import Findings
from flowbuilder.compiler.limits import DEFAULT_LIMITS
from flowbuilder.compiler.nodes import Mapping, Node, Scalar, Sequence
from flowbuilder.compiler.pipeline import compile_text
from flowbuilder.compiler.read.parse import parse
from flowbuilder.compiler.read.scalars import value_of
from flowbuilder.compiler.read.source import Source
from flowbuilder.compiler.schema import language_schema
from flowbuilder.core.errors import FlowError
from flowbuilder.tasks.catalogue import CATALOGUE
from flowbuilder.tasks.registry import catalogue

SCHEMA = language_schema(CATALOGUE)
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)
ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(path for path in ROOT.glob("examples/**/*.yaml") if ".test." not in path.name)
SHAPES = ("FB201", "FB202", "FB205", "FB206", "FB207", "FB209", "FB212")
"""Codes that are about the shape of a file, which a schema can tell."""
BROKEN = sorted(path for path in ROOT.glob("tests/golden/errors/*.yaml") if path.name[:5] in SHAPES)


def as_editors_see_it(file: Path) -> Any:
    """Return a file's value under YAML 1.2, where `on` is a text."""
    node = parse(Source(file.read_text(), file.name), Findings(), DEFAULT_LIMITS)
    assert node is not None
    return _plain(node)


def _plain(node: Node) -> Any:
    if isinstance(node, Mapping):
        return {key: _plain(value) for key, (_, value) in node.pairs.items()}
    if isinstance(node, Sequence):
        return [_plain(item) for item in node.items]
    assert isinstance(node, Scalar)
    return value_of(node)


def test_it_is_a_schema() -> None:
    jsonschema_rs.meta.validate(SCHEMA)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda path: path.parent.name + "/" + path.name)
def test_a_flow_that_compiles_fits_it(file: Path) -> None:
    own = (file.parent / "plugins").is_dir()
    schema = language_schema(catalogue(file.parent)) if own else SCHEMA
    validator = jsonschema_rs.Draft202012Validator(schema)

    errors = [f"{e.instance_path} {e.message[:200]}" for e in validator.iter_errors(as_editors_see_it(file))]

    assert errors == []


@pytest.mark.parametrize("file", BROKEN, ids=lambda path: path.stem)
def test_a_flow_of_a_wrong_shape_does_not_fit_it(file: Path) -> None:
    with pytest.raises(FlowError):
        compile_text(file.read_text(), file.name, catalogue=CATALOGUE)

    assert not VALIDATOR.is_valid(as_editors_see_it(file))


def test_every_key_is_described() -> None:
    task = SCHEMA["$defs"]["task"]["properties"]

    assert all(part.get("description") for part in (*SCHEMA["properties"].values(), *task.values()))
    assert set(SCHEMA["$defs"]["task"]["properties"]["type"]["oneOf"][0]) == {"const", "description"}
