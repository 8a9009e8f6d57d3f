"""What tasks are expected to cost, and which of them are begun first."""

from __future__ import annotations

import msgspec
import pytest

from flowbuilder.compiler.costs import COMMIT, estimate
from flowbuilder.compiler.expressions import tree
from flowbuilder.compiler.ir import (
    Approval,
    Compute,
    Flow,
    Graph,
    Group,
    Invoke,
    Map,
    OnError,
    Sleep,
    SubFlow,
    Task,
    Wait,
    Work,
)
from flowbuilder.core.span import NOWHERE, Span


class Nowhere:
    def span(self, start: int, end: int) -> Span:
        return NOWHERE


AT = tree.At(Nowhere(), 0, 0)


class Known(msgspec.Struct, frozen=True):
    """What a store knows of a task."""

    duration_p50: float
    executions: int = 100
    failures: int = 0
    duration_p95: float = 0.0
    output_bytes: float = 100.0
    items: float = 1.0


def const(value: object) -> tree.Const:
    return tree.Const(AT, value)


PYTHON = Invoke("python", const({"call": "m:f"}), "write")
HTTP = Invoke("http", const({"url": "http://x"}), "read")


def task(id: str, *needs: str, work: Work = HTTP, **more: object) -> Task:
    return Task(id, NOWHERE, work, needs, needs, **more)  # type: ignore[arg-type]


def flow(*tasks: Task, **more: object) -> Flow:
    return Flow("test", NOWHERE, "0" * 64, Graph(tasks), **more)  # type: ignore[arg-type]


def test_the_longest_path_decides_what_remains() -> None:
    diamond = flow(
        task("join", "long", "short"), task("first"), task("long", "first"), task("short", "first")
    )
    known = {"first": Known(1.0), "long": Known(5.0), "short": Known(2.0), "join": Known(1.0)}

    costs = estimate(diamond, known)

    assert {id: cost.remaining for id, cost in costs.tasks.items()} == {
        "first": 7.0,
        "long": 6.0,
        "short": 3.0,
        "join": 1.0,
    }
    assert {id: cost.start for id, cost in costs.tasks.items()} == {
        "first": 0,
        "long": 1,
        "short": 1,
        "join": 6,
    }
    assert costs.total == 7.0


def test_tasks_of_a_group_have_what_stands_behind_it_before_them() -> None:
    inner = Group(Graph((task("x"), task("y", "x"))), None)
    outer = flow(task("a"), task("g", "a", work=inner), task("z", "g"))
    known = {"a": Known(1.0), "g.x": Known(2.0), "g.y": Known(3.0), "z": Known(4.0)}

    costs = estimate(outer, known).tasks

    assert (costs["g"].duration, costs["g"].remaining) == (5.0, 9.0)
    assert (costs["g.x"].start, costs["g.x"].remaining) == (1.0, 9.0)
    assert (costs["g.y"].start, costs["g.y"].remaining) == (3.0, 7.0)


