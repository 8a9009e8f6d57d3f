"""The fixture `flow_test`: tests of flows from pytest."""

import datetime as dt
from pathlib import Path

import pytest

from flowbuilder.core.errors import FlowBuilderError
from flowbuilder.testing import FlowTester
from flowbuilder.testing import flow_test as flow_test  # a fixture

FLOW = """
flow: orders
inputs: {id: {type: integer}}
tasks:
  pay: {type: http, with: {url: "https://pay.example/${{ inputs.id }}"}, retry: {attempts: 2, delay: 1h, jitter: none}}
  at: {type: set, with: "${{ str(now()) }}"}
on_failure:
  notify: {type: http, with: {url: "https://hooks.example/", json: {order: "${{ inputs.id }}", why: "${{ error.kind }}"}}}
outputs: {paid: "${{ tasks.pay.output.json }}", at: "${{ tasks.at.output }}"}
"""


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders.yaml"
    path.write_text(FLOW)
    return path


def test_a_flow_is_run_with_functions_for_tasks(flow_test: FlowTester, orders: Path) -> None:
    outcome = flow_test(
        orders,
        {"id": 7},
        mocks={"pay": lambda given: {"json": given["url"]}},
        clock=dt.datetime(2026, 1, 5, 6, tzinfo=dt.UTC),
    )

    assert outcome.status == "succeeded"
    assert outcome.outputs == {"paid": "https://pay.example/7", "at": "2026-01-05T06:00:00+00:00"}
    assert outcome.calls("pay") == [{"url": "https://pay.example/7"}]
    assert outcome.order[-1] in ("pay", "at")


def test_a_failure_is_seen_with_what_was_done_about_it(flow_test: FlowTester, orders: Path) -> None:
    outcome = flow_test(
        orders,
        {"id": 7},
        mocks={
            "pay": [{"error": {"kind": "http.503"}}, {"error": {"kind": "http.402", "message": "no money"}}],
            "on_failure:notify": {"output": None},
        },
    )

    assert outcome.status == "failed"
    assert outcome.error is not None
    assert outcome.error["kind"] == "http.402"
    assert outcome.tasks["pay"].attempts == 2
    assert outcome.calls("on_failure:notify")[0]["json"] == {"order": 7, "why": "http.402"}
    assert outcome.duration == pytest.approx(3600, abs=1)


async def test_it_may_be_called_from_a_loop(flow_test: FlowTester, orders: Path) -> None:
    assert flow_test(orders, {"id": 1}, mocks={"type:http": {"output": {"json": 1}}}).outputs["paid"] == 1


@pytest.mark.parametrize(
    ("mocks", "told"),
    [
        ({"pya": {"output": 1}}, "no task 'pya'"),
        ({"pay": {"outptu": 1}}, "the mock of 'pay' has no 'outptu'"),
        ({"pay": []}, "the mock of 'pay' has no answer"),
    ],
)
def test_a_mock_that_is_wrong_is_told(
    flow_test: FlowTester, orders: Path, mocks: dict[str, object], told: str
) -> None:
    with pytest.raises(FlowBuilderError, match=told):
        flow_test(orders, {"id": 1}, mocks=mocks)  # type: ignore[arg-type]


def test_what_a_task_that_was_carried_out_was_given_is_not_known(flow_test: FlowTester, orders: Path) -> None:
    outcome = flow_test(orders, {"id": 1}, mocks={"pay": {"output": {"json": 1}}})

    with pytest.raises(KeyError, match="at is not mocked"):
        outcome.calls("at")
    assert outcome.calls("never") == []


def test_the_suites_of_a_folder_are_there_to_be_looked_at(flow_test: FlowTester, orders: Path) -> None:
    (orders.parent / "orders.test.yaml").write_text("tests: {one: {skip: later}, two: {skip: later}}")

    (suite,) = flow_test.suites(orders.parent)

    assert [case.name for case in suite.cases] == ["one", "two"]


def test_several_runs_of_a_flow_are_started(folder_of_runs: Path, flow_test: FlowTester) -> None:
    outcome = flow_test(
        folder_of_runs / "one.yaml",
        runs={"first": {}, "second": {"at": 60, "priority": 90}, "third": {"after": "second", "at": 5}},
    )

    assert outcome.order == ["first", "second", "third"]
    assert {name: run.duration for name, run in outcome.runs.items()} == {
        "first": 100,
        "second": 140,
        "third": 100,
    }
    with pytest.raises(FlowBuilderError, match="begins after 'x'"):
        flow_test(folder_of_runs / "one.yaml", runs={"first": {"after": "x"}})
    with pytest.raises(FlowBuilderError, match="has no 'input'"):
        flow_test(folder_of_runs / "one.yaml", runs={"first": {"input": {}}})


@pytest.fixture
def folder_of_runs(tmp_path: Path) -> Path:
    (tmp_path / "one.yaml").write_text(
        "flow: one\nconcurrency: 1\ntasks: {rest: {type: sleep, with: {for: 100s}}}\n"
    )
    return tmp_path
