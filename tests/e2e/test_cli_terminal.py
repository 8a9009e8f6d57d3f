"""What a person at a terminal sees: progress while a run goes, the table at its end, Ctrl-C."""

import os
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator

import pytest
from command_line import PATIENCE, Cli

GATED = """
    flow: gated
    tasks:
      quick: {type: set, with: 1}
      gate: {run: "cat gate > /dev/null"}
      a_task_with_a_name_that_is_much_too_long_for_this_terminal: {needs: [gate], run: echo done}
    finally:
      last: {run: "cat last > /dev/null"}
"""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command at a terminal of its own, 60 columns wide."""

    def __init__(self, cli: Cli, *words: str, **environ: str) -> None:
        self._screen, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (24, 60))
        self.process = subprocess.Popen(
            cli.command(*words),
            cwd=cli.folder,
            env={**cli.environ, "TERM": "xterm-256color", **environ},
            preexec_fn=lambda: os.login_tty(theirs),
        )
        os.close(theirs)
        self.raw = ""

    def see(self, pattern: str) -> str:
        """Read until a pattern stands on the screen; return all that was written so far."""
        until = time.monotonic() + PATIENCE
        while not re.search(pattern, self.plain):
            assert select.select([self._screen], [], [], until - time.monotonic())[0], self.plain
            if not self._read():
                pytest.fail(f"{pattern!r} was never shown:\n{self.plain}")
        return self.plain

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def end(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        os.close(self._screen)

    @property
    def plain(self) -> str:
        return ESCAPES.sub("", self.raw)

    def _read(self) -> bool:
        try:
            data = os.read(self._screen, 65536)
        except OSError:  # what Linux says when the other end is closed
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)


@pytest.fixture
def opened(cli: Cli) -> Iterator[list[Terminal]]:
    terminals: list[Terminal] = []
    yield terminals
    for terminal in terminals:
        terminal.close()


def open_gate(cli: Cli, name: str = "gate") -> None:
    (cli.folder / name).write_text("open\n")


def test_progress_shows_what_runs_and_the_table_how_it_went(cli: Cli, opened: list[Terminal]) -> None:
    cli.fifo("gate")
    cli.fifo("last")
    screen = Terminal(cli, "run", cli.flow(GATED))
    opened.append(screen)

    screen.see(r"gated  1 of 4 tasks")
    screen.see(r"✓ quick")
    open_gate(cli)
    screen.see(r"gated  3 of 4 tasks")
    open_gate(cli, "last")
    code = screen.end()

    table = screen.plain[screen.plain.rindex("status") :]
    assert code == 0
    assert "\x1b[32msucceeded\x1b[0m" in screen.raw
    assert "✓ gated succeeded in" in table
    assert "runs show" in table
    rows = [line for line in table.splitlines() if "succeeded" in line and "✓" not in line]
    assert len(rows) == 4
    assert max(map(len, rows)) <= 60


def test_ctrl_c_is_answered_above_the_progress_and_cancels_in_order(cli: Cli, opened: list[Terminal]) -> None:
    cli.fifo("gate")
    cli.fifo("last")
    screen = Terminal(cli, "run", cli.flow(GATED))
    opened.append(screen)
    screen.see(r"1 of 4 tasks")

    screen.type("\x03")
    screen.see(r"cancelling: what runs is ended")
    open_gate(cli, "last")
    code = screen.end()

    assert code == 130
    assert "■ gated cancelled" in screen.plain
    assert "Traceback" not in screen.plain


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["no colour", "dumb"])
def test_a_terminal_that_wants_no_colour_gets_plain_text(
    cli: Cli, opened: list[Terminal], environ: dict[str, str]
) -> None:
    cli.fifo("gate")
    cli.fifo("last")
    screen = Terminal(cli, "run", cli.flow(GATED), **environ)
    opened.append(screen)

    open_gate(cli)
    open_gate(cli, "last")
    code = screen.end()

    assert code == 0
    assert "\x1b" not in screen.raw
    assert "of 4 tasks" not in screen.raw
    assert "✓ gated succeeded" in screen.raw


def test_a_run_that_changes_the_world_is_asked_for_before_it_is_analyzed(
    cli: Cli, opened: list[Terminal]
) -> None:
    flow = cli.flow("flow: writes\ntasks:\n  write: {run: echo once >> effects.txt}\n")
    answers = {"n": 130, "y": 0}

    codes = {}
    for answer in answers:
        screen = Terminal(cli, "explain", flow, "--analyze")
        opened.append(screen)
        screen.see(r"Run them\? \[y/N\]")
        screen.type(f"{answer}\n")
        codes[answer] = screen.end()

    assert codes == answers
    assert (cli.folder / "effects.txt").read_text() == "once\n"
