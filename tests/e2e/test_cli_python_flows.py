"""Flows of Python files on the command line: scripts that run themselves, and places in Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from command_line import PATIENCE, Cli

SCRIPT = """\
from flowbuilder import flow, task


@task
def one() -> int:
    return 1


@flow
def count() -> int:
    return one()


print(count())
"""
WRONG = """\
from flowbuilder import flow, task


@task
def rows() -> list[dict]:
    return [{"n": 1}, {"m": 2}]


@task
def out(x: int) -> int:
    return x


@flow
def wrong(seconds: int = 0) -> int:
    found = rows()
    later = out.with_options(deadline="1h")(found[0].n)


    return out(found[1].n + later)
"""


def test_a_script_may_run_its_flow_and_is_not_run_again_by_it(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_a_flow_that_its_file_runs_while_it_is_imported_is_refused_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    cli = Cli(tmp_path)

    for words in (("validate", "script.py:count"), ("run", "script.py:count")):
        done = cli(*words)
        assert done.returncode == 3
        assert "script.py:14:7: FB296" in done.stdout + done.stderr
        assert 'if __name__ == "__main__":' in done.stdout + done.stderr


def test_an_error_of_a_run_stands_at_the_line_in_python(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)

    done = Cli(tmp_path)("run", "wrong.py:wrong")

    assert done.returncode == 1
    assert "wrong.py:20:16: there is no member 'n'" in done.stderr
