"""What YAML makes of what people write: each trap, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from compiling import codes, compiled, flow, said, tasks
from flowbuilder.compiler import ir
from flowbuilder.compiler.expressions.tree import Const
from flowbuilder.compiler.limits import Limits


def value(written: str) -> Any:
    """Return what stands in a task's `with`, as a constant."""
    work = tasks(f"a: {{type: set, with: {{v: {written}}}}}")["a"].work
    assert isinstance(work, ir.Compute)
    assert isinstance(work.value, Const)
    return work.value.value["v"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("lines", "code", "hint"),
    [
        ("a: {type: http, with: {url: ${{ vars.x }}/y}}", "FB103", "'${{ vars.x }}/y'"),
        ("a: {type: set, with: [${{ vars.x }}]}", "FB103", "${{ vars.x }}"),
        ("a:\n  type: set\n  with: ${{ {'a': 1} }}", "FB103", ""),
        ("a:\n  type: set\n  with: ${{ vars.xs[1 : 3] }}", "FB103", ""),
        ("a:\n  type: set\n  with: ${{ 'issue #' + vars.x }}", "FB104", 'write: with: "'),
        ("a:\n  type: set\n  with: \"${{ matches('x', '\\d+') }}\"", "FB116", "single quotes"),
        ("a:\n  type: set\n  with: 1\n  if: 'prod' == vars.x", "FB101", ""),
        ("a:\n  type: set\n  with: 1\n  if: !x", "FB107", "not x"),
        ("a:\n  type: set\n  with: 1\n  if: *x", "FB108", ""),
        ("a:\n  type: set\n  with: {{ vars.x }}", "FB102", "${{ vars.x }}"),
        ('a:\n  type: set\n  with: "{{ vars.x }}"', "FB114", "${{"),
        ('a:\n  type: set\n  with: "${vars.x}"', "FB114", "${{"),
        ('a:\n  type: set\n  with: "$inputs.x"', "FB114", "${{"),
        ("a:\n  type: set\n  with: .nan", "FB110", ""),
        ("a:\n  type: set\n  with: -.inf", "FB110", ""),
        ("a:\n  type: set\n  with: */5 * * * *", "FB101", "needs quotes"),
        ('a:\n  run: echo "a: b"', "FB101", "run: |"),
        ("a:\n  run: echo a: b", "FB101", ""),
        ("a: {type: set, with: 1, with: 2}", "FB105", ""),
        ("a: {type: set, with: {x: 1, 'x': 2}}", "FB105", ""),
        ("a: {type: set, with: {1: x, 0x1: y, '1': z}}", "FB105", ""),
        ("a: {type: set, with: {? [1] : 2}}", "FB106", ""),
        ("a: {type: set, with: !!python/object/apply:os.system ['true']}", "FB107", ""),
        ("a: {type: set, with: !!timestamp 2026-01-05}", "FB107", ""),
        ("a: {type: set, with: &x [*x]}", "FB108", ""),
        ("a:\n\ttype: set", "FB101", ""),
        ("a: {type: set, with: 1}\n---\nb: 1", "FB113", ""),
        ("a: {type: set, with: {'${{ vars.x }}': 1}}", "FB115", ""),
    ],
)
def test_a_trap_of_yaml_has_words_of_its_own(lines: str, code: str, hint: str) -> None:
    text = flow(lines, head="vars: {x: 1, xs: [1]}\n")
    if "---" in lines:
        text = f"{flow('a: {type: set, with: 1}')}---\nflow: g\n"
    found = said(text)

    assert code in [one.code for one in found], found
    assert any(hint in word for one in found if one.code == code for word in (*one.hints, one.what)), found


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("No", "No"),
        ("y", "y"),
        ("true", True),
        ("True", True),
        ("TRUE", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("Null", None),
        ("", None),
        ("2026-01-05", "2026-01-05"),
        ("2026-01-05T12:00:00Z", "2026-01-05T12:00:00Z"),
        ("12:30:00", "12:30:00"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        ("1.0e+3", 1000.0),
        ("12", 12),
        ("-12", -12),
        ("+12", 12),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        (".5", 0.5),
        ("'1'", "1"),
        ('"true"', "true"),
        ("'''quoted'''", "'quoted'"),
        ("=", "="),
        ("<<x", "<<x"),
        ("0b1", "0b1"),
        ("1.2.3", "1.2.3"),
        (
            "{200: ok, true: y, null: z, on: w, 1.0: v}",
            {"200": "ok", "true": "y", "null": "z", "on": "w", "1.0": "v"},
        ),
        ("[1, [2, {a: b}]]", [1, [2, {"a": "b"}]]),
        ('"a\\u00e9\\n"', "aé\n"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written: str, expected: Any) -> None:
    found = value(written)

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("written", "warned"),
    [
        *((text, True) for text in ("0755", "3.10", "1.10", "010", "-0", "+12", ".5")),
        *((text, False) for text in ("1.0", "12", "1.5", "'3.10'", "0x00ff", "0o17", "1e3", "1e-7")),
    ],
)
def test_a_number_that_prints_otherwise_is_warned_about(written: str, warned: bool) -> None:
    found = said(flow(f"a: {{type: set, with: {{v: {written}}}}}"))

    assert [(one.code, one.severity) for one in found] == ([("FB111", "warning")] if warned else [])


def test_the_version_must_be_a_text() -> None:
    (found,) = said("flow: f\nversion: 1.10\ntasks: {a: {type: set, with: 1}}\n")

    assert found.severity == "error"
    assert "'1.10'" in " ".join((found.what, *found.hints)) or '"1.10"' in " ".join(
        (found.what, *found.hints)
    )


def test_a_block_that_ends_in_a_line_break_is_one_expression() -> None:
    work = tasks("a:\n  type: set\n  with: |\n    ${{ [1, 2] }}\n")["a"].work

    assert isinstance(work, ir.Compute)
    assert not isinstance(work.value, Const) or work.value.value == [1, 2]


def test_two_expressions_that_look_like_one_are_two() -> None:
    assert codes(flow("a: {type: set, with: '${{ 1 }} && ${{ 2 }}'}")) == []


def test_anchors_and_merges_work() -> None:
    text = """
flow: f
x-common: &common {type: set, with: 1}
tasks:
  a: *common
  b: {<<: *common, with: 2}
  c: {<<: [*common, {name: x}], needs: a}
"""
    found = {task.id: task.work for task in compiled(text).flow.main.tasks}

    assert [work.value.value for work in found.values()] == [1, 2, 1]  # type: ignore[union-attr]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "bomb",
    [
        "x-a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + "".join(
            f"x-{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(9)
        ),
        "x-a: &a {k: 1}\n"
        + "".join(
            f"x-{chr(98 + n)}: &{chr(98 + n)} {{{', '.join(f'k{i}: *{chr(97 + n)}' for i in range(10))}}}\n"
            for n in range(9)
        ),
        "x-a: &a {k: 1}\n" + "".join(f"x-{n}: {{<<: [{', '.join(['*a'] * 2_000)}]}}\n" for n in range(100)),
        "x-a: " + "[" * 5_000 + "]" * 5_000 + "\n",
        "x-a: " + "{a: " * 5_000 + "}" * 5_000 + "\n",
        "x-a:\n" + "".join("  " * n + "- \n" for n in range(1, 600)),
    ],
)
def test_bombs_are_refused_with_the_limit_or_take_no_time(bomb: str) -> None:
    found = codes(f"flow: f\n{bomb}tasks: {{a: {{type: set, with: 1}}}}\n")

    assert set(found) <= {"FB109", "FB101"}