def test_groups_inside_each_other_are_looked_at_once() -> None:
    graph = Graph((task("t"),))
    for _ in range(60):
        graph = Graph((task("t", work=Group(graph, None)),))

    costs = estimate(flow(*graph.tasks))

    assert len(costs.tasks) == 61
    assert costs.total == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("over", "inputs", "rows"),
    [
        (const([1, 2, 3]), {}, 3),
        (const({"a": 1}), {}, 1),
        (const([]), {}, 0),
        (tree.List(AT, (const(1), const(2))), {}, 2),
        (tree.Member(AT, tree.Name(AT, "inputs"), "xs"), {"xs": [1] * 40}, 40),
        (tree.Member(AT, tree.Name(AT, "inputs"), "xs"), {}, 10),
        (tree.Name(AT, "item"), {}, 10),
    ],
)
def test_the_elements_of_a_map_are_counted_where_they_can_be(
    over: tree.Expr, inputs: dict[str, object], rows: int
) -> None:
    mapped = flow(task("m", map=Map(over, None, 16)))

    cost = estimate(mapped, inputs=inputs).tasks["m"]

    assert cost.rows == rows
    assert cost.duration == pytest.approx(0.1 * -(-rows // 16))


def test_earlier_runs_know_better() -> None:
    mapped = flow(task("m", map=Map(const([1, 2, 3]), None, 16)))

    cost = estimate(mapped, {"m": Known(9.0, executions=4, failures=1, output_bytes=700, items=7)}).tasks["m"]

    assert (cost.rows, cost.width, cost.duration) == (7, 100, 9.0)
    assert (cost.executions, cost.failure_rate) == (4, 0.25)


@pytest.mark.parametrize(
    ("work", "known", "more", "executor", "placement"),
    [
        (PYTHON, None, {}, "thread; async functions inline", "auto"),
        (
            PYTHON,
            Known(1e-4, executions=20, duration_p95=1e-4),
            {},
            "inline, as earlier calls were short",
            "inline",
        ),
        (PYTHON, Known(1e-4, executions=19, duration_p95=1e-4), {}, "thread; async functions inline", "auto"),
        (PYTHON, Known(1e-4, executions=99, duration_p95=1e-3), {}, "thread; async functions inline", "auto"),
        (
            PYTHON,
            Known(1e-4, executions=99, duration_p95=1e-4),
            {"timeout": 5.0},
            "process, so that it can be ended in time; async functions inline",
            "auto",
        ),
        (msgspec.structs.replace(PYTHON, executor="process"), None, {}, "process", "process"),
        (HTTP, None, {}, "http client", "auto"),
        (Invoke("shell", const({}), "write"), None, {}, "child process", "auto"),
        (Invoke("plugin", const({}), "write"), None, {}, "engine's choice", "auto"),
        (Compute(const(1)), None, {}, "inline", "inline"),
        (Sleep(const(3), None), None, {}, "timer", "auto"),
    ],
)
def test_the_executor_is_chosen(
    work: Work, known: Known | None, more: dict[str, object], executor: str, placement: str
) -> None:
    cost = estimate(flow(task("t", work=work, **more)), {"t": known} if known else None).tasks["t"]

    assert (cost.executor, cost.placement) == (executor, placement)


def test_a_wait_takes_as_long_as_it_says_and_a_task_that_never_runs_nothing() -> None:
    waits = flow(task("s", work=Sleep(const(30), None)), task("p", pruned="its condition is always false"))

    costs = estimate(waits).tasks

    assert (costs["s"].duration, costs["p"].duration) == (30, 0)


@pytest.mark.parametrize(
    ("params", "seconds"), [({}, 60), ({"timeout": 1}, 1), ({"timeout": 3600}, 60), ({"timeout": None}, 60)]
)
def test_a_wait_for_the_world_takes_no_longer_than_its_own_timeout(
    params: dict[str, object], seconds: float
) -> None:
    pairs = tuple((const(name), const(value)) for name, value in params.items())
    given: list[tree.Expr] = [const(params), tree.Dict(AT, pairs)]
    works = [work for one in given for work in (Wait(True, one), Approval(one))]

    assert [estimate(flow(task("w", work=work))).total for work in works] == [seconds] * 4


def test_an_effect_waits_for_the_disk_where_the_flow_is_durable() -> None:
    write = task("w", work=PYTHON)

    durable, loose = estimate(flow(write)), estimate(flow(write, durability="none"))

    assert durable.total - loose.total == pytest.approx(COMMIT)


def test_a_run_of_another_flow_takes_as_long_as_that_if_it_is_waited_for() -> None:
    inner = flow(task("s", work=Sleep(const(30), None)))
    start = SubFlow(inner, None, const({}), True, None)
    both = flow(task("a", work=start), task("b", work=msgspec.structs.replace(start, wait=False)))

    costs = estimate(both).tasks

    assert costs["a"].duration == 30
    assert costs["b"].duration < 0.01


def test_handlers_come_behind_the_main_graph() -> None:
    rescue = OnError(graph=Graph((task("r"),)))
    handled = flow(task("a", on_error=rescue), on_failure=Graph((task("f"),)), finally_=Graph((task("z"),)))

    costs = estimate(handled, {"a": Known(2.0)}).tasks

    assert [costs[path].start for path in ("a!r", "on_failure:f", "finally:z")] == [2.0, 2.0, 2.0]
