"""Diagnostics as text, JSON and SARIF."""

from flowbuilder.compiler.codes import CODES
from flowbuilder.compiler.render import render_json, render_lines, render_sarif, render_text, summary
from flowbuilder.core.diagnostics import Diagnostic
from flowbuilder.core.span import Span

SOURCES = {"a.yaml": "flow: x\nkey: välue 日本 bad\n" + "x" * 500 + "\n"}


def at(line: int, column: int, end: int, file: str = "a.yaml") -> Span:
    return Span(file, line, column, line, end)


def test_a_caret_stands_below_what_it_is_about() -> None:
    text = render_text([Diagnostic("FB201", "this is 'bad'", at(2, 15, 18), ("do better",))], SOURCES)

    assert text.splitlines() == [
        "a.yaml:2:15: FB201 this is 'bad'",
        "   |",
        " 2 | key: välue 日本 bad",
        "   |                 ^^^",  # the two wide characters take four columns
        "   = do better",
    ]


def test_a_warning_says_so() -> None:
    found = Diagnostic("FB111", "hm", at(1, 1, 5), severity="warning")

    assert render_text([found], SOURCES).startswith("a.yaml:1:1: FB111 warning: hm\n")


def test_of_a_long_line_the_part_around_the_caret_is_shown() -> None:
    lines = render_text([Diagnostic("FB201", "long", at(3, 300, 310))], SOURCES).splitlines()

    assert max(map(len, lines)) < 160
    assert lines[2][lines[3].index("^")] == "x"


def test_without_its_text_a_diagnostic_is_one_line() -> None:
    assert render_text([Diagnostic("FB201", "gone", at(1, 1, 2, "b.yaml"))], {}) == "b.yaml:1:1: FB201 gone\n"


def test_a_span_beyond_the_text_is_no_reason_to_fail() -> None:
    assert "FB201 far" in render_text([Diagnostic("FB201", "far", at(99, 1, 2))], SOURCES)


def test_nothing_in_a_flow_reaches_a_terminal_as_a_control_sequence() -> None:
    evil = "\x1b[2J\x07\u202e"
    text = render_text([Diagnostic("FB201", f"no {evil}", at(1, 1, 9), (evil,))], {"a.yaml": f"a {evil} b"})

    assert not set(evil) & set(text) - {"[", "2", "J"}


def test_pieces_say_what_they_are() -> None:
    roles = [
        [piece.role for piece in line]
        for line in render_lines([Diagnostic("FB201", "a", at(1, 1, 2), ("b",))], SOURCES)
    ]

    assert roles == [
        ["place", "error", "message"],
        ["gutter"],
        ["gutter", "source"],
        ["gutter", "caret"],
        ["gutter", "hint"],
    ]


def test_the_summary_counts() -> None:
    error = Diagnostic("FB201", "a", at(1, 1, 2))
    warning = Diagnostic("FB111", "a", at(1, 1, 2), severity="warning")

    assert summary([error, error, warning]) == "2 errors, 1 warning"
    assert summary([warning]) == "1 warning"
    assert summary([]) == ""


def test_json_has_every_field() -> None:
    (found,) = render_json([Diagnostic("FB201", "a", at(1, 2, 3), ("b",))])

    assert found == {
        "code": "FB201",
        "severity": "error",
        "message": "a",
        "hints": ["b"],
        "file": "a.yaml",
        "line": 1,
        "column": 2,
        "end_line": 1,
        "end_column": 3,
    }


def test_sarif_names_rules_and_places() -> None:
    log = render_sarif(
        [
            Diagnostic("FB201", "a", at(1, 2, 3), ("b",)),
            Diagnostic("FB111", "c", at(2, 1, 4, "/flows/ä b.yaml"), severity="warning"),
        ],
        "1.2.3",
    )
    (run,) = log["runs"]

    assert (log["version"], run["tool"]["driver"]["version"]) == ("2.1.0", "1.2.3")
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["FB111", "FB201"]
    assert [rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"]] == [
        CODES["FB111"],
        CODES["FB201"],
    ]
    first, second = run["results"]
    assert (first["ruleIndex"], first["level"], first["message"]["text"]) == (1, "error", "a\nb")
    place = second["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "file:///flows/%C3%A4%20b.yaml"
    assert place["region"] == {"startLine": 2, "startColumn": 1, "endLine": 2, "endColumn": 4}


def test_sarif_of_nothing_is_a_run_without_results() -> None:
    assert render_sarif([], "1")["runs"][0]["results"] == []
