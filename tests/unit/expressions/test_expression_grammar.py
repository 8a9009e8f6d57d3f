"""What an expression may look like, and how it is read: by Python's precedence, and nothing of Python beyond it."""

from __future__ import annotations

from typing import Any

import pytest

from flowbuilder.compiler.expressions import ExpressionSyntaxError, parse_expression, parse_template
from flowbuilder.compiler.expressions.tree import Binary, Call, Const, Index, Member, Name, Negate, Text
from formulas import LINE, evaluate, write_out


def shape(text: str) -> Any:
    """Return a tree as brackets show it: what binds what."""
    return _shape(parse_expression(text, LINE))


def _shape(expr: Any) -> Any:
    match expr:
        case Const(value=value):
            return value
        case Name(id=id):
            return id
        case Member(of=of, name=name):
            return (_shape(of), ".", name)
        case Index(of=of, index=index):
            return (_shape(of), "[]", _shape(index))
        case Negate(of=of):
            return ("-", _shape(of))
        case Binary(op=op, left=left, right=right):
            return (_shape(left), op, _shape(right))
        case Call(function=function, args=args):
            return (function, *map(_shape, args))
        case Text(parts=parts):
            return [_shape(part) for part in parts]
    raise AssertionError(expr)


def said(text: str) -> str:
    """Return code and words of what is wrong with a text that cannot be read."""
    with pytest.raises(ExpressionSyntaxError) as caught:
        parse_expression(text, LINE)
    (found,) = caught.value.diagnostics
    return f"{found.code} {found.what} | {' '.join(found.hints)}"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b * c", ("a", "+", ("b", "*", "c"))),
        ("a * b + c", (("a", "*", "b"), "+", "c")),
        ("a - b - c", (("a", "-", "b"), "-", "c")),
        ("a / b // c % d", ((("a", "/", "b"), "//", "c"), "%", "d")),
        ("a ** b ** c", ("a", "**", ("b", "**", "c"))),
        ("-a ** b", ("-", ("a", "**", "b"))),
        ("a ** -b", ("a", "**", ("-", "b"))),
        ("-a * b", (("-", "a"), "*", "b")),
        ("- -a", ("-", ("-", "a"))),
        ("(a + b) * c", (("a", "+", "b"), "*", "c")),
        ("a + b | round(2)", ("round", ("a", "+", "b"), 2)),
        ("a | f | g", ("g", ("f", "a"))),
        ("a | f(b) + c", None),
        ("a.b.c", (("a", ".", "b"), ".", "c")),
        ("a.b[c].d", ((("a", ".", "b"), "[]", "c"), ".", "d")),
        ("a.f(b).c", (("f", "a", "b"), ".", "c")),
        ("a.b.f()", ("f", ("a", ".", "b"))),
        ("f(a)[0]", (("f", "a"), "[]", 0)),
        ("-a.b", ("-", ("a", ".", "b"))),
        ("-1", -1),
        ("- 1.5", -1.5),
        ("2 - 1", (2, "-", 1)),
        ("-1 ** 2", ("-", (1, "**", 2))),
        ("tasks.import.output", (("tasks", ".", "import"), ".", "output")),
        ("mail.from.class.if.is.in.not.lambda", None),
    ],
)
def test_operators_bind_as_in_python_and_a_filter_looser_than_a_sum(text: str, tree: Any) -> None:
    if text == "mail.from.class.if.is.in.not.lambda":  # any word will do behind a dot
        names = []
        node: Any = parse_expression(text, LINE)
        while isinstance(node, Member):
            names.append(node.name)
            node = node.of
        assert names[::-1] == text.split(".")[1:]
    elif tree is None:
        assert said(text).startswith("FB301")
    else:
        assert shape(text) == tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("not true == false", True),
        ("not true or true", True),
        ("true or true and false", True),
        ("false and false or true", True),
        ("1 if true else 2 if false else 3", 1),
        ("1 if false else 2 if false else 3", 3),
        ("1 if false or true else 2", 1),
        ("1 < 2 < 3", True),
        ("1 < 3 < 2", False),
        ("1 < 2 == 2", True),
        ("3 > 2 > 1 != 0", True),
        ("1 in [1] == true", False),  # as in Python: `1 in [1]` and `[1] == true`
        ("1 in [1] in [[1]]", True),
        ("null is null", True),
        ("1 is not null", True),
        ("null is null == true", False),
        ("not 1 in [1]", False),
        ("1 not in [1, 2]", False),
        ("not not 1", True),
        ("1 + 2 | str", "3"),
        ("[1, 2,]", [1, 2]),
        ("{'a': 1,}", {"a": 1}),
        ("[]", []),
        ("{}", {}),
        ("len([1],)", 1),
        ("[x for x in [1, 2, 3] if x > 1 if x < 3]", [2]),
        ("[[x, y] for x in [1, 2] for y in [3, 4] if x + y != 5]", [[1, 3], [2, 4]]),
        ("[k + str(v) for k, v in {'a': 1}.items()]", ["a1"]),
        ("{v: k for k, v in {'a': 1}.items()}", {"1": "a"}),
        ("[x for x in [1] for x in [x + 1]]", [2]),
        ("[[x for x in [x, 9]] for x in [1, 2]]", [[1, 9], [2, 9]]),
        ("[x if x else 0 for x in [null, 2]]", [0, 2]),
        ("sum(x * x for x in [1, 2, 3])", 14),
        ("(1)", 1),
        ("((((1))))", 1),
        ("[1, 2, 3][-1]", 3),
        ("[1, 2, 3][::-1]", [3, 2, 1]),
        ("[1, 2, 3, 4][1:]", [2, 3, 4]),
        ("[1, 2, 3, 4][:-1]", [1, 2, 3]),
        ("[1, 2, 3, 4][0:4:2]", [1, 3]),
        ("[1, 2, 3, 4][:]", [1, 2, 3, 4]),
        ("[1, 2, 3, 4][1:99]", [2, 3, 4]),
        ("'abc'[1:]", "bc"),
        ("\n1\r\n+\t2\n", 3),
    ],
)
def test_the_grammar_means_what_python_means(text: str, value: Any) -> None:
    found = evaluate(text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("12", 12),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("1.5", 1.5),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        ("2E-3", 0.002),
        ("1.5e+2", 150.0),
        ("1e-400", 0.0),
        ("true", True),
        ("True", True),
        ("false", False),
        ("False", False),
        ("null", None),
        ("None", None),
        ("'a'", "a"),
        ('"a"', "a"),
        ("''", ""),
        ("'say \"hi\"'", 'say "hi"'),
        (r"'it\'s'", "it's"),
        (r"'a\nb\tc\rd'", "a\nb\tc\rd"),
        (r"'\\n'", r"\n"),
        (r"'\x41\u00e9\U0001f600'", "Aé😀"),
        (r"'\d+\.\w'", r"\d+\.\w"),
        (r"'\x4'", r"\x4"),
        (r"'\0'", r"\0"),
        (r"'\N{BULLET}'", r"\N{BULLET}"),
        ("'line\nbreak'", "line\nbreak"),
        ("'\\\n'", "\\\n"),
        ("'}}'", "}}"),
        ("'# not a comment'", "# not a comment"),
        ("'ſ é 😀'", "ſ é 😀"),
    ],
)
def test_literals(text: str, value: Any) -> None:
    found = evaluate(text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "FB301 there is no expression here"),
        ("   ", "FB301 there is no expression here"),
        ("1 +", "FB301 the expression ends too early"),
        ("(1", "FB301 '(' is not closed"),
        ("1)", "FB301 ')' closes nothing"),
        ("[1)", "FB301 '[' is closed by ')'"),
        ("1 2", "FB301 this number cannot stand here"),
        ("a b", "FB301 'b' cannot stand here"),
        ("'a' 'b'", "FB301 two texts stand side by side"),
        ("'a", "FB301 the text that begins with ' has no end"),
        ("a = 1", "FB301 '=' does not compare | write `==`"),
        ("a === b", "FB303 there is no operator `===` | write `==`"),
        ("a && b", "FB303 there is no operator `&&` | write `and`"),
        ("a || b", "FB303 there is no operator `||` | write `or`"),
        ("!a", "FB303 `!` means nothing here | write `not`"),
        ("a & b", "FB303 `&` means nothing here"),
        ("a ^ b", "FB303 `^` means nothing here"),
        ("~a", "FB303 `~` means nothing here"),
        ("a << 2", "FB303 there is no operator `<<`"),
        ("a >> 2", "FB303 there is no operator `>>`"),
        ("+1", "FB303 there is no sign `+` | leave it out"),
        ("(x := 1)", "FB303 there is no operator `:=`"),
        ("lambda x: x", "FB303 there is no `lambda` here"),
        ("await x", "FB303 there is no `await` here"),
        ("yield x", "FB303 there is no `yield` here"),
        ("f'{x}'", "FB303 a text takes no prefix 'f'"),
        ("r'x'", "FB303 a text takes no prefix 'r'"),
        ("b'x'", "FB303 a text takes no prefix 'b'"),
        ("Rb'x'", "FB303 a text takes no prefix 'Rb'"),
        ("{1, 2}", "FB303 there are no sets"),
        ("{1}", "FB303 there are no sets"),
        ("{x for x in y}", None),
        ("(1, 2)", "FB303 there are no tuples"),
        ("()", "FB303 there are no tuples"),
        ("(x for x in y)", "FB303 a comprehension stands in square brackets"),
        ("[*a]", "FB303 there is no unpacking"),
        ("{**a}", "FB303 there is no unpacking"),
        ("f(*a)", "FB303 there is no unpacking"),
        ("f(**a)", "FB303 there is no unpacking"),
        ("a[1, 2]", "FB303 an index is one value"),
        ("a[]", "FB301 an index is missing"),
        ("a[1:2:3:4]", "FB301 a slice has at most three parts"),
        ("a is b", "FB303 `is` asks for null only"),
        ("a is not 1", "FB303 `is` asks for null only"),
        ("a is true", "FB303 `is` asks for null only"),
        ("a not b", "FB301"),
        ("a.1", "FB301"),
        ("a.'b'", "FB301 behind a dot stands a name"),
        ("h.content-type.(x)", "FB301 behind a dot stands a name"),
        ("a | 1", "FB301 behind `|` stands the name of a function"),
        ("a | (f)", "FB301 behind `|` stands the name of a function"),
        ("a |", "FB301 behind `|` stands the name of a function"),
        ("x if c", "FB301 the expression ends too early; 'else' is missing"),
        ("if c: x", "FB301"),
        ("f(k=1, 2)", "FB301 values with a name stand behind those without"),
        ("f(k=1, k=2)", "FB301 'k' is given twice"),
        ("f(x for x in y, 1)", "FB301"),
        ("for x in y", "FB301"),
        ("[x for x.a in y]", "FB316 a `for` binds plain names"),
        ("[x for x[0] in y]", "FB316 a `for` binds plain names"),
        ("[x for (x, y) in z]", "FB316 a `for` binds plain names"),
        ("[x for [x] in z]", "FB316 a `for` binds plain names"),
        ("[x for inputs in z]", "FB316 'inputs' means something already"),
        ("[x for item in z]", "FB316 'item' means something already"),
        ("[x for true in z]", "FB316 a `for` binds plain names"),
        ("[x for not in z]", "FB316 a `for` binds plain names"),
        ("[x async for x in y]", "FB3"),
        ("a; b", "FB303 `;` means nothing here"),
        ("a @ b", "FB303 `@` means nothing here"),
        ("`a`", "FB303 ``` means nothing here"),
        ("a ? b : c", "FB303 `?` means nothing here"),
        ("a == ${{ b }}", "FB303 `${{` stands inside of an expression | leave these marks out"),
        ("$a", "FB303 `$` means nothing here"),
        ("a # b", "FB303 `#` means nothing here"),
        ("a \\\n b", "FB303"),
        ("a\x00b", "FB301 'U+0000' means nothing here"),
        ("a\u00a0b", "FB301 'U+00A0' means nothing here"),
        ("a\u2028b", "FB301 'U+2028' means nothing here"),
        ("\u017fecrets.T", "FB301 'ſ' is no letter of a name"),
        ("ｉnputs", "FB301 'ｉ' is no letter of a name"),
        ("é", "FB301 'é' is no letter of a name"),
        ("a.é", "FB301"),
        ("١", "FB301"),
        ("0x10", "FB305 '0x10' is no number"),
        ("0o7", "FB305 '0o7' is no number"),
        ("0b1", "FB305 '0b1' is no number"),
        ("010", "FB305 '010' is no number"),
        ("1_000", "FB305 '1_000' is no number"),
        ("1.", None),
        (".5", None),
        ("1.5.5", None),
        ("10s", "FB305 '10s' is no number"),
        ("1j", "FB305 '1j' is no number"),
        ("1e", "FB305"),
        ("1e999", "FB305 this number is too large"),
        ("9223372036854775808", "FB305 an integer has at most 64 bits"),
        ("-9223372036854775809", "FB305 an integer has at most 64 bits"),
        ("1 - 9223372036854775808", None),
        (r"'\ud800'", r"FB305 '\ud800' is no character"),
        (r"'\U00110000'", r"FB305 '\U00110000' is no character"),
    ],
)
def test_all_else_is_refused_with_what_to_write_instead(text: str, told: str | None) -> None:
    assert said(text).startswith(told or "FB3")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("(" * 33 + "1" + ")" * 33, "FB304 brackets are at most 32 deep"),
        ("[" * 33 + "]" * 33, "FB304 brackets are at most 32 deep"),
        ("-" * 200 + "1", "FB304 the expression is nested too deeply"),
        ("not " * 200 + "true", "FB304 the expression is nested too deeply"),
        ("2 ** " * 200 + "1", "FB304 the expression is nested too deeply"),
        ("1 if true else " * 200 + "1", "FB304 the expression is nested too deeply"),
        ("1" + " + 1" * 201, "FB304 a chain has at most 200 links"),
        ("1" + " * 1" * 201, "FB304 a chain has at most 200 links"),
        ("a" + ".b" * 201, "FB304 a chain has at most 200 links"),
        ("a" + "[0]" * 201, "FB304 a chain has at most 200 links"),
        ("a" + "|len" * 201, "FB304 a chain has at most 200 links"),
        ("1" + " < 1" * 201, "FB304 a chain has at most 200 links"),
        ("1" + " and 1" * 201, "FB304 a chain has at most 200 links"),
        ("[1" + " for x in []" * 201 + "]", "FB304 a chain has at most 200 links"),
        ("((1" + "+1" * 150 + ")" + "+1" * 150 + ")", "FB304 the expression is nested too deeply"),
        ("(a" + ".b" * 150 + ")" + ".b" * 150, "FB304 the expression is nested too deeply"),
        ("'" + "a" * 10_000 + "'", "FB304 an expression has at most 10,000 characters"),
        (" " * 10_001 + "1", "FB304 an expression has at most 10,000 characters"),
        ("[" + "1," * 5_000 + "]", "FB304 an expression has at most 10,000 characters"),
    ],
)
def test_an_expression_has_limits(text: str, told: str) -> None:
    assert said(text).startswith(told)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(" * 32 + "1" + ")" * 32, 1),
        ("1" + " + 1" * 200, 201),
        ("- " * 100 + "1", 1),
        ("not " * 100 + "true", True),
        ("1 if false else " * 100 + "2", 2),
        ("1" + " < 2" * 200, False),
        ("true" + " and true" * 199, True),
        ("[" + "1," * 4_000 + "]", [1] * 4_000),
        ("'" + "a" * 9_900 + "'", "a" * 9_900),
    ],
)
def test_what_is_within_the_limits_is_evaluated(text: str, value: Any) -> None:
    assert evaluate(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${{ 1 + 1 }}", 2),
        ("  ${{ [1] }}\n", [1]),
        ("\n${{ null }}\n", None),
        ("a ${{ 1 }} b", "a 1 b"),
        ("${{ 1 }}${{ 2 }}", "12"),
        ("${{ 1 }} ${{ 2 }}", "1 2"),
        ("${{ '}}' }}", "}}"),
        ("${{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
        ("${{ {'a': {'b': 1}}['a'] }}x", '{"b":1}x'),
        ("${{ '${{' }}", "${{"),
        ("$${{ x }}", "${{ x }}"),
        ("$${{ ${{ 1 }} }}", "${{ 1 }}"),
        ("a$${{b", "a${{b"),
        ("$$${{ 1", "$${{ 1"),
        ("cost: $5 {1} }}", "cost: $5 {1} }}"),
        ("${{ 'a\nb' }}", "a\nb"),
        ("^\\$\\{\\{.*\\}\\}$", "^\\$\\{\\{.*\\}\\}$"),
        ("${{ true }}!", "true!"),
        ("${{ 1.0 }}!", "1.0!"),
        ("${{ 6 / 2 }}!", "3.0!"),
        ("${{ [1, 'a', null] }}!", '[1,"a",null]!'),
        ("${{ {'k': 'é'} }}!", '{"k":"é"}!'),
        ("${{ date('2026-01-05') }}!", "2026-01-05!"),
        ("${{ datetime('2026-01-05T10:00:00+01:00') }}!", "2026-01-05T10:00:00+01:00!"),
        ("${{ duration('1h30m') }}!", "PT5400S!"),
        ("${{ [date('2026-01-05')] }}!", '["2026-01-05"]!'),
        ("${{ null | default('') }}!", "!"),
    ],
)
def test_a_text_is_cut_at_its_marks(text: str, value: Any) -> None:
    found = write_out(text)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("${{ 1", ["FB302"]),
        ("${{ 1 }", ["FB301"]),
        ("${{ (1 }}", ["FB301"]),
        ("${{ 'a }}", ["FB301"]),
        ("${{ }}", ["FB301"]),
        ("${{ 1 +  }} and ${{ b c }} and ${{ && }}", ["FB301", "FB301", "FB303"]),
        ("a ${{ 1 }} b ${{ [ }}", ["FB301"]),
    ],
)
def test_each_expression_of_a_text_is_told_what_is_wrong_with_it(text: str, codes: list[str]) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        parse_template(text, LINE)

    assert [found.code for found in caught.value.diagnostics] == codes
