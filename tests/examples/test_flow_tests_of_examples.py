"""Every example has tests of its own, and they pass."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_tests_of_all_examples_pass() -> None:
    command = [sys.executable, "-m", "flowbuilder.cli.main", "test", "examples", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    found = json.loads(done.stdout)

    failed = [
        (test["file"], test["name"], test["problems"])
        for test in found["tests"]
        if test["verdict"] != "passed"
    ]
    assert failed == []
    assert done.returncode == 0


def test_every_example_has_tests() -> None:
    folders = [path for path in (ROOT / "examples").iterdir() if any(path.glob("flow.*"))]

    assert not [path.name for path in folders if not any(path.glob("*.test.yaml"))]
