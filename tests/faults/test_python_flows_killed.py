"""A run of a flow in Python outlives its process: the next one knows neither the module nor its objects."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

FLOW = """
from dataclasses import dataclass
from pathlib import Path
import time

from flowbuilder import flow, map, task

HERE = Path(__file__).parent


@dataclass
class Order:
    number: int


@task
def fetch() -> list[Order]:
    with open(HERE / "fetched", "a") as file:
        file.write("x")
    return [Order(1), Order(2)]


@task(effect="read")
def hold(order: Order) -> int:
    (HERE / f"held-{order.number}").touch()
    while not (HERE / "go").exists():
        time.sleep(0.01)
    return order.number * 10


@flow
def inner(orders: list[Order]):
    return map(hold, orders)


@flow
def held():
    return {"numbers": inner(fetch())}
"""


def flowbuilder(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "flowbuilder.cli.main", *words],
        cwd=folder,
        env={**os.environ, "FLOWBUILDER_HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_run_is_carried_on_by_a_process_that_was_told_nothing(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "orders_flow.py").write_text(FLOW)
    first = flowbuilder(project, "run", "orders_flow:held")
    until = time.monotonic() + 60
    while not ((project / "held-1").exists() and (project / "held-2").exists()):
        assert time.monotonic() < until, first.communicate()
        assert first.poll() is None, first.communicate()
        time.sleep(0.02)

    first.send_signal(signal.SIGKILL)
    first.communicate()
    (project / "go").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    second = subprocess.run(
        [
            sys.executable,
            "-m",
            "flowbuilder.cli.main",
            "runs",
            "resume",
            "--all",
            "--store",
            str(project / "flowbuilder.db"),
        ],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 0, second.stderr

    listed = flowbuilder(project, "runs", "list", "--json").communicate(timeout=60)[0]
    (run,) = [each for each in json.loads(listed)["runs"] if each["flow"] == "held"]
    shown = json.loads(
        flowbuilder(project, "runs", "show", run["run_id"], "--json").communicate(timeout=60)[0]
    )
    assert shown["status"] == "succeeded", shown["error"]
    assert shown["outputs"] == {"numbers": [10, 20]}
    assert (project / "fetched").read_text() == "x"
