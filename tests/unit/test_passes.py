"""The optimizer on small graphs made by hand; whole flows are in `tests/golden/passes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder.compiler.expressions import tree
from flowbuilder.compiler.ir import Compute, Flow, Graph, Group, Invoke, Map, SubFlow, Task, Var
from flowbuilder.compiler.passes import PASSES, optimize
from flowbuilder.compiler.passes.fuse_tasks import MAX_TASKS, fuse_tasks
from flowbuilder.compiler.passes.prune_branches import prune_branches
from flowbuilder.core.span import NOWHERE, Span

if TYPE_CHECKING:
    from flowbuilder.compiler.expressions.tree import Expr


class Nowhere:
    def span(self, start: int, end: int) -> Span:
        return NOWHERE


AT = tree.At(Nowhere(), 0, 0)
TRUE, FALSE = tree.Const(AT, True), tree.Const(AT, False)


def path(text: str) -> Expr:
    """Return `a.b.c` as a tree."""
    first, *rest = text.split(".")
    expr: Expr = tree.Name(AT, first)
    for step in rest:
        expr = tree.Member(AT, expr, step)
    return expr


def pure(id: str, *needs: str, value: Expr | None = None, **more: Any) -> Task:
    if value is None:
        value = tree.List(AT, tuple(path(f"tasks.{need}.output") for need in needs))
    return Task(id, NOWHERE, Compute(value), needs, more.pop("waits_for", needs), **more)


def call(id: str, *needs: str, **more: Any) -> Task:
    work = Invoke("http", tree.Const(AT, {"url": "http://x"}), "write")
    return Task(id, NOWHERE, work, needs, needs, **more)


def flow(*tasks: Task, **more: Any) -> Flow:
    return Flow("test", NOWHERE, "0" * 64, Graph(tasks), **more)


def regions(found: Flow) -> list[tuple[str, ...]]:
    return [region.tasks for region in found.main.regions]


def pruned(found: Flow) -> dict[str, str | None]:
    return {task.id: task.pruned for task in found.main.tasks if task.pruned}


# -- fusion ---------------------------------------------------------------------


def test_a_chain_of_pure_tasks_is_one_region() -> None:
    chain = flow(pure("a"), pure("b", "a"), pure("c", "b"))

    assert regions(fuse_tasks(chain).flow) == [("a", "b", "c")]


def test_tasks_of_a_region_stand_behind_what_they_need_whatever_their_order_in_the_file() -> None:
    mixed = flow(pure("c", "b"), pure("z"), pure("b", "a"), pure("a"))

    assert regions(fuse_tasks(mixed).flow) == [("z", "a", "b", "c")]


def test_what_stands_before_and_behind_a_call_is_apart() -> None:
    around = flow(pure("a"), call("fetch", "a"), pure("b", "fetch"), pure("c", "b"), pure("d", "a"))

    assert regions(fuse_tasks(around).flow) == [("a", "d"), ("b", "c")]


def test_tasks_that_become_ready_at_different_moments_are_apart() -> None:
    two = flow(call("x"), call("y"), pure("a", "x"), pure("b", "y"), pure("both", "a", "b"), pure("c", "a"))

    assert regions(fuse_tasks(two).flow) == [("a", "c"), ("b",), ("both",)]


@pytest.mark.parametrize(
    "task",
    [
        pure("b", "a", run_when="all_done"),
        pure("b", "a", timeout=1.0),
        pure("b", "a", deadline=1.0),
        pure("b", "a", map=Map(path("tasks.a.output"), None, 16)),
        pure("b", "a", pruned="its condition is always false"),
        pure("b", "a", value=path("tasks.a.status")),
        pure("b", "a", value=path("tasks.a.error.kind")),
        pure("b", "a", value=path("tasks.a.errors")),
        pure("b", "a", condition=tree.Compare(AT, path("tasks.a.status"), (("==", TRUE),))),
        pure("b", "a", value=tree.Call(AT, "now", ())),
        pure("b", "a", value=tree.List(AT, (tree.Call(AT, "uuid", ()),))),
        pure("b", "a", value=path("run.errors")),
        pure("b", "a", value=path("secrets.TOKEN")),
        pure("b", "a", value=path("vars.hidden.part")),
        call("b", "a"),
    ],
)
def test_what_is_more_than_a_value_runs_by_itself(task: Task) -> None:
    hidden = tree.Text(AT, (path("vars.token"),))
    variables = (Var("hidden", NOWHERE, hidden), Var("token", NOWHERE, path("secrets.TOKEN")))
    mixed = flow(pure("a"), task, pure("c", "a"), vars=variables, secrets=("TOKEN",))

    assert regions(fuse_tasks(mixed).flow) == [("a", "c")]


@pytest.mark.parametrize(
    "text", ["vars.plain", "run.id", "run.started_at", "inputs.day", "item", "error.kind"]
)
def test_names_that_do_not_change_may_be_fused(text: str) -> None:
    variables = (Var("plain", NOWHERE, TRUE), Var("token", NOWHERE, path("secrets.TOKEN")))
    mixed = flow(pure("a", value=path(text)), vars=variables, secrets=("TOKEN",))

    assert regions(fuse_tasks(mixed).flow) == [("a",)]


def test_a_region_has_a_bounded_number_of_tasks() -> None:
    many = flow(*(pure(f"t{n}", *([f"t{n - 1}"] if n else [])) for n in range(2 * MAX_TASKS + 1)))

    found = regions(fuse_tasks(many).flow)

    assert [len(ids) for ids in found] == [MAX_TASKS, MAX_TASKS, 1]
    assert [id for ids in found for id in ids] == [task.id for task in many.main.tasks]


def test_bodies_of_groups_and_handlers_are_fused_too() -> None:
    body = Graph((pure("x"), pure("y", "x")))
    group = Task("g", NOWHERE, Group(body, None), (), ())
    handlers = Graph((pure("h"),))

    found = fuse_tasks(flow(group, on_failure=handlers, finally_=handlers)).flow

    assert found.main.tasks[0].work.graph.regions[0].tasks == ("x", "y")  # type: ignore[union-attr]
    assert found.on_failure is not None
    assert found.finally_ is not None
    assert found.on_failure.regions == found.finally_.regions != ()


def test_a_constant_sub_flow_is_optimized_with_the_flow_that_starts_it() -> None:
    inner = flow(pure("a"), pure("b", "a"))
    start = SubFlow(inner, None, tree.Const(AT, {}), True, None)
    outer = flow(*(Task(id, NOWHERE, start, (), ()) for id in ("p", "q")))

    p, q = (task.work for task in optimize(outer).flow.main.tasks)

    assert isinstance(p, SubFlow)
    assert isinstance(q, SubFlow)
    assert p.flow is q.flow is not None
    assert regions(p.flow) == [("a", "b")]


# -- pruning --------------------------------------------------------------------


def test_a_task_with_a_false_condition_and_what_can_only_be_skipped_with_it_never_run() -> None:
    branch = flow(
        pure("a", condition=FALSE), pure("b", "a"), call("c", "b"), pure("other"), pure("join", "c", "other")
    )

    found = pruned(prune_branches(branch).flow)

    assert found == {
        "a": "its condition is always false",
        "b": "all that it needs never runs: a",
        "c": "all that it needs never runs: b",
    }


@pytest.mark.parametrize(
    ("rule", "never"),
    [
        ("default", False),
        ("all_success", True),
        ("none_failed", False),
        ("any_success", False),
        ("any_failed", False),
        ("all_done", False),
        ("always", False),
    ],
)
def test_a_join_behind_one_dead_branch_depends_on_its_rule(rule: Any, never: bool) -> None:
    branch = flow(pure("a", condition=FALSE), pure("b"), pure("join", "a", "b", run_when=rule))

    assert ("join" in pruned(prune_branches(branch).flow)) is never


def test_a_true_condition_is_taken_off_and_a_text_is_left_to_fail() -> None:
    kept = flow(pure("a", condition=TRUE), pure("b", condition=tree.Const(AT, "")))

    found = prune_branches(kept).flow

    assert [task.condition for task in found.main.tasks] == [None, tree.Const(AT, "")]
    assert pruned(found) == {}


# -- all passes -----------------------------------------------------------------


def test_a_second_go_changes_nothing_more() -> None:
    body = Graph((pure("x", condition=FALSE), pure("y", "x")))
    mixed = flow(
        pure("a"),
        Task("g", NOWHERE, Group(body, None), ("a",), ("a",)),
        pure("b", "g"),
        pure("c", condition=TRUE),
    )

    once = optimize(mixed)

    assert optimize(once.flow).flow == once.flow != mixed


def test_a_flow_without_anything_to_improve_comes_back_as_it_is() -> None:
    plain = flow(call("a"), call("b", "a"))

    assert optimize(plain).flow is plain
    assert optimize(plain).notes == ()


def test_passes_can_be_left_out() -> None:
    mixed = flow(pure("a", condition=FALSE), pure("b"))

    assert optimize(mixed, ()).flow == mixed
    assert pruned(optimize(mixed, (prune_branches,)).flow) == {"a": "its condition is always false"}
    assert regions(optimize(mixed, PASSES).flow) == [("b",)]
