"""The optimizer on small graphs made by hand; whole flows are in `tests/golden/passes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from flowbuilder.compiler.expressions import tree
from flowbuilder.compiler.ir import (
    Breaker,
    Compute,
    Flow,
    Graph,
    Group,
    Invoke,
    Map,
    OnError,
    Retry,
    Sleep,
    SubFlow,
    Task,
    TaskLimits,
    Var,
)
from flowbuilder.compiler.passes import PASSES, optimize
from flowbuilder.compiler.passes.drop_unused import drop_unused
from flowbuilder.compiler.passes.fuse_tasks import MAX_TASKS, fuse_tasks
from flowbuilder.compiler.passes.prune_branches import prune_branches
from flowbuilder.compiler.passes.share_subexpressions import share_subexpressions
from flowbuilder.compiler.written import written
from flowbuilder.core.limits import BreakerPolicy
from flowbuilder.core.policies import RetryPolicy
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


# -- dropping -------------------------------------------------------------------


def test_variables_that_nothing_mentions_are_dropped_with_those_only_they_mention() -> None:
    variables = (
        Var("used", NOWHERE, path("vars.deep.part")),
        Var("deep", NOWHERE, path("inputs.a")),
        Var("lost", NOWHERE, path("vars.lost_too")),
        Var("lost_too", NOWHERE, TRUE),
        Var("shown", NOWHERE, TRUE),
        Var("asked", NOWHERE, TRUE),
    )
    asking = pure("b", "a", condition=path("vars.asked"), pruned="its condition is always false")
    mixed = flow(pure("a", value=path("vars.used")), asking, vars=variables, outputs=path("vars.shown"))

    found = drop_unused(mixed)

    assert [var.name for var in found.flow.vars] == ["used", "deep", "shown", "asked"]
    assert [note.what for note in found.notes] == ["dropped variables that nothing mentions: lost, lost_too"]


@pytest.mark.parametrize(
    "place",
    [
        {"map": Map(path("vars.x"), None, 16)},
        {"env": path("vars.x")},
        {"idempotency_key": path("vars.x")},
        {"retry": Retry(RetryPolicy(), path("vars.x"))},
        {"on_error": OnError(value=path("vars.x"))},
        {"on_error": OnError(graph=Graph((pure("n", value=path("vars.x")),)))},
        {"work": Sleep(path("vars.x"), None)},
        {"work": SubFlow(None, None, path("vars.x"), True, None)},
        {"work": Group(Graph((pure("n", value=path("vars.x.y")),)), None)},
        {"work": Compute(tree.Name(AT, "vars"))},
    ],
)
def test_a_variable_that_is_mentioned_anywhere_stays(place: dict[str, Any]) -> None:
    task = msgspec.structs.replace(call("a"), **place)
    mixed = flow(task, vars=(Var("x", NOWHERE, TRUE),))

    assert drop_unused(mixed).flow is mixed


def test_a_retry_that_can_never_happen_is_dropped() -> None:
    once, often = Retry(RetryPolicy(attempts=1)), Retry(RetryPolicy(attempts=3))
    mixed = flow(pure("a", retry=often), call("b", retry=once), call("c", retry=often))

    assert [task.retry for task in drop_unused(mixed).flow.main.tasks] == [None, None, often]


def test_a_retry_stays_where_a_breaker_may_refuse_an_expression() -> None:
    often = Retry(RetryPolicy(attempts=3))
    bounded = TaskLimits(breaker=Breaker(BreakerPolicy(failures=1, reset=1.0)))

    assert drop_unused(flow(pure("a", retry=often, limits=bounded))).flow.main.tasks[0].retry is often


# -- sharing --------------------------------------------------------------------


def total(of: str) -> Expr:
    return tree.Call(AT, "sum", (path(of),))


def plus(left: Expr, right: Expr) -> Expr:
    return tree.Binary(AT, "+", left, right)


def listed(*items: Expr) -> Expr:
    return tree.List(AT, items)


def shared(*tasks: Task) -> tuple[list[tuple[str, Expr, int]], tuple[Expr, ...]]:
    """Return what the only region of a flow shares, and the values of its tasks."""
    found = optimize(flow(*tasks), (fuse_tasks, share_subexpressions)).flow
    (region,) = found.main.regions
    return [(one.name, one.value, one.before) for one in region.shared], region.values


A, B = path("inputs.a"), path("inputs.b")
FIRST = tree.Name(AT, "$0")
SUM = total("inputs.a")


def test_what_two_tasks_evaluate_alike_is_evaluated_once() -> None:
    found, values = shared(pure("a", value=SUM), pure("b", value=plus(SUM, B)))

    assert found == [("$0", SUM, 0)]
    assert values == (FIRST, plus(FIRST, B))


def test_the_plain_value_of_a_task_stays() -> None:
    plain = flow(pure("a", value=SUM), pure("b", value=SUM))

    assert optimize(plain).flow.main.tasks == plain.main.tasks


def test_the_largest_that_is_alike_is_shared_and_smaller_ones_inside_it_once_more() -> None:
    large = plus(SUM, tree.Call(AT, "len", (A,)))

    found, values = shared(
        pure("a", value=large), pure("b", value=listed(large)), pure("c", value=listed(SUM, SUM))
    )

    second = tree.Name(AT, "$1")
    assert found == [("$0", SUM, 0), ("$1", plus(FIRST, tree.Call(AT, "len", (A,))), 0)]
    assert values == (second, listed(second), listed(FIRST, FIRST))


@pytest.mark.parametrize(
    "value",
    [
        tree.Logic(AT, "and", (A, SUM)),
        tree.Choice(AT, A, SUM, B),
        tree.Choice(AT, A, B, SUM),
        tree.ListComp(AT, SUM, (tree.For(("x",), A, ()),)),
        tree.ListComp(AT, A, (tree.For(("x",), A, (SUM,)),)),
        tree.Compare(AT, A, (("<", B), ("<", SUM))),
        tree.Call(AT, "default", (A, SUM)),
        tree.Call(AT, "default", (SUM, A)),
        tree.Call(AT, "exists", (SUM,)),
    ],
)
def test_what_may_not_be_evaluated_is_not_evaluated_ahead(value: Expr) -> None:
    later = pure("b", value=listed(SUM))

    assert shared(pure("a", value=value), later) == ([], (value, listed(SUM)))


def test_what_was_evaluated_for_certain_may_be_used_anywhere_but_where_a_failure_is_hidden() -> None:
    perhaps = tree.Choice(AT, A, SUM, tree.ListComp(AT, SUM, (tree.For(("x",), A, (SUM,)),)))
    hidden = tree.Call(AT, "default", (tree.Member(AT, SUM, "m"), SUM))

    found, values = shared(pure("a", value=SUM), pure("b", value=perhaps), pure("c", value=hidden))

    assert found == [("$0", SUM, 0)]
    assert values[1] == tree.Choice(AT, A, FIRST, tree.ListComp(AT, FIRST, (tree.For(("x",), A, (FIRST,)),)))
    assert values[2] == tree.Call(AT, "default", (tree.Member(AT, SUM, "m"), FIRST))


@pytest.mark.parametrize(
    "cheap",
    [
        A,
        tree.Not(AT, A),
        tree.Negate(AT, A),
        listed(A, B),
        tree.Text(AT, (A, B)),
        tree.Logic(AT, "and", (A, B)),
    ],
)
def test_what_costs_nothing_is_not_shared(cheap: Expr) -> None:
    assert shared(pure("a", value=cheap), pure("b", value=cheap)) == ([], (cheap, cheap))


def loop(value: Expr, over: Expr, name: str = "x") -> Expr:
    return tree.ListComp(AT, value, (tree.For((name,), over, ()),))


def test_names_of_loops_tie_an_expression_to_its_loop() -> None:
    x = tree.Name(AT, "x")
    squares = loop(plus(x, x), A)

    found, values = shared(
        pure("a", value=squares), pure("b", value=loop(plus(x, x), B)), pure("c", value=squares)
    )

    assert found == [("$0", squares, 0)]
    assert values == (FIRST, loop(plus(x, x), B), FIRST)


def test_a_loop_over_the_name_of_a_loop_around_it_is_tied_to_that_one() -> None:
    x = tree.Name(AT, "x")
    inner = loop(x, x)  # the `x` behind `in` is the outer one

    found, _ = shared(pure("a", value=loop(inner, A)), pure("b", value=loop(inner, B)))

    assert found == []


@pytest.mark.parametrize(
    ("tasks", "count"),
    [
        # a task with a condition defines nothing, but may use what was defined
        ([pure("a", value=SUM, condition=A), pure("b", value=SUM)], 0),
        ([pure("a", value=SUM), pure("b", value=SUM, condition=A)], 1),
        # what stands behind a condition is for those behind the same one
        ([pure("x", value=A, condition=A), pure("a", "x", value=SUM), pure("b", value=SUM)], 0),
        ([pure("x", value=A, condition=A), pure("a", "x", value=SUM), pure("b", "x", value=SUM)], 1),
        (
            [
                pure("x", value=A, condition=A),
                pure("a", "x", value=SUM),
                pure("b", "a", value=SUM, condition=B),
            ],
            1,
        ),
        ([pure("x", value=A, condition=A), pure("a", value=SUM), pure("b", "x", value=SUM)], 1),
        # a join may run though one of the two before it was skipped
        (
            [
                pure("x", value=A, condition=A),
                pure("y", value=A),
                pure("a", "x", value=SUM),
                pure("join", "x", "y", value=SUM),
            ],
            0,
        ),
    ],
)
def test_only_what_runs_for_certain_before_is_used(tasks: list[Task], count: int) -> None:
    assert len(shared(*tasks)[0]) == count


def test_behind_calls_only_tasks_that_need_the_same_run_together() -> None:
    behind = {"needs": ("p",), "waits_for": ("p", "q")}
    tasks = (call("p"), call("q"), Task("a", NOWHERE, Compute(SUM), **behind))  # type: ignore[arg-type]

    same = shared(*tasks, Task("b", NOWHERE, Compute(SUM), **behind))  # type: ignore[arg-type]
    other = shared(*tasks, Task("b", NOWHERE, Compute(SUM), ("q",), ("p", "q")))

    assert (len(same[0]), len(other[0])) == (1, 0)


# -- deep trees ------------------------------------------------------------------


def test_an_expression_too_deep_for_recursion_is_left_as_it_is() -> None:
    deep: Expr = total("inputs.a")
    for _ in range(5_000):
        deep = plus(deep, tree.Const(AT, 1))

    once = optimize(
        flow(pure("a", value=deep), pure("b", value=deep), pure("c", value=SUM), pure("d", value=SUM))
    )

    (region,) = once.flow.main.regions
    assert region.values == (deep, deep, FIRST, FIRST)
    assert written(deep) == "…"