def test_a_file_of_more_than_1_mib_names_the_limit_and_the_setting() -> None:
    (found,) = said("flow: f\n# " + "x" * (1 << 20) + "\ntasks: {a: {type: set, with: 1}}\n")

    assert found.code == "FB109"
    assert "1 MiB" in found.what or "1,048,576" in found.what
    assert any("limits.source_bytes" in hint for hint in found.hints)


def test_more_than_10_000_tasks_name_the_limit_and_the_setting() -> None:
    many = "\n".join(f"  t{n}: {{type: set, with: 1}}" for n in range(10_001))
    found = said(f"flow: f\ntasks:\n{many}\n", Limits(nodes=1_000_000))

    assert [one.code for one in found] == ["FB109"]
    assert "10,000" in found[0].what
    assert any("limits.tasks" in hint for hint in found[0].hints)


def test_a_raised_limit_lets_more_through() -> None:
    text = flow("a: {type: set, with: 1}\nb: {type: set, with: 1}")

    assert codes(text, Limits(tasks=1)) == ["FB109"]
    assert codes(text, Limits(tasks=2)) == []


def test_json_is_yaml() -> None:
    assert codes('{"flow": "f", "tasks": {"a": {"type": "set", "with": {"x": [1, null, "${{ 1 }}"]}}}}') == []
