"""`tolerate`, `matrix` and `schema`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder.testing.flows import run_flow

if TYPE_CHECKING:
    from flowbuilder.runtime.views import RunView


async def divided(tolerate: str, items: list[int], more: str = "") -> RunView:
    return await run_flow(
        "flow: t\ninputs: {xs: {type: array}}\ntasks:\n"
        f"  a: {{for_each: '${{{{ inputs.xs }}}}', concurrency: 1, tolerate: {tolerate}, type: set, "
        f"with: '${{{{ 10 // item }}}}'{more}}}",
        {"xs": items},
    )


@pytest.mark.parametrize(
    ("tolerate", "items", "status"),
    [
        ("2", [0, 1, 0], "succeeded"),
        ("1", [0, 1, 0], "failed"),
        ("0", [1, 1], "succeeded"),
        ("0", [0], "failed"),
        ("50%", [0, 1, 0, 1], "succeeded"),
        ("50%", [0, 0, 0, 1], "failed"),
        ("33.4%", [0, 1, 1], "succeeded"),
        ("33%", [0, 1, 1], "failed"),
        ("100%", [0, 0], "succeeded"),
        ("1", [], "succeeded"),
    ],
)
@pytest.mark.parametrize("more", ["", ", on_error: continue"])
async def test_so_many_elements_may_fail_and_no_more(
    tolerate: str, items: list[int], status: str, more: str
) -> None:
    run = await divided(tolerate, items, more)

    assert run.status == status
    failed = [index for index, item in enumerate(items) if item == 0]
    if status == "succeeded":
        assert run.tasks["a"].output == [10 // item if item else None for item in items]
        assert [error["index"] for error in run.tasks["a"].errors or ()] == failed
        assert {error["kind"] for error in run.tasks["a"].errors or ()} <= {"expression.value"}
    else:
        assert run.error is not None
        assert run.error["kind"] == "map.tolerate"
        assert run.error["data"]["last"]["kind"] == "expression.value"


async def test_the_error_that_is_one_too_many_starts_no_further_element() -> None:
    run = await divided("1", [0, 0, 1, 1])

    assert set(run.elements) == {"a[0]", "a[1]"}
    assert run.error is not None
    assert run.error["data"] == {
        "failed": 2,
        "allowed": 1,
        "elements": 4,
        "last": run.elements["a[1]"].error,
    }


async def combinations(matrix: str) -> Any:
    run = await run_flow(f"flow: t\ntasks:\n  a: {{matrix: {matrix}, type: set, with: '${{{{ item }}}}'}}")
    assert run.status == "succeeded", run.error
    return run.tasks["a"].output


async def test_a_matrix_is_every_combination_in_the_order_written() -> None:
    assert await combinations("{os: [a, b], n: [1, 2]}") == [
        {"os": "a", "n": 1},
        {"os": "a", "n": 2},
        {"os": "b", "n": 1},
        {"os": "b", "n": 2},
    ]
    assert await combinations("{os: []}") == []


async def test_include_and_exclude_mean_what_they_mean_in_ci_files() -> None:
    # the example of a well-known CI service's documentation, word for word
    found = await combinations(
        "{fruit: [apple, pear], animal: [cat, dog], include: ["
        "{color: green}, {color: pink, animal: cat}, {fruit: apple, shape: circle}, "
        "{fruit: banana}, {fruit: banana, animal: cat}]}"
    )
    assert found == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]
    assert await combinations("{os: [a, b], n: [1, 2], exclude: [{os: a}, {os: b, n: 2}]}") == [
        {"os": "b", "n": 1}
    ]
    assert await combinations("{include: [{x: 1}, {y: 2}]}") == [{"x": 1}, {"y": 2}]


async def test_lists_of_a_matrix_may_be_computed() -> None:
    run = await run_flow(
        """
flow: t
inputs: {n: {type: integer, default: 2}}
tasks:
  ns: {type: set, with: "${{ range(inputs.n) }}"}
  a:
    matrix: {n: "${{ tasks.ns.output }}", word: ["${{ 'x' * 0 | default('x') }}"], exclude: [{n: "${{ inputs.n - 1 }}"}]}
    type: set
    with: "${{ [item.n, index] }}"
""".replace("${{ 'x' * 0 | default('x') }}", "${{ upper('x') }}")
    )
    assert run.status == "succeeded", run.error
    assert run.tasks["a"].output == [[0, 0]]


async def test_an_output_that_does_not_fit_its_schema_fails_with_every_violation() -> None:
    run = await run_flow("""
flow: t
tasks:
  a:
    type: set
    with: {id: "7", tags: [1, x]}
    schema: {type: object, properties: {id: {type: integer}, tags: {items: {type: string}}}, required: [name]}
""")
    assert run.error is not None
    assert run.error["kind"] == "output.schema"
    paths = {line.partition(":")[0] for line in run.error["data"]["violations"]}
    assert paths == {"$", "$.id", "$.tags[0]"}


async def test_each_attempt_element_and_round_is_held_against_the_schema() -> None:
    run = await run_flow("""
flow: t
tasks:
  each: {for_each: [1, x], type: set, with: "${{ item }}", schema: {type: integer}, on_error: continue}
  loop: {type: set, with: "${{ loop.index }}", schema: {maximum: 2}, repeat: {while: true, max: 9}, on_error: {value: "${{ [error.kind, loop.index] }}"}}
  date: {type: set, with: "${{ date('2026-01-05') }}", schema: {type: string, format: date}}
  group: {type: group, tasks: {x: {type: set, with: 1}}, schema: {required: [y]}, on_error: {value: "${{ error.kind }}"}}
""")
    assert run.status == "succeeded", run.error
    assert run.tasks["each"].output == [1, None]
    assert run.tasks["loop"].output == ["output.schema", 3]
    assert str(run.tasks["date"].output) == "2026-01-05"
    assert run.tasks["group"].output == "output.schema"
