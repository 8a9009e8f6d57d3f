"""The example of forks, forked as its comment says."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def flowbuilder(folder: Path, *words: str, code: int = 0) -> dict[str, Any]:
    command = [sys.executable, "-m", "flowbuilder.cli.main", *words, "--json", "--quiet"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=100, check=False, env={**os.environ}
    )
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_was_measured_is_taken_over_by_each_fork(examples: Path) -> None:
    folder = examples / "fork"
    failed = flowbuilder(folder, "run", "flow.yaml", "-i", "unit=parsec", code=1)
    run = failed["run_id"]

    forked = flowbuilder(folder, "runs", "fork", run, "--from", "convert", "--set", "inputs.unit=km")
    by_hand = flowbuilder(
        folder, "runs", "fork", forked["run_id"], "--set", "tasks.measure.output.stdout=7000"
    )
    again = flowbuilder(folder, "runs", "fork", run, "--set", "inputs.unit=m")

    assert failed["error"]["message"] == "nobody knows the unit parsec"
    assert forked["outputs"] == {"report": "1.5 km"}
    assert by_hand["outputs"] == {"report": "7.0 km"}
    assert again["outputs"] == {"report": "1500.0 m"}
    assert (folder / "measured.txt").read_text() == "measured\n" * 2
