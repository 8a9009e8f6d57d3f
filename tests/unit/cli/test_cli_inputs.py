"""Texts of the command line become values of the inputs' types."""

from pathlib import Path
from typing import Any

import pytest

from flowbuilder.cli.inputs import from_text, gather_inputs
from flowbuilder.cli.parsing import UsageError
from flowbuilder.compiler.ir import Input
from flowbuilder.core.errors import InputError
from flowbuilder.core.span import NOWHERE

DECLARED = [
    Input("day", NOWHERE, {"type": "string", "format": "date"}, True),
    Input("limit", NOWHERE, {"type": "integer"}, False, 100),
    Input("tags", NOWHERE, {"type": "array"}, False, []),
]


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("3", {"type": "integer"}, 3),
        ("3", {"type": "string"}, "3"),
        ("3.5", {"type": "number"}, 3.5),
        ("true", {"type": "boolean"}, True),
        ("true", {"type": "string"}, "true"),
        ("null", {"type": ["string", "null"]}, None),
        ("nil", {"type": ["string", "null"]}, "nil"),
        ("7", {"type": ["string", "integer"]}, 7),
        ('["a", 1]', {"type": "array"}, ["a", 1]),
        ('{"a": 1}', {"type": "object"}, {"a": 1}),
        ("2026-01-05", {"type": "string", "format": "date"}, "2026-01-05"),
        ("", {"type": "string"}, ""),
        ("7", {}, 7),
        ("seven", {}, "seven"),
        ("7", {"enum": ["7", "8"]}, "7"),
        ("a=b", {"type": "string"}, "a=b"),
    ],
)
def test_a_text_becomes_what_the_schema_says(text: str, schema: dict[str, Any], value: object) -> None:
    converted = from_text(text, schema)

    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("three", "integer"),
        ("3.5", "integer"),
        ("1_0", "integer"),
        ("True", "boolean"),
        ("1", "boolean"),
        ("NaN", "number"),
        ("Infinity", "number"),
        ("[1", "array"),
        ("[" * 5000, "array"),
        ("{}", "array"),
    ],
)
def test_a_text_of_another_type_is_refused(text: str, kind: str) -> None:
    with pytest.raises(ValueError, match=f"is no {kind}"):
        from_text(text, {"type": kind})


def test_pairs_win_over_the_file_and_the_last_pair_over_the_first(tmp_path: Path) -> None:
    file = tmp_path / "inputs.json"
    file.write_text('{"day": "2026-01-01", "limit": 1}')

    assert gather_inputs(DECLARED, ["limit=2", "limit=3"], str(file), fits) == {
        "day": "2026-01-01",
        "limit": 3,
    }


def fits(_inputs: object) -> None:
    """Find nothing wrong."""


def test_what_breaks_a_schema_is_named_beside_texts_of_a_wrong_type() -> None:
    def check(inputs: object) -> None:
        raise InputError([("$.day", "is required"), ("$.limit", "is required")])

    with pytest.raises(InputError) as caught:
        gather_inputs(DECLARED, ["limit=few"], None, check)

    assert [path for path, _ in caught.value.violations] == ["$.limit", "$.day"]


def test_all_texts_of_a_wrong_type_are_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        gather_inputs(DECLARED, ["limit=few", "tags=none"], None, fits)

    assert [path for path, _ in caught.value.violations] == ["$.limit", "$.tags"]


@pytest.mark.parametrize(
    ("pairs", "message", "hint"),
    [
        (["limt=3"], "there is no input 'limt'", "did you mean 'limit'?"),
        (["zebra=3"], "there is no input 'zebra'", "its inputs are day, limit, tags"),
        (["limit"], "'limit' is no input: write 'limit=VALUE'", ""),
    ],
)
def test_a_pair_that_names_no_input_is_a_mistake(pairs: list[str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        gather_inputs(DECLARED, pairs, None, fits)

    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize("content", ["", "[1]", "{", "\udcff"])
def test_a_file_that_holds_no_inputs_is_a_mistake(tmp_path: Path, content: str) -> None:
    file = tmp_path / "inputs.json"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))

    with pytest.raises(UsageError):
        gather_inputs(DECLARED, [], str(file), fits)


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        gather_inputs(DECLARED, [], str(tmp_path / "none.json"), fits)
