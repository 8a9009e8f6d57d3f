"""What commands print, at a terminal and through a pipe."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flowbuilder.cli import exits
from flowbuilder.cli.command import TABLE, command_of
from flowbuilder.cli.failures import report
from flowbuilder.cli.helping import Page, write_help
from flowbuilder.cli.next_steps import typed
from flowbuilder.cli.parsing import UsageError
from flowbuilder.cli.plan_colours import coloured
from flowbuilder.cli.results import exit_code, format_time, show_result, task_row
from flowbuilder.cli.tables import show_table, width_of
from flowbuilder.cli.terminal import is_rich
from flowbuilder.core import errors
from flowbuilder.core.diagnostics import Diagnostic
from flowbuilder.core.span import Span
from flowbuilder.runtime.settings import ConfigError, Problem
from flowbuilder.runtime.views import RunView, TaskView

RUN = "01jdm3q8v70000c4h2m5t8w1xz"
STORE = Path("runs.db")
GOLDEN = Path(__file__).parents[2] / "golden" / "explain"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run_view(status: str, **more: object) -> RunView:
    values: dict[str, object] = {
        "run_id": RUN,
        "flow": "demo",
        "status": status,
        "inputs": {},
        "outputs": None,
        "error": None,
        "created_at": 100.0,
        "started_at": 100.0,
        "ended_at": 101.5,
        "key": None,
        "priority": 50,
        "parent": None,
        "wake_at": None,
        "labels": {},
        "tasks": {},
        "elements": {},
    }
    return RunView(**{**values, **more})


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")


def test_colour_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_rich(Terminal())
    assert not is_rich(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not is_rich(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not is_rich(Terminal())


def test_a_table_through_a_pipe_is_plain_columns_and_cuts_nothing() -> None:
    stream = io.StringIO()

    show_table(stream, ("task", "time"), [("a", "1ms"), ("b" * 90, "12ms")], numbers=frozenset({"time"}))

    assert stream.getvalue() == f"{'task':<90}  time\n{'a':<90}   1ms\n{'b' * 90}  12ms\n"


def test_a_table_at_a_terminal_is_coloured_and_fits() -> None:
    stream = Terminal()

    show_table(stream, ("status", "note"), [("failed", "x" * 100)])

    lines = stream.getvalue().splitlines()
    assert lines[1].startswith("\x1b[1;31mfailed\x1b[0m")
    assert lines[1].endswith("x…")
    assert len(lines[1]) - len("\x1b[1;31m\x1b[0m") <= 60


def test_a_cell_cannot_move_the_cursor() -> None:
    stream = Terminal()

    show_table(stream, ("note",), [("two\nlines \x1b[2J",)])

    assert "two lines  [2J" in stream.getvalue()


def test_wide_characters_take_two_places() -> None:
    assert (width_of("ok"), width_of("東京"), width_of("e\u0301")) == (2, 4, 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.00004, "0.04ms"), (0.0123, "12.3ms"), (0.9996, "1s"), (1.236, "1.24s"), (83.4, "1m23s")],
)
def test_times_have_about_three_digits(seconds: float, text: str) -> None:
    assert format_time(seconds) == text


@pytest.mark.parametrize(
    ("status", "interrupted", "code"),
    [
        ("succeeded", False, exits.DONE),
        ("succeeded", True, exits.DONE),
        ("failed", False, exits.FAILED),
        ("cancelled", False, exits.CANCELLED),
        ("cancelled", True, exits.INTERRUPTED),
        ("running", False, exits.TOO_LONG),
        ("waiting", True, exits.INTERRUPTED),
    ],
)
def test_the_exit_code_says_how_a_run_stands(status: str, interrupted: bool, code: int) -> None:
    assert exit_code(run_view(status), interrupted=interrupted) == code


def test_the_summary_names_tasks_errors_and_what_to_type_next(capsys: pytest.CaptureFixture[str]) -> None:
    error = {"kind": "http.503", "message": "busy", "task": "fetch", "attempt": 3}
    tasks = {
        "fetch": TaskView("failed", error=error, attempts=3, started_at=100.0, duration=1.25),
        "each": TaskView("succeeded", attempts=1, items=4, items_done=4, errors=[error], duration=0.02),
        "after": TaskView("skipped", reason="upstream_failed"),
    }

    show_result(run_view("failed", tasks=tasks, error=error), STORE, json=False, quiet=False)

    out, err = capsys.readouterr()
    assert out == ""
    assert "3 attempts; http.503: busy" in err
    assert "4 items, 1 failed" in err
    assert "what it needs failed" in err
    assert "demo failed in 1.5s" in err
    assert f"flowbuilder runs logs {RUN} fetch" in err


def test_a_large_run_shows_what_failed_and_counts_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    tasks = {f"t{n}": TaskView("succeeded", attempts=1, duration=0.1) for n in range(500)}
    tasks["bad"] = TaskView("failed", attempts=1, error={"kind": "fail", "message": "no"})

    show_result(run_view("failed", tasks=tasks), STORE, json=False, quiet=False)

    err = capsys.readouterr().err
    assert "bad" in err.splitlines()[1]
    assert "… 441 more" in err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UsageError("no", "run", "try"), 2, ("no", "try", "flowbuilder run --help")),
        (errors.InputError([("$.a", "is bad"), ("$.b", "too")]), 2, ("$.a: is bad", "$.b: too")),
        (errors.KeyConflict("k", RUN), 2, (f"flowbuilder runs show {RUN}",)),
        (errors.NotFound("run", "01", "look"), 5, ("there is no run '01'", "look")),
        (errors.StoreFull("the disk is full", "free some"), 1, ("the disk is full", "free some")),
        (ConfigError([Problem("f.toml", "bad", "fix")], True), 3, ("f.toml: bad", "fix")),
        (ConfigError([Problem("FLOWBUILDER_X", "bad")], False), 2, ("FLOWBUILDER_X: bad",)),
        (PermissionError(13, "Permission denied", "x.db"), 1, ("x.db: Permission denied",)),
        (RuntimeError("odd"), 1, ("RuntimeError: odd", "please report", "FLOWBUILDER_TRACEBACK=1")),
        (
            errors.FlowError([Diagnostic("FB201", "no key 'x'", Span("a.yaml", 3, 5, 3, 6))]),
            3,
            ("a.yaml:3:5: FB201 no key 'x'", "1 error"),
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_becomes_words_and_a_code(
    error: Exception, code: int, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(error) == code

    out, err = capsys.readouterr()
    assert out == ""
    assert all(word in err for word in words)
    assert "Traceback" not in err


def test_help_is_wrapped_and_colour_changes_no_words() -> None:
    plain = Page(coloured=False, width=60)
    coloured = Page(coloured=True, width=60)
    for page in (plain, coloured):
        write_help(page, "run")

    stripped = coloured.text()
    for code in ("\x1b[1m", "\x1b[36m", "\x1b[0m"):
        stripped = stripped.replace(code, "")
    assert stripped == plain.text()
    assert "\x1b" not in plain.text()
    prose = [line for line in plain.text().splitlines() if not line.startswith("    ")]
    assert max(map(len, prose)) <= 60


def test_what_to_type_next_names_the_program_as_the_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / ".venv" / "bin" / "flowbuilder"
    program.parent.mkdir(parents=True)
    program.touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(program)])
    store = tmp_path / ".flowbuilder" / "flowbuilder.db"

    monkeypatch.setenv("PATH", str(tmp_path))
    hidden = typed("runs list", store)
    monkeypatch.setenv("PATH", str(program.parent))
    found = typed("runs list", store)
    elsewhere = typed("runs list", tmp_path / "my store.db")

    assert hidden == ".venv/bin/flowbuilder runs list"
    assert found == "flowbuilder runs list"
    assert elsewhere == "flowbuilder runs list --store 'my store.db'"


def test_a_run_that_its_engine_left_is_to_be_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    show_result(run_view("running", ended_at=None), STORE, json=False, quiet=False, left=True)

    assert f"runs resume {RUN}" in capsys.readouterr().err


def test_why_a_task_did_not_run_is_said_in_words() -> None:
    notes = {
        reason: task_row("a", TaskView("skipped", reason=reason))[3]
        for reason in ("condition", "upstream_failed", "upstream_skipped", "not_reached")
    }

    assert notes["condition"] == "its condition does not hold"
    assert not any("_" in note for note in notes.values())
    assert task_row("a", TaskView("cancelled", reason="cancelled"))[3] == ""


def test_colours_change_no_word_of_a_plan() -> None:
    plan = (GOLDEN / "after_a_run.txt").read_text("utf-8")

    shown = coloured(plan)

    assert re.sub(r"\x1b\[[0-9;]*m", "", shown) == plan
    assert "\x1b[1mpython slow\x1b[0m" in shown
    assert "\x1b[31m failed\x1b[0m" in shown


INTERRUPTED = """
import signal, sys
from flowbuilder.cli.terminal import data, flush_data, prepare_streams
prepare_streams()
seen = []
def alarm(*_):
    seen.append(1)
    if len(seen) == 3:
        sys.stderr.write("interrupted\\n")
signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
data("x" * 1_000_000)
flush_data()
signal.setitimer(signal.ITIMER_REAL, 0)
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_signal_in_the_middle_of_a_long_write_loses_nothing(unbuffered: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert process.stderr is not None
    assert process.stderr.readline() == b"interrupted\n"  # the pipe is full, and three signals have come

    out, _ = process.communicate(timeout=60)

    assert len(out) == 1_000_001
    assert process.returncode == 0


def test_the_first_help_is_short_and_names_every_command() -> None:
    page = Page(coloured=False, width=80)
    write_help(page, "")
    text = page.text()

    assert len(text.splitlines()) <= 60
    words = set(re.findall(r"[a-z]+", text))
    assert [name for name in TABLE if not set(name.split()) <= words] == []


@pytest.mark.parametrize("name", TABLE)
def test_the_help_of_each_command_has_an_example_that_is_one(name: str) -> None:
    command = command_of(name)

    assert any(f"flowbuilder {name}" in example for _, example in command.examples)
