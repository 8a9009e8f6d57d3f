"""What operators, members, indexes, conditions and paths yield, by the kinds of their operands."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from flowbuilder.core.errors import ExpressionError
from formulas import Kind, Refused, evaluate, holds, outcome, write_out

TYPE, VALUE, MISSING, LIMIT = map(
    Kind, ("expression.type", "expression.value", "expression.missing", "expression.limit")
)
DATA = {
    "inputs": {
        "n": 7,
        "f": 2.5,
        "t": "text",
        "b": True,
        "none": None,
        "xs": [1, 2, 3],
        "m": {"a": 1, "none": None, "deep": {"xs": [{"id": 1}]}, "items": "data", "7": "seven"},
        "day": dt.date(2026, 1, 5),
        "at": dt.datetime(2026, 1, 5, 12, 0, tzinfo=dt.UTC),
        "span": dt.timedelta(hours=1),
        "bytes": b"\x00\xff",
    }
}


def same(found: Any, expected: Any) -> None:
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2", 3),
        ("1 + 2.0", 3.0),
        ("'a' + 'b'", "ab"),
        ("[1] + [2]", [1, 2]),
        ("[] + []", []),
        ("1 + '2'", TYPE),
        ("'1' + 2", TYPE),
        ("1 + true", TYPE),
        ("true + true", TYPE),
        ("1 + null", TYPE),
        ("null + null", TYPE),
        ("[1] + 'a'", TYPE),
        ("{} + {}", TYPE),
        ("9223372036854775807 + 1", LIMIT),
        ("9223372036854775807 + 0", 2**63 - 1),
        ("-9223372036854775807 - 2", LIMIT),
        ("1e308 + 1e308", LIMIT),
        ("3 - 5", -2),
        ("'a' - 'a'", TYPE),
        ("[1] - [1]", TYPE),
        ("true - 1", TYPE),
        ("3 * 4", 12),
        ("3 * 1.5", 4.5),
        ("'a' * 3", TYPE),
        ("[0] * 3", TYPE),
        ("3 * 'a'", TYPE),
        ("true * 3", TYPE),
        ("4611686018427387904 * 2", LIMIT),
        ("1e200 * 1e200", LIMIT),
        ("6 / 2", 3.0),
        ("7 / 2", 3.5),
        ("1 / 0", VALUE),
        ("1.0 / 0", VALUE),
        ("1 / 0.0", VALUE),
        ("true / 1", TYPE),
        ("1e308 / 1e-10", LIMIT),
        ("7 // 2", 3),
        ("-7 // 2", -4),
        ("7.0 // 2", 3.0),
        ("7 // 0", VALUE),
        ("-9223372036854775808 // -1", LIMIT),
        ("7 % 3", 1),
        ("-7 % 3", 2),
        ("7 % -3", -2),
        ("7.5 % 2", 1.5),
        ("7 % 0", VALUE),
        ("'%s' % 1", TYPE),
        ("'%d' % [1]", TYPE),
        ("true % 2", TYPE),
        ("2 ** 10", 1024),
        ("2 ** -1", 0.5),
        ("2 ** 0.5", 2**0.5),
        ("0 ** 0", 1),
        ("0 ** -1", VALUE),
        ("0.0 ** -1", VALUE),
        ("(-8) ** 0.5", TYPE),
        ("(-8) ** 3", -512),
        ("(-1) ** 9223372036854775807", -1),
        ("1 ** 9223372036854775807", 1),
        ("2 ** 62", 2**62),
        ("2 ** 63", LIMIT),
        ("(-2) ** 63", -(2**63)),
        ("9 ** 9 ** 9", LIMIT),
        ("10.0 ** 400", LIMIT),
        ("true ** 2", TYPE),
        ("'a' ** 2", TYPE),
        ("-inputs.n", -7),
        ("-inputs.f", -2.5),
        ("-inputs.t", TYPE),
        ("-inputs.b", TYPE),
        ("-inputs.none", TYPE),
        ("-inputs.span", dt.timedelta(hours=-1)),
        ("-inputs.xs", TYPE),
        ("inputs.bytes + inputs.bytes", TYPE),
    ],
)
def test_arithmetic_takes_numbers_and_never_booleans(text: str, expected: Any) -> None:
    same(outcome(text, DATA), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("date('2026-01-31') + days(1)", dt.date(2026, 2, 1)),
        ("days(1) + date('2026-01-31')", dt.date(2026, 2, 1)),
        ("date('2026-03-01') - days(1)", dt.date(2026, 2, 28)),
        ("date('2026-01-05') - date('2026-01-01')", dt.timedelta(days=4)),
        ("date('2026-01-05') + hours(1)", VALUE),
        ("date('2026-01-05') + hours(24)", dt.date(2026, 1, 6)),
        ("date('2026-01-05') + 1", TYPE),
        ("date('2026-01-05') + date('2026-01-05')", TYPE),
        ("date('9999-12-31') + days(1)", LIMIT),
        ("date('0001-01-01') - days(1)", LIMIT),
        ("inputs.at - inputs.day", TYPE),
        ("inputs.at + inputs.span == datetime('2026-01-05T13:00:00Z')", True),
        ("inputs.at - inputs.at", dt.timedelta()),
        ("days(1) + hours(1)", dt.timedelta(hours=25)),
        ("days(1) - hours(1)", dt.timedelta(hours=23)),
        ("hours(1) * 2", dt.timedelta(hours=2)),
        ("2 * hours(1)", dt.timedelta(hours=2)),
        ("hours(1) * 1.5", dt.timedelta(hours=1.5)),
        ("hours(1) * hours(1)", TYPE),
        ("hours(1) * true", TYPE),
        ("hours(1) / 2", dt.timedelta(minutes=30)),
        ("hours(1) / minutes(30)", 2.0),
        ("hours(1) / 0", VALUE),
        ("hours(1) / seconds(0)", VALUE),
        ("2 / hours(1)", TYPE),
        ("hours(1) // 2", TYPE),
        ("days(999999999) + days(1)", LIMIT),
        ("days(999999999) * 1e300", LIMIT),
        # over a change of the clock: whole days are calendar days, what is less is time that passes
        ("str(datetime('2026-03-28T12:00', 'Europe/Berlin') + days(1))", "2026-03-29T12:00:00+02:00"),
        ("str(datetime('2026-03-28T12:00', 'Europe/Berlin') + hours(25))", "2026-03-29T13:00:00+02:00"),
        ("str(datetime('2026-03-28T12:00', 'Europe/Berlin') + hours(23))", "2026-03-29T12:00:00+02:00"),
        ("str(datetime('2026-03-29T01:30', 'Europe/Berlin') + minutes(60))", "2026-03-29T03:30:00+02:00"),
        # the time between two moments is what passes, whatever the clock shows
        (
            "datetime('2026-03-29T03:30', 'Europe/Berlin') - datetime('2026-03-29T01:30', 'Europe/Berlin')",
            dt.timedelta(hours=1),
        ),
        (
            "datetime('2026-10-25T03:00', 'Europe/Berlin') - datetime('2026-10-25T02:00', 'Europe/Berlin')",
            dt.timedelta(hours=2),
        ),
    ],
)
def test_dates_and_durations_add_and_subtract(text: str, expected: Any) -> None:
    same(outcome(text, DATA), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 == 1.0", True),
        ("1 == true", True),  # as Python has it; the language says so
        ("1 == '1'", False),
        ("'a' == 'a'", True),
        ("null == null", True),
        ("null == 0", False),
        ("null == false", False),
        ("[1, [2]] == [1, [2]]", True),
        ("{'a': 1, 'b': 2} == {'b': 2, 'a': 1}", True),
        ("[1] == {'a': 1}", False),
        ("inputs.xs == [1, 2, 3]", True),
        ("inputs.t != 'text'", False),
        ("inputs.day == date('2026-01-05')", True),
        ("inputs.day == inputs.at", TYPE),
        ("inputs.at != inputs.day", TYPE),
        ("inputs.day == '2026-01-05'", False),
        ("inputs.at == datetime('2026-01-05T13:00:00+01:00')", True),
        ("inputs.at == in_zone(inputs.at, 'Asia/Tokyo')", True),
        # both show 02:30, an hour apart
        (
            "datetime('2026-10-25T00:30Z', 'Europe/Berlin') == datetime('2026-10-25T01:30Z', 'Europe/Berlin')",
            False,
        ),
        ("datetime('2026-10-25T00:30Z', 'Europe/Berlin') == datetime('2026-10-25T00:30Z')", True),
        (
            "datetime('2026-10-25T00:30Z', 'Europe/Berlin') < datetime('2026-10-25T01:30Z', 'Europe/Berlin')",
            True,
        ),
        ("hours(24) == days(1)", True),
        ("inputs.bytes == inputs.bytes", True),
        ("1 < 2", True),
        ("1 < 1.5", True),
        ("2 <= 2", True),
        ("3 > 4", False),
        ("3 >= 3", True),
        ("'a' < 'b'", True),
        ("'Z' < 'a'", True),
        ("'10' < '9'", True),
        ("inputs.day < date('2026-01-06')", True),
        ("inputs.at < datetime('2026-01-05T12:00:00+01:00')", False),
        ("hours(1) < days(1)", True),
        ("1 < '2'", TYPE),
        ("'1' < 2", TYPE),
        ("1 < true", TYPE),
        ("false < true", TYPE),
        ("null < 1", TYPE),
        ("null <= null", TYPE),
        ("[1] < [2]", TYPE),
        ("{} < {}", TYPE),
        ("inputs.day < inputs.at", TYPE),
        ("inputs.day < hours(1)", TYPE),
        ("inputs.bytes < inputs.bytes", TYPE),
        ("1 < 2 < '3'", TYPE),
        ("1 > 2 > '3'", False),  # what is not needed is not evaluated
        ("1 > 2 > 1 / 0", False),
        ("1 in [1.0]", True),
        ("'a' in ['a', 'b']", True),
        ("'z' not in ['a', 'b']", True),
        ("[1] in [[1], [2]]", True),
        ("'a' in inputs.m", True),
        ("7 in inputs.m", True),
        ("8 in inputs.m", False),
        ("true in inputs.m", TYPE),
        ("null in inputs.m", TYPE),
        ("'ex' in inputs.t", True),
        ("'' in inputs.t", True),
        ("1 in inputs.t", TYPE),
        ("1 in 1", TYPE),
        ("1 in null", TYPE),
        ("null in [null]", True),
        ("inputs.none is null", True),
        ("inputs.n is not null", True),
        ("inputs.m.nope is null", MISSING),
        ("inputs.b is null", False),
    ],
)
def test_comparing(text: str, expected: Any) -> None:
    same(outcome(text, DATA), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 and 2", 2),
        ("0 and 1 / 0", 0),
        ("'' or 'x'", "x"),
        ("1 or 1 / 0", 1),
        ("null or 0 or []", []),
        ("1 and 0 and 1 / 0", 0),
        ("not ''", True),
        ("not 'a'", False),
        ("not []", True),
        ("not {'a': 1}", False),
        ("not null", True),
        ("not 0.0", True),
        ("not seconds(0)", True),
        ("1 if [] else 2", 2),
        ("1 if 'x' else 1 / 0", 1),
        ("1 / 0 if false else 2", 2),
        ("any([0, '', 3])", True),
        ("any(1 / x for x in [1, 0])", True),
        ("all(1 / x for x in [1, 0])", VALUE),
        ("all(x for x in [0, 1])", False),
        ("any(x for x in [])", False),
        ("all(x for x in [])", True),
        ("first(1 / x for x in [1, 0])", 1.0),
        ("first(x for x in [] )", MISSING),
    ],
)
def test_what_is_not_needed_is_not_evaluated(text: str, expected: Any) -> None:
    same(outcome(text, DATA), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inputs.m.a", 1),
        ("inputs.m['a']", 1),
        ("inputs.m[7]", "seven"),
        ("inputs.m['7']", "seven"),
        ("inputs.m.items", "data"),
        ("inputs.m.items()[0]", ["a", 1]),
        ("inputs.m.none", None),
        ("inputs.m.none.x", MISSING),
        ("inputs.m.none['x']", MISSING),
        ("inputs.m.none[0]", MISSING),
        ("inputs.m.none[0:1]", MISSING),
        ("inputs.m.nope", MISSING),
        ("inputs.m['no pe']", MISSING),
        ("inputs.m[8]", MISSING),
        ("inputs.m[true]", TYPE),
        ("inputs.m[null]", TYPE),
        ("inputs.m[1.0]", TYPE),
        ("inputs.m[[1]]", TYPE),
        ("inputs.m[0:1]", TYPE),
        ("inputs.m.deep.xs[0].id", 1),
        ("inputs.xs[0]", 1),
        ("inputs.xs[-1]", 3),
        ("inputs.xs[3]", MISSING),
        ("inputs.xs[-4]", MISSING),
        ("inputs.xs['0']", TYPE),
        ("inputs.xs[true]", TYPE),
        ("inputs.xs[1.0]", TYPE),
        ("inputs.xs.a", TYPE),
        ("inputs.xs.append", TYPE),
        ("inputs.t[0]", "t"),
        ("inputs.t[9]", MISSING),
        ("inputs.t.upper", TYPE),
        ("inputs.t['a']", TYPE),
        ("inputs.n.real", TYPE),
        ("inputs.n[0]", TYPE),
        ("inputs.day.year", TYPE),
        ("inputs.bytes[0]", TYPE),
        ("inputs.xs[0:2]", [1, 2]),
        ("inputs.xs[::0]", VALUE),
        ("inputs.xs['a':]", TYPE),
        ("inputs.xs[true:]", TYPE),
        ("inputs.xs[null:2]", [1, 2]),
        ("inputs.n[1:]", TYPE),
        ("{1: 'a'}[1]", "a"),
        ("{1: 'a'}", {"1": "a"}),
        ("{1: 'a', '1': 'b'}", {"1": "b"}),
        ("{x: x for x in [1, 2]}", {"1": 1, "2": 2}),
        ("{true: 1}", TYPE),
        ("{null: 1}", TYPE),
        ("{1.5: 1}", TYPE),
        ("{[1]: 1}", TYPE),
        ("{date('2026-01-05'): 1}", TYPE),
        ("[x for x in 'abc']", TYPE),
        ("[x for x in 3]", TYPE),
        ("[x for x in null]", TYPE),
        ("[k for k in {'a': 1, 'b': 2}]", ["a", "b"]),
        ("[a for a, b in [[1, 2], [3, 4]]]", [1, 3]),
        ("[a for a, b in [[1, 2, 3]]]", TYPE),
        ("[a for a, b in ['ab']]", TYPE),
    ],
)
def test_members_indexes_and_keys(text: str, expected: Any) -> None:
    same(outcome(text, DATA), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inputs.m.none | default(1)", 1),
        ("inputs.m.nope | default(1)", 1),
        ("inputs.m.nope.deeper.still | default(1)", 1),
        ("inputs.m.none.x | default(1)", 1),
        ("inputs.xs[9] | default(1)", 1),
        ("inputs.xs[9].a['b'] | default(1)", 1),
        ("inputs.m.get('nope') | default(1)", 1),
        ("inputs.m.get('nope').x | default(1)", 1),
        ("inputs.m.a | default(1 / 0)", 1),
        ("default(inputs.m.nope, 1)", 1),
        ("inputs.m.nope | default(inputs.m.nope | default(2))", 2),
        ("inputs.m.nope | default(null)", None),
        ("false | default(1)", False),
        ("0 | default(1)", 0),
        ("'' | default('x')", ""),
        ("null | default(1)", 1),
        # it hides nothing else
        ("inputs.n.a | default(1)", TYPE),
        ("inputs.xs.a | default(1)", TYPE),
        ("inputs.xs['a'] | default(1)", TYPE),
        ("inputs.m[true] | default(1)", TYPE),
        ("(1 / 0) | default(1)", VALUE),
        ("(inputs.m.nope + 1) | default(1)", MISSING),
        ("inputs.m.nope + 1 | default(1)", MISSING),
        ("str(inputs.m.nope) | default(1)", MISSING),
        ("int('x') | default(1)", VALUE),
        ("inputs.xs[inputs.m.nope] | default(1)", MISSING),
        ("first([]) | default(1)", MISSING),
        ("inputs.m.get('a', null) | default(1)", 1),
        ("exists(inputs.m.a)", True),
        ("exists(inputs.m.none)", True),
        ("exists(inputs.m.none.x)", False),
        ("exists(inputs.m.nope)", False),
        ("exists(inputs.m.nope.x)", False),
        ("exists(inputs.xs[2])", True),
        ("exists(inputs.xs[3])", False),
        ("exists(inputs.n.a)", TYPE),
        ("exists(1 / 0)", VALUE),
        ("inputs.m.nope | exists", False),
        ("inputs.m.get('none', 1)", None),
        ("inputs.m.get('nope')", None),
        ("inputs.m.get('nope', 1)", 1),
    ],
)
def test_default_and_exists_look_along_a_path_and_hide_nothing_else(text: str, expected: Any) -> None:
    same(outcome(text, DATA), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inputs.b", True),
        ("inputs.n > 3", True),
        ("inputs.n", True),
        ("inputs.none", False),
        ("inputs.xs", True),
        ("not inputs.t", False),
        ("inputs.m.a == 1 and inputs.b", True),
        ("${{ inputs.b }}", True),
        (" ${{ inputs.n > 9 }} ", False),
        ("${{ inputs.b }}\n", True),
        ("inputs.t", TYPE),
        ("inputs.none or inputs.t", TYPE),
        ("str(inputs.b)", TYPE),
        ("${{ inputs.t }}", TYPE),
    ],
)
def test_a_condition_holds_or_not_and_is_never_a_text(text: str, expected: Any) -> None:
    try:
        found: Any = holds(text, DATA)
    except ExpressionError as error:
        found = Kind(error.kind)

    same(found, expected)


@pytest.mark.parametrize("text", ["'false'", "${{ 'x' }}", "${{ inputs.b }}${{ inputs.b }}"])
def test_a_text_as_a_condition_is_seen_before_it_runs(text: str) -> None:
    with pytest.raises(Refused) as caught:
        holds(text, DATA)

    assert [found.code for found in caught.value.diagnostics] == ["FB318"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x ${{ inputs.none }}", MISSING),
        ("x ${{ inputs.m.nope }}", MISSING),
        ("x ${{ inputs.none | default('') }}", "x "),
        ("x ${{ inputs.b }} ${{ inputs.f }} ${{ inputs.n }}", "x true 2.5 7"),
        ("x ${{ inputs.xs }} ${{ inputs.m.deep }}", 'x [1,2,3] {"xs":[{"id":1}]}'),
        (
            "x ${{ inputs.day }} ${{ inputs.at }} ${{ inputs.span }}",
            "x 2026-01-05 2026-01-05T12:00:00+00:00 PT3600S",
        ),
        ("x ${{ inputs.bytes }}", 'x "AP8="'),
        ("${{ inputs.none }}", None),
        ("${{ inputs.none }} ${{ inputs.n }}", MISSING),
    ],
)
def test_null_in_a_longer_text_is_an_error(text: str, expected: Any) -> None:
    try:
        found = write_out(text, DATA)
    except ExpressionError as error:
        found = Kind(error.kind)

    same(found, expected)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("inputs.m.dep", "e:1:1: there is no member 'dep'; did you mean 'deep'?"),
        ("inputs.m.keys", "e:1:1: there is no member 'keys'; did you mean `.keys()`?"),
        ("1 + inputs.m.dep.x", "e:1:5: there is no member 'dep'; did you mean 'deep'?"),
        ("inputs.none.x", "e:1:1: null has no member 'x'; write `| default(…)` if it may be null"),
        ("inputs.xs.id", "e:1:1: a list has no member 'id'; elements are taken by number: `[0]`"),
        ("inputs.t.upper", "e:1:1: a text has no member 'upper'; did you mean `.upper()`?"),
        ("duration('1h').hour", "e:1:1: a duration has no member 'hour'"),
        ("datetime('2026-01-01T00:00Z').hour", "e:1:1: a datetime has no member 'hour'; write `| hour`"),
        ("[x.id for x in inputs.xs]", "e:1:2: a number has no member 'id' (element [0])"),
        ("len(inputs.n + inputs.t)", "e:1:5: '+' takes two numbers, texts or lists, not a number and a text"),
        ("inputs.b and 1 / 0", "e:1:14: division by zero"),
        ("1 / 0 if inputs.b else 2", "e:1:1: division by zero"),
        ("inputs.n.x | default(inputs.none.y)", "e:1:1: a number has no member of that kind"),
        ("inputs.none.x | default(1 / 0)", "e:1:25: division by zero"),
        ("1 < 'a' < 1 / 0", "e:1:1: '<' compares two numbers, texts or dates, not a number and a text"),
        ("1 < 2 < 1 / 0", "e:1:9: division by zero"),
        ("inputs.xs[5]", "e:1:1: the index 5 is out of range: there are 3 elements"),
        ("sorted([{'a': 1}, {}], by='a')", "e:1:1: 'sorted': 'a' is missing in the element [1]"),
        ("max([{'a': null}], by='a')", "e:1:1: 'max': 'a' is null in the element [0]"),
    ],
)
def test_an_error_names_the_part_at_fault_and_what_may_be_meant(text: str, told: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, DATA)

    assert caught.value.message == told


ROWS = {
    "inputs": {
        "rows": [{"id": 1, "total": 2}, {"id": 2, "totl": 3}],
        "m": {"a": {"x": 1}, "b": {"y": 1}},
        "none": None,
    }
}
NEAR = "there is no member 'total'; did you mean 'totl'? (element [1])"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[r.total for r in inputs.rows]", f"e:1:2: {NEAR}"),
        ("sum(r.total for r in inputs.rows)", f"e:1:5: {NEAR}"),
        ("{r.id: r.total + 1 for r in inputs.rows}", f"e:1:8: {NEAR}"),
        ("[r for r in inputs.rows if r.total > 1]", f"e:1:28: {NEAR}"),
        ("any(r.total > 5 for r in inputs.rows)", f"e:1:5: {NEAR}"),
        ("first([r.total for r in inputs.rows if r.id == 2], 1)", f"e:1:8: {NEAR}"),
        (
            "[[r.id + v.x for k, v in inputs.m.items()] for r in inputs.rows]",
            "e:1:10: there is no member 'x'; write `| default(…)` if it may be missing (element [0][1])",
        ),
        (
            "[r.id + v.x for r in inputs.rows for k, v in inputs.m.items()]",
            "e:1:9: there is no member 'x'; write `| default(…)` if it may be missing (element [0][1])",
        ),
        ("[[x / 0 for x in [x.id, 2]] for x in inputs.rows]", "e:1:3: division by zero (element [0][0])"),
        ("[x / (x - 500) for x in range(100000)]", "e:1:2: division by zero (element [500])"),
        ("{null: r for r in inputs.rows}", "e:1:1: a mapping's key is a text, not null (element [0])"),
        (
            "[a for a, b in [[1, 2], [3]]]",
            "e:1:1: a `for` with 2 names goes over lists of 2, such as `m.items()`",
        ),
        ("[r.id for r in inputs.none]", "e:1:1: a `for` goes over a list or a mapping, not over null"),
    ],
)
def test_an_error_in_a_loop_names_the_element(text: str, told: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, ROWS)

    assert caught.value.message == told


def test_of_very_many_elements_the_one_at_fault_may_stay_unsaid() -> None:
    data = {"inputs": {"rows": [{"id": 1}] * 900_000 + [{}]}}

    with pytest.raises(ExpressionError) as caught:
        evaluate("[r.id for r in inputs.rows]", data)

    assert caught.value.kind == "expression.missing"


def test_no_error_shows_a_value() -> None:
    value = "s3cr3t-value"
    for text in (
        "int(inputs.v)",
        "float(inputs.v)",
        "bool(inputs.v)",
        "date(inputs.v)",
        "datetime(inputs.v)",
        "duration(inputs.v)",
        "duration(inputs.n)",
        "in_zone(inputs.at, inputs.v)",
        "inputs.v + 1",
        "inputs.v[99]",
        "inputs.m[inputs.v]",
        "from_json(inputs.v)",
        "base64_decode(inputs.v + '!')",
        "url_parse('http://x:' + inputs.v)",
        "[inputs.v].index('x')",
        "inputs.v.index('zzz')",
        "inputs.v < 1",
        "{'a': 1}[inputs.v]",
    ):
        with pytest.raises(ExpressionError) as caught:
            evaluate(text, {"inputs": {"v": value, "m": {}, "n": "12", "at": dt.datetime.now(dt.UTC)}})
        assert value not in caught.value.message, text


def test_near_misses_are_looked_for_among_few_keys() -> None:
    many = {f"key{number}" + "x" * 5_000: 1 for number in range(5_000)}

    with pytest.raises(ExpressionError) as caught:
        evaluate("inputs.m." + "k" * 5_000, {"inputs": {"m": many}})

    assert len(caught.value.message) <= 1_000


def test_nothing_changes_a_value() -> None:
    data = {"inputs": {"xs": [3, 1, 2], "m": {"b": 1}}}
    for text in (
        "sorted(inputs.xs)",
        "reversed(inputs.xs)",
        "inputs.xs + [4]",
        "merge(inputs.m, {'c': 2})",
        "flatten([inputs.xs, inputs.xs])",
        "[x for x in inputs.xs]",
        "group_by([inputs.m], 'b')",
    ):
        evaluate(text, data)

    assert data == {"inputs": {"xs": [3, 1, 2], "m": {"b": 1}}}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("exists(inputs.none.a ** 2)", "expression.missing"),
        ("exists(inputs.xs[inputs.none.a])", "expression.missing"),
        ("default(inputs.none.a + 1, 3)", "expression.missing"),
        ("default(inputs.xs[1 + inputs.none], 3)", "expression.type"),
    ],
)
def test_exists_and_default_hide_nothing_but_steps_of_their_path(text: str, kind: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        evaluate(text, {"inputs": {"none": None, "xs": [1]}})

    assert raised.value.kind == kind
    assert "wrong kind" not in raised.value.message
