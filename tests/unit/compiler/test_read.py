"""YAML is read as version 1.2 with the place of everything."""

import pytest

from flowbuilder.compiler.findings import Findings
from flowbuilder.compiler.limits import Limits
from flowbuilder.compiler.nodes import Mapping, Scalar
from flowbuilder.compiler.read.origin import ScalarOrigin, places
from flowbuilder.compiler.read.parse import parse
from flowbuilder.compiler.read.scalars import UnusableNumber, prints_otherwise, value_of
from flowbuilder.compiler.read.source import Source


def read(text: str, **limits: int) -> tuple[Mapping, Findings, Source]:
    findings = Findings()
    source = Source(text, "f.yaml")
    node = parse(source, findings, Limits(**limits))
    return node, findings, source  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("12:30:00", "12:30:00"),
        ("2026-01-05", "2026-01-05"),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-7", -7),
        (".5", 0.5),
        ("1.", 1.0),
        ("1.2.3", "1.2.3"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ('!!int "12"', 12),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(written: str, value: object) -> None:
    node, findings, _ = read(f"a: {written}\n")
    scalar = node.get("a")

    assert isinstance(scalar, Scalar)
    assert (type(value_of(scalar)), value_of(scalar)) == (type(value), value)
    assert not findings.errors


@pytest.mark.parametrize("written", [".nan", ".inf", "-.INF", "1e999", "9223372036854775808", "9" * 5000])
def test_a_number_that_no_value_can_hold_is_refused(written: str) -> None:
    with pytest.raises(UnusableNumber):
        value_of(Scalar(written, "", 0, len(written)))


@pytest.mark.parametrize(
    ("text", "loses"),
    [
        ("3.10", True),
        ("0755", True),
        ("+49", True),
        ("3.1", False),
        ("1e3", False),
        ("0x10", False),
        ("0.00001", False),
    ],
)
def test_a_number_that_prints_otherwise_is_found(text: str, loses: bool) -> None:
    assert prints_otherwise(text, value_of(Scalar(text, "", 0, 4))) is loses


def test_keys_are_the_text_that_was_written() -> None:
    node, _, _ = read("{200: ok, true: y, on: z, ~: n}")

    assert list(node.pairs) == ["200", "true", "on", "~"]


@pytest.mark.parametrize(
    "written",
    [
        "a: plain ${{ x }} text",
        "a: 'it''s ${{ x }}'",
        'a: "tab\\t and \\u00e9 ${{ x }}"',
        "a: several\n   lines\n   ${{ x }}",
        "a: |\n  first\n    second\n\n  ${{ x }}\n",
        "a: >-\n  folded\n  text\n\n  ${{ x }}\n",
        "a: 'quoted\n\n   and folded ${{ x }}'",
        "a: |2\n    deep ${{ x }}\n",
        "ä: 'ö 😀 ${{ x }}'",
    ],
)
def test_the_way_back_from_a_value_leads_to_its_text(written: str) -> None:
    node, _, source = read(written)
    (scalar,) = [value for _, value in node.pairs.values()]
    assert isinstance(scalar, Scalar)
    at = scalar.text.index("${{ x }}")

    span = ScalarOrigin(source, scalar).span(at, at + len("${{ x }}"))
    found = source.index(span.line, span.column)

    assert source.text[found : found + len("${{ x }}")] == "${{ x }}"
    assert len(places(source.text, scalar)) == len(scalar.text)


def test_line_ends_and_a_byte_order_mark_make_no_difference() -> None:
    one, _, _ = read("\ufeffa: 1\r\nb: 2\r\n")
    two, _, _ = read("a: 1\nb: 2\n")

    assert [(k, v[1].start) for k, v in one.pairs.items()] == [(k, v[1].start) for k, v in two.pairs.items()]


def test_a_merge_gives_way_to_what_is_written() -> None:
    node, findings, _ = read("x: &x {a: 1, b: 2}\ny: {b: 3, <<: *x}\nz: {<<: [*x, {c: 4}], a: 5}\n")

    assert not findings.errors
    assert {k: v[1].text for k, v in node.get("y").pairs.items()} == {"b": "3", "a": "1"}  # type: ignore
    assert {k: v[1].text for k, v in node.get("z").pairs.items()} == {"a": "5", "b": "2", "c": "4"}  # type: ignore


def test_an_alias_bomb_is_refused_before_anything_is_expanded() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 64)]
    node, findings, _ = read("\n".join(lines))

    assert node is None
    assert [d.code for d in findings.ordered([])] == ["FB109"]


def test_no_nesting_is_too_deep_to_be_refused() -> None:
    node, findings, _ = read("[" * 200_000)

    assert node is None
    assert [d.code for d in findings.ordered([])] == ["FB109"]


def test_a_file_beyond_the_limit_is_refused_with_the_setting_that_raises_it() -> None:
    _, findings, _ = read("a: " + "x" * 100, source_bytes=50)

    (found,) = findings.ordered([])
    assert "limits.source_bytes" in found.hints[0]
