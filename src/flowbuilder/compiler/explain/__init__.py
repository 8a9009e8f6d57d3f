"""EXPLAIN: how a flow is going to run, or how it ran.  Start at `build.explain`."""

from flowbuilder.compiler.explain.build import explain
from flowbuilder.compiler.explain.facts import RunFacts, TaskFacts
from flowbuilder.compiler.explain.formats import FORMATS, render
from flowbuilder.compiler.explain.nodes import Explanation, PlanNode

__all__ = ["FORMATS", "Explanation", "PlanNode", "RunFacts", "TaskFacts", "explain", "render"]
