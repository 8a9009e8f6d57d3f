"""Compiling flows: of twenty tasks, of five thousand."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import yaml
from benchmarks.figure import Figure
from benchmarks.flows import text_of

from flowbuilder.runtime.plans import Plans

if TYPE_CHECKING:
    from collections.abc import Iterator


def measure(folder: Path) -> Iterator[Figure]:
    """Yield two lines of the table."""
    for tasks, rounds, reach, aim in ((20, 100, 5e-3, 1e-3), (5000, 3, 1.5, 0.6)):
        path = folder / f"flow{tasks}.yaml"
        path.write_text(text_of(tasks))
        taken, read = [], []
        for _ in range(rounds):
            start = time.perf_counter()
            plans = Plans()
            plans.of_checked(plans.compile_file(Path(path)))
            taken.append(time.perf_counter() - start)
            start = time.perf_counter()
            for _event in yaml.parse(path.read_text(), Loader=yaml.CSafeLoader):
                pass
            read.append(time.perf_counter() - start)
        name = "reading the YAML"
        yield Figure(f"compile of a {tasks:,}-task flow", median(taken), reach, aim, median(read), name)
