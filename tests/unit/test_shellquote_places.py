"""Where a value stands decides how it is quoted, whether it is computed with, and whether it is refused."""

import doctest

import pytest

from flowbuilder.core import shellquote
from flowbuilder.core.shellquote import Placeholder, Script, ScriptError, bind_script, check_variable

MARK = "@@"


def bind(text: str) -> Script:
    """Bind a script in which `@@` stands for each value."""
    parts: list[str | Placeholder] = []
    for at, piece in enumerate(text.split(MARK)):
        parts += [Placeholder(), piece] if at else [piece]
    return bind_script(parts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("echo @@", 'echo "${__fb_0}"'),
        ('echo "a @@ b"', 'echo "a ${__fb_0} b"'),
        ("echo 'a @@ b'", "echo 'a '\"${__fb_0}\"' b'"),
        (r"echo $'a\n@@ b'", "echo $'a\\n'\"${__fb_0}\"$' b'"),
        ("x=@@ y", 'x="${__fb_0}" y'),
        ("cat <<E\n'@@'\nE\n", "cat <<E\n'${__fb_0}'\nE\n"),
        ('echo "$(echo "@@" @@)"', 'echo "$(echo "${__fb_0}" "${__fb_1}")"'),
        ("echo `echo @@`", 'echo `echo "${__fb_0}"`'),
        ("echo ${x:-@@}", 'echo ${x:-"${__fb_0}"}'),
        ('echo "${x:-@@}"', 'echo "${x:-${__fb_0}}"'),
        ('echo "${x%@@}"', 'echo "${x%"${__fb_0}"}"'),
        ("echo $((1 -@@))", "echo $((1 - ${__fb_int_0}))"),
        ("((x = @@))", "((x = ${__fb_int_0}))"),
        ("a[@@]=@@", 'a[${__fb_int_0}]="${__fb_1}"'),
        ("a=([@@]=@@ @@)", 'a=([${__fb_int_0}]="${__fb_1}" "${__fb_2}")'),
        ("echo ${a[@@]} ${b:@@:2}", "echo ${a[${__fb_int_0}]} ${b:${__fb_int_1}:2}"),
        ("[[ @@ -eq 1 && @@ == x ]]", '[[ "${__fb_int_0}" -eq 1 && "${__fb_1}" == x ]]'),
        ("let n=@@", 'let n="${__fb_int_0}"'),
        ("declare -i n=@@", 'declare -i n="${__fb_int_0}"'),
        ("declare -i n; n=@@", 'declare -i n; n="${__fb_int_0}"'),
        ("case @@ in a) echo @@;; *@@*) ;; esac; echo @@", None),
        ("for x in @@ b; do echo @@; done | sort", None),
        ("f() { echo @@; }; f", None),
        ("if ((1)); then (echo @@); fi", None),
        ("( (echo @@) ); ((echo @@) )", None),
        ("echo a#@@ # it's @@", 'echo a#"${__fb_0}" # it\'s '),
        ("[[ x =~ ^(a|b )$ ]] && echo @@", None),
        ("cat <(echo @@) > @@ 2>&1 <<< @@", None),
        ("cat <<A <<'B'\n@@ A\nA\nit's \"\nB\necho '@@'", None),
        ("cat <<-A\n\tx @@\n\tA\necho @@", None),
        ("printf '%s' @@; test @@ = @@; export X=@@; local y=@@", None),
        ("bash s.sh @@; python3 -m json.tool <<< @@; bash -c 'echo $1' x @@", None),
        ("ssh -p 22 @@ uptime; awk -f x @@", None),
    ],
)
def test_a_value_is_quoted_for_its_place(text: str, expected: str | None) -> None:
    script = bind(text).script
    assert script == expected if expected is not None else MARK not in script


def test_names_say_what_a_variable_must_be_and_comments_have_none() -> None:
    bound = bind("echo @@ $((@@)) # @@\necho @@")
    assert bound.names == ("__fb_0", "__fb_int_1", None, "__fb_3")


