"""Whatever is in a value, bash gets it as it is and runs none of it: asked of a real bash."""

import contextlib
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowbuilder.core.errors import TaskFailed
from flowbuilder.core.shellquote import Placeholder, ScriptError, bind_script
from flowbuilder.tasks.shell import prelude

MARK = "@@"

NASTY = (
    "a b*'\"; echo PWNED; $(touch pwned) `touch pwned` ${x:-$(touch pwned)} \\",
    "$(touch pwned)",
    "`touch pwned`",
    "a[$(touch pwned)]",
    "x=$(touch pwned)",
    "';touch pwned;'",
    '";touch pwned;"',
    "\n touch pwned \n",
    "EOF\ntouch pwned\n",
    ")); touch pwned; ((",
    "]]; touch pwned; [[",
    "} ; touch pwned ; {",
    "\\",
    "\\'",
    '\\"',
    "$",
    "${",
    "$'\\x27",
    "!",
    "~",
    "*",
    "{a,b}",
    "-n",
    "--",
    "#",
    "&",
    "|",
    "",
    " ",
    "\t",
    "\r",
    "\x01",
    "\x7f",
    "é\u2028😀",
    "%s%n",
    "&& touch pwned",
    ">pwned",
    "(touch pwned)",
    "IFS",
)


class Context(NamedTuple):
    """A script with a value in one place, and what of `out` the value must equal.

    The script hands the value, between `before` and `after`, to `out`, which
    keeps its first argument byte for byte.
    """

    script: str
    before: str = ""
    after: str = ""
    strips: bool = False
    """`$( )` takes line breaks off the end."""


