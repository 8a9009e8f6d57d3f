"""Whatever is written as an expression: a value, an error of its kind, or diagnostics; and the plain evaluator agrees."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowbuilder.compiler.expressions import (
    ExpressionSyntaxError,
    parse_condition,
    parse_expression,
    parse_template,
)
from flowbuilder.compiler.expressions.parse import KEYWORDS, ROOTS
from flowbuilder.core import values
from flowbuilder.core.errors import ExpressionError, OutputError
from flowbuilder.core.functions.table import FUNCTIONS
from flowbuilder.testing.flows import run_flow
from formulas import LINE, Kind, Refused, evaluate, run
from oracle.evaluate import Failure
from oracle.evaluate import evaluate as plainly

pytestmark = pytest.mark.timeout(110)

INPUTS: dict[str, Any] = {
    "n": 3,
    "zero": 0,
    "f": 2.5,
    "flag": True,
    "word": "abc",
    "none": None,
    "xs": [1, 2, 3],
    "empty": [],
    "rows": [{"id": 1, "to": "a"}, {"id": 2, "to": None}],
    "m": {"a": 1, "b": {"c": [4, 5]}, "7": "seven"},
}
bounded = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

# -- soup: tokens in any order ---------------------------------------------------------

TOKENS = st.sampled_from(
    [
        *(
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ",",
            ":",
            ".",
            "|",
            "=",
            "==",
            "!=",
            "<",
            "<=",
            ">",
            ">=",
            "+",
            "-",
            "*",
        ),
        *(
            "/",
            "//",
            "%",
            "**",
            "!",
            "&",
            "&&",
            "||",
            "<<",
            ":=",
            "->",
            "~",
            "^",
            "@",
            ";",
            "`",
            "$",
            "\\",
            "#",
        ),
        *(
            "0",
            "1",
            "2.5",
            "1e3",
            "1e999",
            "9223372036854775808",
            "99999999999999999999",
            "0x1",
            "1_0",
            "'a'",
        ),
        *(
            '"b"',
            "''",
            "'",
            '"',
            "'\\",
            "'\\x",
            "'\n'",
            "'}}'",
            "f'{x}'",
            "é",
            "ſecrets",
            "\x00",
            "\u2028",
            "😀",
        ),
        *(
            "true",
            "false",
            "null",
            "None",
            "undefined",
            "lambda",
            "yield",
            "await",
            "async",
            "import",
            "__class__",
        ),
        *(
            "__import__",
            "__builtins__",
            "x",
            "y",
            "_",
            "_b",
            "v0",
            "s",
            "e",
            "inputs",
            "inputs.xs",
            "inputs.m.a",
        ),
        *("item", "tasks", "secrets", " ", "\n", "\t", "${{", "}}", "{{", "not in", "is null", "is not null"),
        *sorted(KEYWORDS),
        *sorted(ROOTS),
        *sorted(FUNCTIONS),
    ]
)
SOUP = st.lists(TOKENS, max_size=40).map(" ".join) | st.lists(TOKENS, max_size=40).map("".join)


def answer(text: str, names: dict[str, Any] | None = None) -> list[str]:
    """Return the codes or the kind of what is wrong with a text; nothing for one that has a value.

    What is no answer comes back as it is, for a test to fail on.
    """
    try:
        evaluate(text, names or {"inputs": INPUTS}, steps=20_000)
    except (ExpressionSyntaxError, Refused) as error:
        return [found.code if found.what else repr(found) for found in error.diagnostics] or ["nothing"]
    except ExpressionError as error:
        return [error.kind if error.message.startswith("e:1:") else error.message]
    return []


def is_answer(found: list[str]) -> bool:
    return all(re.fullmatch(r"FB3\d\d|expression\.(missing|type|value|limit)", one) for one in found)


@given(SOUP)
@settings(bounded, max_examples=600)
def test_tokens_in_any_order_get_an_answer(text: str) -> None:
    assert is_answer(answer(text))


@given(st.text(max_size=60))
@settings(bounded, max_examples=300)
def test_any_text_gets_an_answer(text: str) -> None:
    assert is_answer(answer(text))
    for read in (parse_template, parse_condition):
        with contextlib.suppress(ExpressionSyntaxError):
            read("${{" + text + "}}", LINE)


# -- drawn by the grammar --------------------------------------------------------------

SAFE = "len", "sum", "sorted", "str", "reversed"
"""What the plain evaluator knows as well."""
NAMES = st.sampled_from([f"inputs.{name}" for name in INPUTS])
LITERALS = st.sampled_from(
    [
        "0",
        "1",
        "2",
        "-1",
        "3.5",
        "'a'",
        "''",
        "'abc'",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        "[1, 2]",
        "{'a': 1}",
    ]
)


def expressions(functions: st.SearchStrategy[str], loops: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    """Draw expressions that can be read; what they are of is any kind, so that many fail."""
    atoms = NAMES | LITERALS | NAMES | (st.sampled_from(loops) if loops else NAMES)

    def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        two = st.tuples(inner, inner)
        three = st.tuples(inner, inner, inner)
        operators = st.sampled_from(["+", "-", "*", "/", "//", "%"])
        comparing = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"])
        return st.one_of(
            st.tuples(inner, operators, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
            inner.map(lambda x: f"({x}) ** 2"),
            inner.map(lambda x: f"-({x})"),
            inner.map(lambda x: f"(not {x})"),
            st.tuples(inner, comparing, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
            st.tuples(inner, comparing, inner, comparing, inner).map(lambda t: f"({' '.join(t)})"),
            inner.map(lambda x: f"({x} is null)"),
            inner.map(lambda x: f"({x} is not null)"),
            two.map(lambda t: f"({t[0]} and {t[1]})"),
            two.map(lambda t: f"({t[0]} or {t[1]})"),
            three.map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
            st.tuples(inner, st.sampled_from(["a", "b", "id", "nope", "items"])).map(
                lambda t: f"({t[0]}).{t[1]}"
            ),
            two.map(lambda t: f"({t[0]})[{t[1]}]"),
            inner.map(lambda x: f"({x})['a']"),
            inner.map(lambda x: f"({x})[1:]"),
            two.map(lambda t: f"({t[0]})[:{t[1]}]"),
            st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
            two.map(lambda t: "{" + f"{t[0]}: {t[1]}" + "}"),
            st.tuples(functions, inner).map(lambda t: f"{t[0]}({t[1]})"),
            st.tuples(inner, functions).map(lambda t: f"({t[0]} | {t[1]})"),
            two.map(lambda t: f"({t[0]} | default({t[1]}))"),
            st.tuples(NAMES, inner).map(lambda t: f"({t[0]}.nope.x | default({t[1]}))"),
            inner.map(lambda x: f"exists({x})"),
            three.map(lambda t: f"[[x, {t[0]}] for x in {t[1]} if {t[2]}]"),
            two.map(lambda t: f"[{t[0]} for x in {t[1]} for y in [x, 1]]"),
            three.map(lambda t: "{" + f"x: {t[0]} for x in {t[1]} if x != {t[2]}" + "}"),
            inner.map(lambda x: f"[k for k, v in [[{x}, 1], [2, 3]]]"),
        )

    return st.recursive(atoms, grown, max_leaves=10)


class _Inputs:
    """Names for the plain evaluator."""

    def name(self, id: str) -> Any:
        return {"inputs": INPUTS}[id]

    def task(self, id: str, field: str) -> Any:
        raise AssertionError(id)

    def var(self, id: str) -> Any:
        raise AssertionError(id)


def told(value: Any) -> Any:
    """Return a value with its kinds, so that 1, 1.0 and true differ."""
    if type(value) is list:
        return [told(item) for item in value]
    if type(value) is dict:
        return [(key, told(item)) for key, item in value.items()]
    return type(value).__name__, repr(value)


@given(expressions(st.sampled_from(SAFE)))
@settings(bounded, max_examples=1_000)
def test_generated_code_yields_what_a_plain_evaluator_does(text: str) -> None:
    expr = parse_expression(text, LINE)
    expected: Any
    try:
        expected = told(plainly(expr, _Inputs()))
    except Failure as failure:
        expected = Kind(failure.kind)

    found: Any
    try:
        found = told(run(expr, {"inputs": INPUTS}))
    except ExpressionError as error:
        found = Kind(error.kind)

    assert found == expected


ALL = [name for name in FUNCTIONS if name not in ("default", "exists")]


@given(expressions(st.sampled_from(ALL)))
@settings(bounded, max_examples=600)
def test_any_function_of_any_value_gets_an_answer(text: str) -> None:
    assert is_answer(answer(text))


@given(
    st.sampled_from(sorted(FUNCTIONS)),
    st.lists(
        NAMES | LITERALS | st.sampled_from(["now()", "days(1)", "today()", "10 ** 18", "1e308"]), max_size=4
    ),
    st.sampled_from(["", "by='id'", "default=0", "reverse=true", "start=1"]),
)
@settings(bounded, max_examples=1_000)
def test_a_function_takes_any_arguments_or_says_why_not(name: str, args: list[str], named: str) -> None:
    assert is_answer(answer(f"{name}({', '.join([*args, named] if named else args)})"))


@given(st.text(alphabet="abc()[]{}*+?|\\^$.-1,09é", max_size=20), st.text(alphabet="abcé\n ", max_size=20))
@settings(bounded, max_examples=300)
def test_any_pattern_over_any_text_gets_an_answer(pattern: str, value: str) -> None:
    for text in (
        "matches(inputs.v, inputs.p)",
        "find_all(inputs.v, inputs.p)",
        "re_split(inputs.v, inputs.p)",
        "re_replace(inputs.v, inputs.p, inputs.p)",
    ):
        assert is_answer(answer(text, {"inputs": {"v": value, "p": pattern}}))


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8"), max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4)
        ),
    )
)
@settings(bounded, max_examples=300)
def test_what_is_written_as_json_is_read_back(value: Any) -> None:
    assert told(evaluate("from_json(to_json(inputs.v))", {"inputs": {"v": value}})) == told(value)


@given(st.text(st.characters(codec="utf-8"), max_size=40))
@settings(bounded, max_examples=200)
def test_what_is_encoded_is_decoded_again(value: str) -> None:
    data = {"inputs": {"v": value}}

    assert evaluate("base64_decode(base64_encode(inputs.v))", data) == value
    assert evaluate("urldecode(urlencode(inputs.v))", data) == value
    assert evaluate("'-'.join(list(inputs.v)).split('-') | join('')", data) == value.replace("-", "")


# -- the same in a flow ------------------------------------------------------------------

SCHEMAS = {name: {"default": value} for name, value in INPUTS.items()}


async def in_a_flow(text: str) -> Any:
    """Return what an expression yields as a variable, as a task's value, and inside of a condition."""
    whole = "${{ " + text + " }}"
    flow = {
        "flow": "f",
        "inputs": SCHEMAS,
        "vars": {"v": whole},
        "tasks": {
            "a": {"type": "set", "with": whole},
            "b": {"type": "set", "with": ["${{ tasks.a.output }}", "${{ vars.v }}"]},
            "c": {"type": "set", "with": whole, "if": f"{text} == {text} or true"},
        },
        "outputs": {"a": "${{ tasks.a.output }}", "b": "${{ tasks.b.output }}", "c": "${{ tasks.c.output }}"},
    }
    run = await run_flow(yaml.safe_dump(flow, allow_unicode=True, width=10_000))
    if run.outputs is not None:
        return told([run.outputs["a"], run.outputs["b"], run.outputs["c"]])
    assert run.error is not None
    return Kind(run.error["kind"])


FIXED = [name for name in ALL if name not in ("now", "today", "uuid")]


@given(expressions(st.sampled_from(FIXED)))
@settings(bounded, max_examples=120)
def test_an_expression_is_the_same_in_a_flow_that_runs(text: str) -> None:
    expected: Any
    try:
        value = values.plain(evaluate(text, {"inputs": INPUTS}))
        expected = told([value, [value, value], value])
    except (ExpressionError, OutputError) as error:
        expected = Kind(error.kind)
    except Refused:
        return

    assert asyncio.run(in_a_flow(text)) == expected
