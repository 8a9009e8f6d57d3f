"""Passes change what a flow costs, never what it does: whatever flow, whichever passes."""

from __future__ import annotations

import ast
import functools
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowbuilder.compiler.codegen import generate
from flowbuilder.compiler.costs import estimate
from flowbuilder.compiler.explain import FORMATS, explain, render
from flowbuilder.compiler.graph import GRAPH_FORMATS, draw_graph
from flowbuilder.compiler.ir import Group
from flowbuilder.compiler.passes import PASSES, optimize
from flowbuilder.compiler.passes.graphs import all_tasks
from flowbuilder.compiler.pipeline import compile_text
from flowbuilder.tasks.catalogue import CATALOGUE
from oracle.flows import simulate
from oracle.optimised import simulate_optimised
from strategies import Case, cases

if TYPE_CHECKING:
    from flowbuilder.compiler.ir import Flow, Task
    from oracle.flows import Outcome

bounded = functools.partial(
    settings, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def compiled(case: Case) -> Flow:
    return compile_text(case.text, "random.yaml", catalogue=CATALOGUE).flow


def told(flow: Flow, outcome: Outcome) -> dict[str, Any]:
    """Return what users see of a run, without what the language leaves open.

    Of several tasks that fail in one graph nobody says which is the first, so
    the kind of a group's or a map's error is left out, and of the run's.
    """
    one = {path for path, task in all_tasks(flow) if is_one(task)}
    return {
        "status": outcome.status,
        "outputs": outcome.outputs,
        "tasks": {
            path: (
                task.code,
                task.output,
                task.error if path in one else bool(task.error),
                len(task.errors or ()),
            )
            for path, task in outcome.tasks.items()
        },
        "effects": sorted(map(repr, outcome.effects)),
    }


def is_one(task: Task) -> bool:
    """Tell whether a task can fail in one way only at a time."""
    return (
        task.map is None and not isinstance(task.work, Group) and not (task.on_error and task.on_error.graph)
    )


@bounded(max_examples=150)
@given(cases(), st.sets(st.sampled_from(PASSES)))
def test_passes_do_not_change_what_a_run_yields(case: Case, chosen: set[Any]) -> None:
    flow = compiled(case)
    some = [rewrite for rewrite in PASSES if rewrite in chosen]

    optimized = optimize(flow, some).flow

    assert told(flow, simulate_optimised(optimized, case.inputs)) == told(flow, simulate(flow, case.inputs))


@bounded(max_examples=60)
@given(cases())
def test_optimizing_twice_changes_nothing_more(case: Case) -> None:
    once = optimize(compiled(case)).flow

    assert optimize(once).flow == once


@bounded(max_examples=30)
@given(cases())
def test_optimizing_is_deterministic(case: Case) -> None:
    assert optimize(compiled(case)) == optimize(compiled(case))


@bounded(max_examples=60)
@given(cases())
def test_the_code_of_a_flow_asks_attributes_of_nothing_but_the_context(case: Case) -> None:
    flow = optimize(compiled(case)).flow
    code = generate(flow, definition=b"", check_inputs=dict).list_code()

    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute):
            of_context = node.attr in ("inputs", "env", "run", "trigger", "secrets", "var") and is_place(
                node.value
            )
            of_errors = node.attr == "get" and is_place(node.value)
            assert of_context or of_errors, ast.unparse(node)
        if isinstance(node, ast.BinOp | ast.JoinedStr | ast.Starred | ast.Import | ast.NamedExpr | ast.Await):
            raise AssertionError(ast.unparse(node))


def is_place(node: ast.expr) -> bool:
    """Tell whether generated code means a place of a scope by it, or a variable's context."""
    while (
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Constant)
        and type(node.slice.value) is int
    ):
        node = node.value
    return isinstance(node, ast.Name) and node.id == "s"


@bounded(max_examples=30)
@given(cases())
def test_every_flow_can_be_drawn_and_explained_with_all_of_its_tasks(case: Case) -> None:
    flow = compiled(case)
    optimized = optimize(flow)
    explanation = explain(flow, optimized, estimate(optimized.flow))

    shown = [render(explanation, optimized.flow, format) for format in FORMATS]
    drawn = [draw_graph(flow, format) for format in GRAPH_FORMATS]

    for id in case.flow["tasks"]:
        assert all(id in text for text in shown + drawn)
