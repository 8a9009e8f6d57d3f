"""`flowbuilder run` of a one-task flow, from the start of the process to its exit."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measure(folder: Path) -> Iterator[Figure]:
    """Yield one line of the table."""
    flow = folder / "one.yaml"
    flow.write_text(
        'flow: one\ninputs: {n: {type: integer}}\ntasks: {a: {type: set, with: "${{ inputs.n }}"}}\n'
    )
    command = os.path.join(os.path.dirname(sys.executable), "flowbuilder")
    store = str(folder / "command.db")
    run = [command, "run", str(flow), "-i", "n=1", "--store", store, "--json"]
    bare = [sys.executable, "-c", "pass"]
    _time(run)  # after the first start, as after any installation, modules are there as bytecode
    taken, floor = [], []
    for _ in range(15):
        taken.append(_time(run))
        floor.append(_time(bare))
    name = "a bare interpreter"
    yield Figure("`flowbuilder run` of a one-task flow", median(taken), 0.25, 0.13, median(floor), name)


def _time(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, timeout=30, env=_ENVIRONMENT)
    return time.perf_counter() - start
