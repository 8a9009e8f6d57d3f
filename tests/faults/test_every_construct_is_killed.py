"""The flows of the kills use every construct of the language, as the compiler's own tables list them."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from flowbuilder.compiler.lower.cache import CACHE
from flowbuilder.compiler.lower.flow import FLOW
from flowbuilder.compiler.lower.lanes import CONCURRENCY, DEBOUNCE
from flowbuilder.compiler.lower.limits import CIRCUIT_BREAKER, QUEUE, RATE_LIMIT, RESOURCES
from flowbuilder.compiler.lower.on_error import ON_ERROR
from flowbuilder.compiler.lower.repeat import REPEAT
from flowbuilder.compiler.lower.retry import RETRY
from flowbuilder.compiler.lower.task import TASK
from flowbuilder.tasks.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
TABLES = {
    "flow": FLOW,
    "task": TASK,
    "concurrency": CONCURRENCY,
    "debounce": DEBOUNCE,
    "repeat": REPEAT,
    "cache": CACHE,
    "retry": RETRY,
    "on_error": ON_ERROR,
    "rate_limit": RATE_LIMIT,
    "circuit_breaker": CIRCUIT_BREAKER,
    "queue": QUEUE,
    "resources": RESOURCES,
}
"""Mappings whose keys are constructs, by the key under which they stand."""
CARRIED_OUT = ("sleep", "wait", "approval", "emit", "flow")
"""Types that the engine carries out itself: each of their parameters is a construct."""
ELSEWHERE = {("flow", "triggers"): "test_up_killed.py"}
"""What other kill tests have, and which."""


class Used:
    """The keys that flows use: by table, or `type` for types of tasks, or a type for its parameters."""

    def __init__(self) -> None:
        self.keys: dict[str, set[str]] = defaultdict(set)

    def flow(self, flow: dict[str, Any]) -> None:
        self.table("flow", flow)
        for graph in ("tasks", "on_failure", "finally"):
            self.graph(flow.get(graph, {}))

    def graph(self, tasks: dict[str, Any]) -> None:
        for task in tasks.values():
            self.task(task)

    def task(self, task: dict[str, Any]) -> None:
        self.table("task", task)
        name = "shell" if "run" in task else task["type"]
        self.keys["type"].add(name)
        if name in CARRIED_OUT:
            self.keys[name].update(task["with"])
        self.graph(task.get("tasks", {}))
        if isinstance(rescue := task.get("on_error"), dict):
            self.graph(rescue.get("tasks", {}))
        if "undo" in task:
            self.task(task["undo"])

    def table(self, name: str, given: dict[str, Any]) -> None:
        self.keys[name].update(given)
        for key, value in given.items():
            if key in TABLES and key not in ("flow", "task") and isinstance(value, dict):
                self.table(key, value)


def constructs() -> Iterator[tuple[str, str]]:
    """List all there are."""
    for name, table in TABLES.items():
        yield from ((name, key) for key in table.keys)
    yield from (("type", name) for name in CATALOGUE)
    for name in CARRIED_OUT:
        yield from ((name, key) for key in CATALOGUE[name].params["properties"])


@pytest.fixture(scope="module")
def used() -> dict[str, set[str]]:
    found = Used()
    for path in (HERE / "constructs").glob("*.yaml"):
        found.flow(yaml.load(path.read_text(), yaml.BaseLoader))
    return found.keys


@pytest.mark.parametrize(("where", "key"), list(constructs()), ids=[".".join(one) for one in constructs()])
def test_a_construct_is_in_a_flow_whose_engines_are_killed(
    used: dict[str, set[str]], where: str, key: str
) -> None:
    other = ELSEWHERE.get((where, key))
    if other is not None:
        assert key in (HERE / other).read_text()
        assert key not in used[where], "it is here by now: take it from ELSEWHERE"
        return

    assert key in used[where], f"no flow in constructs/ has '{key}': add it to one, with what must come of it"
