"""Whatever is written: diagnostics, never a traceback, never a hang."""

from __future__ import annotations

import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from flowbuilder.compiler.codegen import generate
from flowbuilder.compiler.costs import estimate
from flowbuilder.compiler.explain import FORMATS, explain, render
from flowbuilder.compiler.findings import Findings
from flowbuilder.compiler.inputs import input_checker
from flowbuilder.compiler.limits import DEFAULT_LIMITS, Limits
from flowbuilder.compiler.nodes import Broken, Mapping, Node, Scalar, Sequence
from flowbuilder.compiler.passes import optimize
from flowbuilder.compiler.pipeline import Checked, compile_text
from flowbuilder.compiler.read.origin import places
from flowbuilder.compiler.read.parse import parse
from flowbuilder.compiler.read.source import Source
from flowbuilder.compiler.render import render_text
from flowbuilder.core.errors import FlowError
from flowbuilder.tasks.catalogue import CATALOGUE
from strategies import Case, cases

WORDS = [
    *("flow: x\n", "tasks:\n", "  a:\n", "    type: set\n", "    with: ", "type", "with", "needs", "if: "),
    *(
        "run: ",
        "for_each: ",
        "retry: ",
        "on_error: ",
        "{",
        "}",
        "[",
        "]",
        ": ",
        ", ",
        "- ",
        "\n",
        "  ",
        "    ",
    ),
    *("${{ ", " }}", "{{", "}}", "tasks.a.output", "inputs.x", "secrets.T", "'", '"', "|", ">-", "#", " #"),
    *("&a ", "*a", "!!str ", "!x ", "<<: ", "---\n", "...\n", "%YAML 1.2\n", "\t", "\\", "\\x", "? ", "010"),
    *(".nan", "1e999", "3.10", "null", "true", "0x", "é", "\U0001f600", "\u2028", "\x85", "\ufeff", "\r\n"),
    *(
        "group",
        "http",
        "shell",
        "switch",
        "sleep",
        "flow",
        "defaults: ",
        "inputs:\n",
        "vars:\n",
        "outputs:\n",
    ),
]
SCRAPS = st.lists(st.sampled_from(WORDS), max_size=60).map("".join)
LIMITS = Limits(source_bytes=100_000, nodes=20_000)


def diagnose(text: str) -> str:
    """Return what is said of a text, as it would be printed."""
    try:
        checked = compile_text(text, "f.yaml", catalogue=CATALOGUE, resolve=_nothing, limits=LIMITS)
    except FlowError as error:
        said = render_text(error.diagnostics, {"f.yaml": text})
    else:
        finish(checked)
        return render_text(checked.diagnostics, checked.sources)
    assert said
    return said


def finish(checked: Checked) -> None:
    """Take a flow that holds together through the rest of the compiler."""
    optimized = optimize(checked.flow)
    for flow in (checked.flow, optimized.flow):
        assert generate(flow, definition=b"", check_inputs=input_checker(flow)).list_code() is not None
    explanation = explain(checked.flow, optimized, estimate(optimized.flow))
    assert all(render(explanation, optimized.flow, format) for format in FORMATS)


def _nothing(path: str, _from_file: str) -> str:
    raise FileNotFoundError(path)


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_gets_an_answer(text: str) -> None:
    diagnose(text)


@given(SCRAPS)
@settings(max_examples=200, deadline=None)
def test_scraps_of_flows_get_an_answer(text: str) -> None:
    diagnose(text)


@given(SCRAPS)
@settings(max_examples=100, deadline=None)
def test_scraps_inside_a_flow_get_an_answer(text: str) -> None:
    diagnose("flow: x\ntasks:\n  a:\n    type: set\n    with: " + text)


KEYS = st.sampled_from(
    [
        *(
            "flow",
            "tasks",
            "inputs",
            "vars",
            "secrets",
            "env",
            "defaults",
            "outputs",
            "on_failure",
            "finally",
        ),
        *(
            "type",
            "with",
            "run",
            "needs",
            "if",
            "for_each",
            "as",
            "retry",
            "timeout",
            "on_error",
            "a",
            "b",
            "types",
        ),
        *(
            "cases",
            "when",
            "value",
            "path",
            "name",
            "url",
            "headers",
            "command",
            "call",
            "args",
            "for",
            "until",
        ),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats()
    | st.sampled_from(
        ["a", "set", "http", "group", "${{ tasks.a.output }}", "x ${{ inputs.n }} y", "10s", "10"]
    )
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)
FLOWS = st.fixed_dictionaries(
    {
        "flow": st.just("x") | VALUES,
        "tasks": st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=6), max_size=4),
    },
    optional={
        key: VALUES
        for key in (
            "inputs",
            "vars",
            "secrets",
            "env",
            "defaults",
            "outputs",
            "on_failure",
            "finally",
            "timeout",
        )
    },
)


@given(FLOWS)
@settings(max_examples=200, deadline=None)
def test_any_structure_gets_an_answer(flow: object) -> None:
    diagnose(yaml.safe_dump(flow, allow_unicode=True))


@given(SCRAPS)
@settings(max_examples=100, deadline=None)
def test_an_answer_is_always_the_same(text: str) -> None:
    assert diagnose(text) == diagnose(text)


TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]) | st.just("\n"), max_size=60
)


@given(
    st.recursive(
        TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
    ),
    st.sampled_from([None, '"', "'", "|", ">"]),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_what_yaml_writes_is_read_back_as_text_with_its_places(
    value: object, style: str | None, flow: bool
) -> None:
    text = yaml.safe_dump(value, allow_unicode=True, default_style=style, default_flow_style=flow, width=20)
    source, findings = Source(text, "f.yaml"), Findings()
    node = parse(source, findings, DEFAULT_LIMITS)

    # some characters YAML does not know at all
    assume(not any("may not stand in YAML" in d.what for d in findings.found))
    assert node is not None
    assert _plain(node, source) == value


def _plain(node: Node, source: Source) -> object:
    """Return the texts of a tree; each character must have a place in the file, in order."""
    match node:
        case Scalar():
            found = list(places(source.text, node))
            assert len(found) == len(node.text)
            assert found == sorted(found)
            assert all(0 <= place <= len(source.text) for place in found)
            return node.text
        case Sequence():
            return [_plain(item, source) for item in node.items]
        case Mapping():
            return {key: _plain(value, source) for key, (_, value) in node.pairs.items()}
        case Broken():
            raise AssertionError("a key that is too long for YAML")


# -- flows that hold together, and one thing changed ----------------------------------------


@given(cases(), st.data())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_a_good_flow_with_a_piece_cut_out_moved_or_put_in_gets_an_answer(
    case: Case, data: st.DataObject
) -> None:
    text = case.text
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 8)))
        text = text[:start] + data.draw(st.sampled_from(WORDS) | st.just("")) + text[end:]

    diagnose(text)
