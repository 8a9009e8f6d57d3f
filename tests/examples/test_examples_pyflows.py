"""The examples of flows in Python, and of plug-ins."""

import json
import os
import subprocess
import sys
from pathlib import Path

EXPECTED = {"total": 36.75, "discounts": [2.0, None, 1.25], "said": "a good day: 36.75"}


def typed(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=cwd,
        env=os.environ,
    )


def flowbuilder(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return typed("-m", "flowbuilder.cli.main", *words, cwd=cwd)


def test_the_flow_in_python_runs_from_the_command_line_and_as_a_script(examples: Path) -> None:
    folder = examples / "python_flow"

    done = flowbuilder("run", str(folder / "flow.py:daily_report"), "--json", "--quiet")
    alone = flowbuilder("run", "flow:daily_report", "-i", "day=2025-01-01", "--json", "-q", cwd=folder)
    script = typed("flow.py", cwd=folder)

    assert json.loads(done.stdout)["outputs"] == EXPECTED, done.stderr
    assert json.loads(alone.stdout)["outputs"] == {"total": 0, "discounts": [], "said": "a day like others"}
    assert script.stdout == f"{EXPECTED}\n", script.stderr


def test_a_task_type_of_the_project_runs_and_is_described(examples: Path) -> None:
    folder = examples / "plugin"

    done = flowbuilder("run", "flow.yaml", "--json", "--quiet", cwd=folder)
    checked = flowbuilder("plugins", "check", cwd=folder)

    assert json.loads(done.stdout)["outputs"] == {"words": 9, "longest": "quick"}, done.stderr
    assert checked.stdout == "word_count: fine\n", checked.stderr