CONTEXTS = {
    "bare": Context("out @@"),
    "bare, in a word": Context("out pre@@post", "pre", "post"),
    "double quotes": Context('out "a @@ b"', "a ", " b"),
    "single quotes": Context("out 'a @@ b'", "a ", " b"),
    "ANSI quotes": Context(r"out $'a\t@@\'b'", "a\t", "'b"),
    "locale quotes": Context('out $"a @@"', "a "),
    "assignment": Context('x=@@; out "$x"'),
    "assignment in quotes": Context("x='<@@>'; out \"$x\"", "<", ">"),
    "environment of a command": Context("X=@@ bash -c 'printf %s \"$X\"' > got"),
    "export": Context('export X=@@; out "$X"'),
    "local": Context('f() { local x=@@; out "$x"; }; f'),
    "array": Context('x=(a @@ b); out "${x[1]}"; test "${#x[@]}" = 3'),
    "array appended": Context('x=(); x+=(@@); out "${x[0]}"'),
    "element": Context('x[2]=@@; out "${x[2]}"'),
    "substitution": Context('out "$(printf %s @@)"', strips=True),
    "substitution in quotes": Context('out "<$(printf %s "@@")>"', "<", ">", strips=True),
    "deep substitution": Context('out "$(printf %s "$(printf %s "$(printf "%s" \'@@\')")")"', strips=True),
    "backticks": Context('x=`printf %s @@`; out "$x"', strips=True),
    "backticks in quotes": Context('out "<`printf %s "@@"`>"', "<", ">", strips=True),
    "default value": Context("out ${nothing:-@@}"),
    "default value in quotes": Context('out "${nothing:-<@@>}"', "<", ">"),
    "alternative value": Context('x=1; out "${x:+@@}"'),
    "default value, single quotes": Context("out ${nothing:-'a @@'}", "a "),
    "assigned default": Context(': "${x:=@@}"; out "$x"'),
    "removed pattern": Context('x=a@@; out "${x%@@}@@"', "a"),
    "replacement": Context('x=aYb; out "${x/Y/@@}"', "a", "b"),
    "here-document": Context("cat > got <<EOF\n@@\nEOF", "", "\n"),
    "here-document, indented": Context("cat > got <<-EOF\n\ta@@\n\tEOF", "a", "\n"),
    "substitution in a here-document": Context(
        'cat > got <<EOF\n<$(printf %s "@@")>\nEOF', "<", ">\n", strips=True
    ),
    "default in a here-document": Context("cat > got <<EOF\n${nothing:-@@}\nEOF", "", "\n"),
    "pattern in a here-document": Context("x=a@@; cat > got <<EOF\n${x%@@}@@\nEOF", "a", "\n"),
    "here-string": Context("cat > got <<< @@", "", "\n"),
    "here-document in a substitution": Context('out "$(cat <<EOF\n@@.\nEOF\n)"', "", "."),
    "process substitution": Context("cat <(printf %s @@) > got"),
    "argument of a function": Context('f() { out "$1"; }; f @@'),
    "for": Context('for x in @@; do out "$x"; done'),
    "case": Context("case @@ in @@) out @@;; *) out no;; esac"),
    "case, in quotes": Context("case \"a@@\" in 'a'\"@@\") out '@@';; *) out no;; esac"),
    "condition": Context("if [[ @@ == @@ && x@@ = 'x@@' ]]; then out @@; fi"),
    "condition, pattern": Context('if [[ "a@@b" == a@@* && "<@@>" =~ @@ ]]; then out @@; fi'),
    "test": Context("if [ @@ = @@ ]; then out @@; fi"),
    "test, in quotes": Context('test "x@@" = x@@ && out @@'),
    "subshell": Context("( ( out @@ ) )"),
    "braces": Context("{ out @@; }"),
    "brace expansion": Context('x=({@@,b}); out "${x[0]}"'),
    "after a comment": Context("# it's \" $( ` @@ comment\nout @@"),
    "after arithmetic": Context("((1 << 2)); x=$(( (1 << 3) )); out @@"),
    "after a here-document": Context("cat > /dev/null <<'A' <<B\nit's \"$(\nA\nit is ${x:-}\nB\nout @@"),
    "after a hash that is none": Context("x=a#b; echo ${#x} $# > /dev/null; out @@"),
    "after case": Context("case a in (a) : ;; b|c) : ;; esac; out @@"),
    "after an escape": Context("echo \\' \\\" \\# \\\\ > /dev/null; out @@"),
    "continued line": Context("out \\\n @@"),
    "background": Context("out @@ & wait"),
    "pipeline": Context("printf %s @@ | cat > got"),
    "redirection": Context("printf x > /dev/null; out @@ 2>&1 < /dev/null"),
    "nested quotes": Context("out \"a '@@' b\"", "a '", "' b"),
    "two in a row": Context('x=@@@@; out "${x:0:$((${#x} / 2))}"'),
}
INTEGERS = {
    "arithmetic": "out $((@@ + 1 - 1))",
    "arithmetic, subtracted": "out $((0-@@))",
    "arithmetic command": "((x = @@)) || true; out $x",
    "old arithmetic": "out $[@@]",
    "subscript": "x=([5]=a); x[@@]=b; out ${#x[@]}",
    "subscript read": 'x=(a b); out "${x[@@]:-}"',
    "subscript in a list": "x=([@@]=a); out ${#x[@]}",
    "offset": 'x=abcdef; out "${x:@@:1}"',
    "length": 'x=abcdef; out "${x:0:@@}"',
    "comparison": "[[ @@ -eq 5 ]] && out yes || out no",
    "comparison, right": '[[ 5 -lt "@@" ]] && out yes || out no',
    "let": "let x=@@ || true; out $x",
    "integer variable": "declare -i x=@@; out $x",
    "integer variable, later": "declare -i x; x=@@; out $x",
    "for": "for ((i = @@; i < 3; i++)); do :; done; out $i",
    "default in arithmetic": "out $((${nothing:-@@}))",
}


def bind(text: str) -> tuple[str, tuple[str | None, ...]]:
    parts: list[str | Placeholder] = []
    for at, piece in enumerate(text.split(MARK)):
        parts += [Placeholder(), piece] if at else [piece]
    return bind_script(parts)


def run(text: str, values: list[str], folder: Path) -> tuple[int, str]:
    """Run a bound script with real bash; return its exit code and errors."""
    script, names = bind(text)
    variables = {name: value for name, value in zip(names, values, strict=True) if name is not None}
    file = folder / "script"
    file.write_text(
        'out() { printf %s "$1" > got; test $# -eq 1; }\n' + prelude(script, variables) + script, "utf-8"
    )
    for left in (folder / "got", *folder.rglob("pwned*")):
        left.unlink(missing_ok=True)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", str(file)],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        timeout=20,
    )
    return done.returncode, done.stderr