@pytest.mark.parametrize(
    "text",
    [
        "cat <<'E'\n@@\nE\n",
        r"echo \@@",
        'echo "\\@@"',
        r"echo $'\@@'",
        "echo $@@",
        "echo ${@@}",
        "eval echo @@",
        "command eval @@",
        "trap 'rm @@' EXIT",
        "bash -c 'echo @@'",
        'sudo -u x /bin/sh -ec "echo @@"',
        "find . -exec sh -c 'echo @@' ';'",
        "bash <<E\necho @@\nE\n",
        "cat <<E | bash\necho @@\nE\n",
        "echo @@ | bash -s",
        "{ echo @@; } | sh",
        "sh <<< @@",
        "python3 - <<E\n@@\nE\n",
        "perl -e 'print @@'",
        "awk '{print @@}' f",
        "ssh host ls @@",
        "unset @@",
        "read @@",
        "declare @@",
        "export @@=1",
        "printf -v @@ x",
        "printf @@ x",
        "test -v @@",
        "[ @@ @@ ]",
        "[[ -v @@ ]]",
        "declare -a x=@@",
        "x=(1); local x=@@",
        "declare -n x=@@",
        "PS4=@@",
        "echo $(( $(cat @@) ))",
        r"echo `echo \`echo @@\``",
        "echo \"${x%'@@'}\"",
        "shopt -s expand_aliases; echo @@",
        "echo $__fb_0 @@",
        "cat <<@@\nx\n@@",
        "echo 'never closed @@",
        'echo "never closed @@',
        "echo $(never closed @@",
        "echo ${x:-never closed @@",
        "cat <<E\nnever ended @@",
        "case x in a) @@",
        "echo ) @@",
        "echo \0 @@",
    ],
)
def test_what_would_run_or_cannot_be_told_is_refused(text: str) -> None:
    with pytest.raises(ScriptError) as caught:
        bind(text)
    assert all("env" in problem.hint for problem in caught.value.problems)


def test_every_problem_is_reported_with_the_number_of_its_value() -> None:
    with pytest.raises(ScriptError) as caught:
        bind("echo @@; eval @@; echo @@; unset @@")
    assert [problem.index for problem in caught.value.problems] == [1, 3]


def test_values_before_the_place_where_the_reader_is_lost_are_not_blamed() -> None:
    with pytest.raises(ScriptError, match="line 3"):
        bind("echo @@\n\necho 'x @@")
    with pytest.raises(ScriptError) as caught:
        bind("echo @@\n\necho 'x @@")
    assert [problem.index for problem in caught.value.problems] == [1]


def test_a_script_without_values_is_left_alone() -> None:
    assert bind_script(["echo 'never closed"]) == ("echo 'never closed", ())


@pytest.mark.parametrize(
    "text", ["((" * 3000, "$((" * 3000, "$(" * 3000, '"$(' * 3000, "${x:-" * 3000, "`" * 3001]
)
def test_deep_nesting_is_refused_in_bounded_time(text: str) -> None:
    with pytest.raises(ScriptError):
        bind(text + MARK)


@pytest.mark.parametrize("value", ["0", "-1", "9223372036854775807"])
def test_whole_numbers_may_stand_where_bash_computes(value: str) -> None:
    assert check_variable("__fb_int_0", value) == value


@pytest.mark.parametrize(
    "value", ["", "x", "a[$(id)]", "1.5", "010", "9223372036854775808", "1\n", "٣", "--1"]
)
def test_nothing_else_may(value: str) -> None:
    with pytest.raises(ValueError, match="no whole number"):
        check_variable("__fb_int_0", value)
    assert check_variable("__fb_0", value) == value


def test_no_variable_holds_a_nul() -> None:
    with pytest.raises(ValueError, match="NUL"):
        check_variable("__fb_0", "a\0b")


def test_the_example_in_the_documentation_holds() -> None:
    assert doctest.testmod(shellquote).failed == 0
