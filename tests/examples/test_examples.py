"""Every example runs, and yields what it says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOKEN = "a-token-for-this-test-only"

YIELDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text("utf-8")) for path in sorted((HERE / "yields").glob("*.json"))
}
"""What examples put out that need nothing but to be run; the others have tests of their own."""


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flowbuilder.cli.main", "run", str(folder / "flow.yaml"), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100, check=False, env={**os.environ, **environ}
    )


def result(folder: Path, *arguments: str, **environ: str) -> dict[str, Any]:
    done = run(folder, "--json", "--quiet", *arguments, **environ)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["status"] == "succeeded", found["error"]
    assert done.returncode == 0
    return found


@pytest.mark.parametrize("name", list(YIELDS))
def test_an_example_yields_what_it_says(examples: Path, name: str) -> None:
    assert result(examples / name)["outputs"] == YIELDS[name]


def test_every_example_is_tested_and_listed() -> None:
    names = {
        path.name for path in (ROOT / "examples").iterdir() if path.is_dir() and any(path.glob("flow.*"))
    }
    listed = set(
        re.findall(r"\]\(([\w-]+)/flow\.\w+\)", (ROOT / "examples" / "README.md").read_text("utf-8"))
    )
    tests = "".join(path.read_text("utf-8") for path in HERE.glob("test_*.py"))
    tested = {*YIELDS, *re.findall(r'examples / "([\w-]+)"', tests)}

    assert names <= tested
    assert listed == names


def test_the_secret_of_the_example_is_never_shown(examples: Path) -> None:
    found = result(examples / "secrets", FLOWBUILDER_SECRET_DEMO_TOKEN=TOKEN)

    assert found["outputs"]["said"] == ["the token is ***", "in base64 it is ***"]
    assert re.fullmatch("[0-9a-f]{12}", found["outputs"]["digest"])
    kept = b"".join(path.read_bytes() for path in examples.rglob("flowbuilder.db*") if path.is_file())
    assert TOKEN.encode() not in kept


def test_the_example_of_finally_cleans_up_after_a_failure(examples: Path) -> None:
    done = run(examples / "finally", "--json", "-i", "fail=true")
    tasks = json.loads(done.stdout)["tasks"]

    assert done.returncode == 1
    assert tasks["on_failure:report"]["status"] == "succeeded"
    assert tasks["finally:clean_up"]["status"] == "succeeded"
    assert not Path(tasks["folder"]["output"]["stdout"]).exists()


@pytest.mark.parametrize(("format", "file"), [("page", "report.html"), ("markdown", "report.md")])
def test_the_quickstart_writes_its_report(examples: Path, format: str, file: str) -> None:
    folder = examples / "quickstart"

    found = result(folder, "-i", f"format={format}", "-i", "busiest=5")

    assert found["outputs"]["flights"] == 2000
    assert found["outputs"]["least_punctual"] == "PHX"
    assert Path(found["outputs"]["report"]) == folder / "out" / file
    text = (folder / "out" / file).read_text("utf-8")
    assert all(city in text for city in ("Chicago", "Dallas-Fort Worth", "Los Angeles", "Atlanta", "Phoenix"))
    skipped = "markdown" if format == "page" else "page"
    assert found["tasks"][skipped]["status"] == "skipped"
    assert len(found["tasks"]["airports"]["output"]) == 5
    assert found["tasks"]["finally:stop"]["output"] == "stopped"
