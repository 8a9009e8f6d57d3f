"""Expressions made to hang, to fill the memory or to overflow the stack: each ends at a limit, at once.

What other evaluators of expressions have had to learn is among the cases.
The memory of the process is bounded while they run: what is counted before it
is made never comes near that bound.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from typing import Any

import pytest

from flowbuilder.compiler.expressions import ExpressionSyntaxError
from flowbuilder.compiler.pipeline import compile_text
from flowbuilder.core.errors import ExpressionError, FlowError
from flowbuilder.tasks.catalogue import CATALOGUE
from flowbuilder.testing.flows import run_flow
from formulas import Context, Refused, evaluate, write_out

pytestmark = pytest.mark.timeout(60)

TEXT = "a" * (8 << 20)
LIKE_IT = TEXT[:-1] + "a"


def doubled(levels: int) -> list[Any]:
    """Return a list of few bytes that is written out as 2 ** levels elements."""
    value: list[Any] = [1, 1]
    for _ in range(levels):
        value = [value, value]
    return value


DATA = {
    "inputs": {
        "t": TEXT,
        "u": LIKE_IT,
        "umlauts": "é" * 500_000,
        "xs": list(range(1_000_000)),
        "zeros": [0] * 1_000_000,
        "d": doubled(50),
        "e": doubled(50),
        "words": ["a" * 100_000 + str(number) for number in range(1_000)],
        "m": {f"key{number}": number for number in range(100_000)},
        "deep": {"a": doubled(60)},
    }
}


@pytest.fixture
def scarce_memory() -> Iterator[None]:
    """Let the process grow by 1 GiB and no more."""
    with open("/proc/self/statm", encoding="ascii") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 30), hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def ends_at_a_limit(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, DATA)

    assert caught.value.kind == "expression.limit", caught.value
    assert "the value would be too large" not in caught.value.message  # a MemoryError, seen too late
    assert len(caught.value.message) <= 1_000


@pytest.mark.usefixtures("scarce_memory")
@pytest.mark.parametrize(
    "text",
    [
        "9 ** 9 ** 9",
        "2 ** 1000000000",
        "(-2) ** 9223372036854775807",
        "10.0 ** 10000",
        "[9 ** 9 ** 9 for x in range(10)]",
        "9223372036854775807 * 9223372036854775807",
        "range(1000000000000)",
        "range(-9223372036854775808, 9223372036854775807)",
        "len(range(1000001))",
        "[x for x in range(1000) for y in range(1000) for z in range(1000)]",
        "sum(1 for x in inputs.xs for y in inputs.xs)",
        "[range(1000000) for x in range(1000)]",
        "{str(x): range(100000) for x in range(1000)}",
    ],
)
def test_numbers_and_loops_without_end(text: str) -> None:
    ends_at_a_limit(text)


@pytest.mark.usefixtures("scarce_memory")
@pytest.mark.parametrize(
    "text",
    [
        "inputs.t + inputs.u",
        "[inputs.t[1:] + 'x' for x in range(1000)]",
        "[inputs.t[x:] for x in range(1000)]",
        "[inputs.xs[x:] for x in range(1000)]",
        "[inputs.xs + [x] for x in range(1000)]",
        "[inputs.xs[:500000] + inputs.xs[:1] for x in range(1000)]",
        "['a'.ljust(10000) for x in range(400000)]",
        "['a'.rjust(10000, '.') for x in range(400000)]",
        "['1'.zfill(10000) for x in range(400000)]",
        "[fixed(1e308, 20) for x in range(900000)]",
        "[truncate(inputs.t, 8000000) for x in range(1000)]",
        "[reversed(inputs.t) for x in range(1000)]",
        "[upper(inputs.t) for x in range(1000)]",
        "[str(inputs.xs) for x in range(1000)]",
        "[to_json(inputs.xs) for x in range(1000)]",
        "[base64_encode(inputs.t) for x in range(1000)]",
        "[urlencode(inputs.t) for x in range(1000)]",
        "[html_escape(inputs.t) for x in range(1000)]",
        "[list(inputs.m) for x in range(1000)]",
        "[merge(inputs.m) for x in range(1000)]",
        "[inputs.m.items() for x in range(1000)]",
        "[sorted(inputs.xs) for x in range(1000)]",
        "[basename(inputs.t) for x in range(1000)]",
        "replace(inputs.t, '', 'bb')",
        "replace(inputs.t[:10000], '', inputs.t[:10000])",
        "re_replace(inputs.t[:10000], '', inputs.t[:10000])",
        "re_replace(inputs.t[:100000], 'a', inputs.t[:1000])",
        "join(inputs.words, inputs.t)",
        "join([inputs.xs, inputs.xs, inputs.xs], ',')",
        "inputs.t.join(['', '', ''])",
        "split(inputs.t, 'a')",
        "flatten([inputs.xs, inputs.xs])",
        "matrix(a=inputs.xs, b=inputs.xs)",
        "matrix(a=range(1000), b=range(1000), c=range(1000))",
        "zip(inputs.xs, inputs.xs, inputs.xs)",
        "enumerate(inputs.xs)",
        "urlencode({'a': inputs.xs, 'b': inputs.xs})",
        "[html_escape(inputs.t[:4000000]) for x in range(99)]",
        "[[" + "x, " * 3_000 + "x] for x in range(900000)]",
        "[{" + ", ".join(f"'k{number}': x" for number in range(900)) + "} for x in range(900000)]",
        "[" + " + ".join(["x"] * 190) + " for x in range(900000)]",
        "[" + ", ".join(["inputs.t[1:] + 'x'"] * 500) + "]",
        "[" + ", ".join(["inputs.xs + [1]"] * 500) + "]",
        "merge({'a': [" + ", ".join(["str(inputs.xs)"] * 500) + "]})",
    ],
)
def test_texts_and_lists_that_would_fill_the_memory(text: str) -> None:
    ends_at_a_limit(text)


@pytest.mark.usefixtures("scarce_memory")
@pytest.mark.parametrize(
    "text",
    [
        "len([1 for x in range(900000) if x in inputs.xs])",
        "[x for x in inputs.xs if x in inputs.xs]",
        "[1 for x in range(100000) if inputs.t == inputs.u]",
        "[1 for x in range(100000) if inputs.t != inputs.u]",
        "[1 for x in range(100000) if inputs.t < inputs.u]",
        "[1 for x in range(100000) if inputs.t <= inputs.u <= inputs.t]",
        "[1 for x in range(100000) if inputs.t in [inputs.u]]",
        "[1 for x in range(100000) if 'b' in inputs.t]",
        "[1 for x in range(100000) if inputs.t.startswith(inputs.u)]",
        "[1 for x in range(100000) if inputs.t.endswith(inputs.words)]",
        "[any(inputs.zeros) for x in range(100000)]",
        "[all([1] + inputs.xs) for x in range(100000)]",
        "[max(inputs.xs) for x in range(100000)]",
        "[sum(inputs.xs) for x in range(100000)]",
        "[inputs.xs.count(x) for x in inputs.xs]",
        "[inputs.xs.index(999999) for x in range(100000)]",
        "[inputs.t.count('b') for x in range(100000)]",
        "[unique(inputs.xs) for x in range(1000)]",
        "[sha256(inputs.t) for x in range(100000)]",
        "[digest(inputs.xs) for x in range(1000)]",
        "[pick({}, inputs.words) for x in range(100000)]",
        "[omit({}, inputs.words) for x in range(100000)]",
        "sorted([inputs.t for x in range(20000)])",
        "max([inputs.t for x in range(20000)])",
        "max([[inputs.t] for x in range(20000)] | flatten)",
        "[format_date(date('2026-01-05'), '" + "%A" * 400 + "') for x in range(100000)]",
        "[url_parse('http://h/?' + '" + "a=b&" * 400 + "') for x in range(100000)]",
        "url_parse('http://h/?' + inputs.t.replace('a', '&')[:8000000])",
    ],
)
def test_work_without_end_behind_few_loops(text: str) -> None:
    ends_at_a_limit(text)


@pytest.mark.usefixtures("scarce_memory")
@pytest.mark.parametrize(
    "text",
    [
        "inputs.d == inputs.e",
        "inputs.d != inputs.e",
        "inputs.d in [inputs.e]",
        "[inputs.d].count(inputs.e)",
        "[inputs.d].index(inputs.e)",
        "unique([inputs.d, inputs.e])",
        "unique([{'k': inputs.d}, {'k': inputs.e}], by='k')",
        "to_json(inputs.d)",
        "str(inputs.d)",
        "digest(inputs.d)",
        "join([inputs.d])",
        "urlencode({'a': inputs.d})",
        "to_json(inputs.deep)",
    ],
)
def test_shared_parts_that_double_at_each_level(text: str) -> None:
    ends_at_a_limit(text)


def test_doubling_in_a_longer_text_ends_too() -> None:
    with pytest.raises(ExpressionError, match="more steps"):
        write_out("x ${{ inputs.d }}", DATA)


@pytest.mark.usefixtures("scarce_memory")
@pytest.mark.parametrize(
    "text",
    [
        "matches(inputs.t, '(a+)+$')",
        "matches(inputs.t, '(x+x+)+y')",
        r"matches(inputs.t, '\s*\s*\s*$')",
        "matches(inputs.umlauts, '.{0,999}y')",
        "matches(inputs.umlauts, '(.?){500}y')",
        "find_all(inputs.umlauts, '(a|b|.){0,300}y')",
        "re_split(inputs.umlauts, '.{0,999}y')",
        "re_replace(inputs.umlauts, '.{0,999}y', '')",
        "[matches('a', str(x) + '(a{9,99}){9}') for x in range(100000)]",
        r"[matches('a', str(x) + '\\pL{100}') for x in range(100000)]",
    ],
)
def test_patterns_that_other_engines_never_come_back_from(text: str) -> None:
    ends_at_a_limit(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("matches('a' | ljust(26, 'a') + '!', '(a+)+$')", False),
        (r"matches('x'.rjust(1200) + '!', '\s*\s*\s*$')", True),
        ("matches(inputs.t[:100000] + '!', '^(a|a)*$')", False),
        ("matches(inputs.t[:100000], '^(a*)*b')", False),
        ("len(find_all(inputs.t[:100000], 'a'))", 100_000),
    ],
)
def test_the_same_patterns_over_texts_of_usual_size_are_answered(text: str, found: Any) -> None:
    text = text.replace("'a' | ljust(26, 'a') + '!'", "('a' | ljust(26, 'a')) + '!'")

    assert evaluate(text, DATA) == found


@pytest.mark.parametrize(
    "pattern", [r"\\pL{1,1000}", "(((a{1,100}){1,100}){1,100})", "a{1001}", "(" * 1_000, "a" * 1_001]
)
def test_patterns_too_large_are_refused(pattern: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate("matches('a', inputs.p)", {"inputs": {"p": pattern.replace("\\\\", "\\")}})

    assert caught.value.kind == "expression.value"


@pytest.mark.parametrize(
    "value",
    [
        "[" * 100_000,
        "[" * 65 + "]" * 65,
        "[" * 500 + "]" * 500,
        '{"a":' * 5_000 + "1" + "}" * 5_000,
        "1" * 5_000,
        "[" + "1," * 1_100_000 + "1]",
        '"' + "a" * (9 << 20) + '"',
        "-" * 100_000,
        "1e" + "9" * 1_000,
        '"\\ud800"',
    ],
)
def test_json_that_is_no_value(value: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate("from_json(inputs.j)", {"inputs": {"j": value}})

    assert caught.value.kind in ("expression.value", "expression.limit")


def test_values_are_at_most_64_deep() -> None:
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    for text in ("to_json(inputs.v)", "str(inputs.v)", "inputs.v == [inputs.v]", "unique([inputs.v, [1]])"):
        with pytest.raises(ExpressionError) as caught:
            evaluate(text, {"inputs": {"v": deep}})
        assert caught.value.kind == "expression.limit"


def test_an_error_below_many_operators_is_explained_in_bounded_time() -> None:
    costly = "sum([x for x in range(1000) for y in range(200)])"
    for text in (
        "-(" * 28 + costly + " + inputs.none" + ")" * 28,
        "not " * 90 + f"({costly} / 0)",
        f"[{costly}, " + "1 / 0]",
        "1" + " + 1" * 198 + " + inputs.none",
    ):
        with pytest.raises(ExpressionError) as caught:
            evaluate(text, {"inputs": {"none": None}})
        assert caught.value.kind in ("expression.type", "expression.value")


def test_steps_can_be_fewer() -> None:
    assert evaluate("sum(range(40))", steps=100) == 780
    with pytest.raises(ExpressionError, match="expression_steps"):
        evaluate("sum(range(60))", steps=100)


def test_what_is_within_the_bounds_is_not_refused() -> None:
    rows = [{"id": number, "total": number % 7, "name": f"n{number}"} for number in range(100_000)]
    data = {"inputs": {"rows": rows, "ids": [row["id"] for row in rows[:5]]}}

    assert len(evaluate("[r for r in inputs.rows if r.total > 0]", data)) == 85_714
    assert evaluate("sum(r.total for r in inputs.rows)", data) == 299_995
    assert len(evaluate("{r.id: r.name + '!' for r in inputs.rows}", data)) == 100_000
    assert len(evaluate("[r for r in inputs.rows if r.id in inputs.ids]", data)) == 5
    assert len(evaluate("group_by(inputs.rows, 'total')", data)) == 7
    assert len(evaluate("to_json(inputs.rows)", data)) > 1_000_000
    assert len(evaluate("sorted(inputs.rows[:20000], by='name')", data)) == 20_000
    assert evaluate("[x + 1 for x in range(400000)] | len") == 400_000


def flow(lines: str) -> str:
    return "flow: f\n" + lines + "\ntasks:\n  a: {type: set, with: 1}\n"


DOUBLING = "\n".join(
    ["vars:", "  v0: [1, 1]"] + [f"  v{n}: '${{{{ [vars.v{n - 1}, vars.v{n - 1}] }}}}'" for n in range(1, 41)]
)


@pytest.mark.parametrize(
    "output",
    ["${{ vars.v40 }}", "x ${{ vars.v40 }}", "${{ vars.v40 == vars.v39 }}", "${{ to_json(vars.v40) }}"],
)
async def test_variables_that_double_forty_times_end_in_an_error(output: str) -> None:
    run = await run_flow(flow(f"{DOUBLING}\noutputs: {{x: '{output}'}}"))

    assert run.status == "failed"
    assert run.error is not None
    assert run.error["kind"] in ("expression.limit", "output.size", "output.depth")


@pytest.mark.parametrize(
    "text",
    [
        "-" * 100_000 + "1",
        "not " * 100_000 + "true",
        "(" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        "{" * 100_000,
        "a." * 50_000 + "a",
        "a" + "[0]" * 50_000,
        "1" + "+1" * 50_000,
        "1" + "<1" * 50_000,
        "1 if 1 else " * 20_000 + "1",
        "lambda:" * 20_000 + "1",
        "1" * 100_000,
        "0x" + "f" * 100_000,
        "'" * 100_001,
        "'" + "\\" * 100_000,
        "a" * 100_000,
        "\x00" * 1_000,
        "[" + "x for " * 10_000,
        "f(" * 5_000,
        "x | f" * 20_000,
        "}" * 10_000,
        "${{ " * 10_000,
        "(1" + "+1" * 100 + ")" + "+1" * 150,
        "((((1" + "+1)" * 4 + "*1" * 100,
    ],
)
def test_texts_of_any_length_get_diagnostics(text: str) -> None:
    with contextlib.suppress(ExpressionSyntaxError, Refused, ExpressionError):
        evaluate(text)
    with contextlib.suppress(ExpressionSyntaxError, ExpressionError):
        write_out(f"${{{{ {text} }}}}")


@pytest.mark.parametrize("levels", [10, 20, 30])
@pytest.mark.parametrize("link", ["+1", "*1", ".b", "[0]", "|len", "<1", " and 1", " in [1]", "**1"])
async def test_chains_inside_of_chains_are_run_or_refused(levels: int, link: str) -> None:
    text = "tasks.a.output"
    for _ in range(levels):
        text = f"({text}{link * (9_000 // levels // len(link) - 2)})"
    written = flow(f"outputs: {{x: '${{{{ {text} }}}}'}}")
    refused: set[str] = set()
    try:
        compile_text(written, "f.yaml", catalogue=CATALOGUE)
    except FlowError as error:
        refused = {found.code for found in error.diagnostics}

    assert refused <= {"FB304"}
    if not refused:
        assert (await run_flow(written)).status in ("succeeded", "failed")


@pytest.mark.parametrize(
    "text",
    [
        "1" + " + tasks.a.output" * 199,
        "(" * 30 + "1" + " + tasks.a.output)" * 30 + " * 1" * 190,
        "not " * 120 + "tasks.a.output",
        "1 if tasks.a.output else " * 120 + "2",
        "[" * 32 + "tasks.a.output" + "]" * 32,
        "(tasks.a.output " + "< 1" * 100 + ")" + " < 1" * 100,
        "len(" * 30 + "str(tasks.a.output)" + " | str" * 150 + ")" + " | str)" * 29,
        "[" + "[x" + " for x in [1]" * 190 + "]" + "]",
    ],
)
async def test_the_deepest_expressions_that_are_allowed_run(text: str) -> None:
    run = await run_flow(flow(f"outputs: {{x: '${{{{ {text} }}}}'}}"))

    assert run.status in ("succeeded", "failed")
    assert run.error is None or run.error["kind"].startswith(("expression.", "output."))


def test_uuids_in_a_loop_are_bounded_by_the_loop() -> None:
    made = evaluate("[uuid() for x in range(1000)]", context=Context())

    assert len(set(made)) == 1_000