def check(context: Context, value: str, folder: Path) -> None:
    code, errors = run(context.script, [value] * context.script.count(MARK), folder)
    assert not list(folder.rglob("pwned")), "a value ran as code"
    assert code == 0, errors
    expected = value.rstrip("\n") if context.strips and not context.after.endswith(".") else value
    assert (folder / "got").read_bytes().decode() == context.before + expected + context.after


@pytest.mark.parametrize("name", CONTEXTS)
def test_nasty_values_arrive_unchanged_in_every_place(name: str, tmp_path: Path) -> None:
    for value in NASTY:
        check(CONTEXTS[name], value, tmp_path)


HOSTILE = ("$(touch pwned)", "'; touch pwned; '", '"; touch pwned; "', "\ntouch pwned\n", "a[$(touch pwned)]")

VALUES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30),
    st.text("'\"`$(){}[]\\;&|<>*?!#~ \n\ta=:-", max_size=30),
    st.lists(st.sampled_from(NASTY), max_size=3).map("".join),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(CONTEXTS)), value=VALUES)
def test_any_value_arrives_unchanged_in_every_place(name: str, value: str, tmp_path: Path) -> None:
    check(CONTEXTS[name], value, tmp_path)


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("value", ["5", "0"])
def test_numbers_may_be_computed_with(name: str, value: str, tmp_path: Path) -> None:
    text = INTEGERS[name]
    _, names = bind(text)
    assert names[0] is not None
    assert names[0].startswith("__fb_int_")
    code, errors = run(text, [value], tmp_path)
    assert code == 0, errors
    # as if the number stood there
    plain = tmp_path / "plain"
    plain.mkdir()
    run(text.replace(MARK, value), [], plain)
    assert (tmp_path / "got").read_text() == (plain / "got").read_text()


def test_a_negative_number_keeps_its_sign(tmp_path: Path) -> None:
    for text, expected in [("out $((3 -@@))", "8"), ("out $((-@@))", "5"), ("out $((2 * @@))", "-10")]:
        code, errors = run(text, ["-5"], tmp_path)
        assert code == 0, errors
        assert (tmp_path / "got").read_text() == expected


PIECES = st.sampled_from(
    [
        *(
            "echo ",
            "out ",
            "x=",
            " ",
            "\n",
            ";",
            "|",
            "&&",
            "a",
            "#",
            "@@",
            "@@",
            "@@",
            "'",
            '"',
            "`",
            "\\",
            "$",
        ),
        *(
            "$(",
            ")",
            "(",
            "${x:-",
            "${x%",
            "}",
            "$((",
            "))",
            "((",
            "[[ ",
            " ]]",
            " -eq ",
            "$'",
            "<<E\n",
            "\nE\n",
        ),
        *(
            "<<'E'\n",
            "<<< ",
            "case a in ",
            "a) ",
            ";; ",
            "esac",
            "if ",
            "then ",
            "fi",
            "for x in ",
            "do ",
            "done",
        ),
        *(
            "{ ",
            "} ",
            "eval ",
            "bash -c ",
            "printf ",
            "test ",
            "declare ",
            "a[",
            "]=",
            "=(",
            ">",
            "<(",
            "!",
            "*",
        ),
    ]
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.lists(PIECES, max_size=8).map("".join), after=st.lists(PIECES, max_size=6).map("".join))
def test_no_script_whatever_lets_a_value_run(before: str, after: str, tmp_path: Path) -> None:
    """Scripts of random pieces: most are refused or wrong, but none runs a value."""
    text = before + MARK + after
    try:
        bind(text)
    except ScriptError:
        return
    for value in HOSTILE:
        with contextlib.suppress(TaskFailed):  # where bash computes, none of them is taken
            run(text, [value] * text.count(MARK), tmp_path)
        assert not list(tmp_path.rglob("pwned")), text
