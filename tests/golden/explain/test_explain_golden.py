"""EXPLAIN, word by word: a flow a file, its explanation in each format beside it.

`x-known` holds what earlier runs are said to have come to, `x-facts` what one
run did, `x-inputs` what it was started with.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
import yaml

from flowbuilder.compiler.costs import estimate
from flowbuilder.compiler.explain import RunFacts, explain, render
from flowbuilder.compiler.graph import draw_graph
from flowbuilder.compiler.passes import optimize
from flowbuilder.compiler.pipeline import compile_text
from flowbuilder.storage.api import TaskStatistics
from flowbuilder.tasks.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.yaml"))
ENDINGS = {"text": ".txt", "json": ".json", "mermaid": ".mmd", "dot": ".dot"}


def explained(file: Path, format: str) -> str:
    text = file.read_text(encoding="utf-8")
    extra = yaml.safe_load(text)
    flow = compile_text(text, file.name, catalogue=CATALOGUE).flow
    optimized = optimize(flow)
    known = msgspec.convert(extra.get("x-known", {}), dict[str, TaskStatistics])
    facts = msgspec.convert(extra["x-facts"], RunFacts) if "x-facts" in extra else None
    costs = estimate(optimized.flow, known, inputs=extra.get("x-inputs"))
    found = render(explain(flow, optimized, costs, facts), optimized.flow, format)
    return found.replace(flow.content_hash, "content-hash")  # which changes with each word of the file


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_plan_is_explained_as_its_golden_file_says(file: Path, golden: Callable[[Path, str], None]) -> None:
    golden(file.with_suffix(".txt"), explained(file, "text"))


@pytest.mark.parametrize("format", ["json", "mermaid", "dot"])
def test_other_formats_say_the_same(format: str, golden: Callable[[Path, str], None]) -> None:
    file = HERE / "after_a_run.yaml"

    golden(file.with_suffix(ENDINGS[format]), explained(file, format))


@pytest.mark.parametrize("name", ["daily_report", "started"])
def test_a_graph_is_drawn_as_its_golden_file_says(name: str, golden: Callable[[Path, str], None]) -> None:
    file = HERE / f"{name}.yaml"
    flow = compile_text(file.read_text(encoding="utf-8"), file.name, catalogue=CATALOGUE).flow

    golden(file.with_suffix(".graph"), draw_graph(flow))


@pytest.mark.parametrize("format", ["mermaid", "dot"])
def test_a_drawing_names_what_starts_the_flow(format: str, golden: Callable[[Path, str], None]) -> None:
    file = HERE / "started.yaml"
    flow = compile_text(file.read_text(encoding="utf-8"), file.name, catalogue=CATALOGUE).flow

    golden(file.with_suffix(ENDINGS[format]), draw_graph(flow, format))


def test_a_format_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no format 'png'; there are text, json, mermaid, dot"):
        explained(HERE / "nothing_to_do.yaml", "png")
