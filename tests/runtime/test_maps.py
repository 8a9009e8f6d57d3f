"""`for_each`: once for each element, so many at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from flowbuilder.testing.flows import load_text, run_flow
from world import until

if TYPE_CHECKING:
    from flowbuilder import Engine
    from world import World


async def test_a_list_gives_a_list_in_order(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  each: {for_each: "${{ range(50) }}", concurrency: 7, type: python, with: {call: act_later, args: {name: "${{ index }}", value: "${{ item * 2 }}"}}}
outputs: {all: "${{ tasks.each.output }}"}
""")

    assert run.outputs == {"all": [n * 2 for n in range(50)]}
    assert (run.tasks["each"].items, run.tasks["each"].items_done) == (50, 50)
    assert len(set(world.calls)) == len(world.calls) == 50


async def test_a_mapping_gives_a_mapping(world: World) -> None:
    run = await run_flow("""
flow: t
inputs: {prices: {type: object, default: {b: 2, a: 1, 'o "q" ]': 3}}}
tasks:
  each: {for_each: "${{ inputs.prices }}", type: python, with: {call: act, args: {name: "${{ item.key }}", value: "${{ [index, item.value] }}"}}}
""")

    assert run.tasks["each"].output == {"b": [0, 2], "a": [1, 1], 'o "q" ]': [2, 3]}
    assert list(run.tasks["each"].output) == ["b", "a", 'o "q" ]']
    assert run.elements['each["o \\"q\\" ]"]'].output == [2, 3]


@pytest.mark.parametrize(("over", "output"), [("[]", []), ("{}", {})])
async def test_nothing_to_do_is_done(over: str, output: object) -> None:
    run = await run_flow(f"""
flow: t
inputs: {{over: {{default: {over}}}}}
tasks:
  each: {{for_each: "${{{{ inputs.over }}}}", type: fail, with: {{message: never}}}}
  behind: {{type: set, needs: [each], with: 1}}
""")

    assert (run.tasks["each"].status, run.tasks["each"].output) == ("succeeded", output)
    assert run.tasks["behind"].status == "succeeded"


async def test_anything_else_is_an_error_of_its_kind() -> None:
    run = await run_flow("""
flow: t
inputs: {over: {default: text}}
tasks: {each: {for_each: "${{ inputs.over }}", type: set, with: 1}}
""")

    assert (run.error or {})["kind"] == "expression.type"


async def test_no_more_run_at_once_than_may(engine: Engine, world: World) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  each: {for_each: "${{ range(9) }}", concurrency: 3, type: python, with: {call: hold, args: {name: "n${{ index }}"}}}
""")
    )
    for n in range(9):
        await world.begun(f"n{n}")
        world.let_go(f"n{n}")
    await run.result(20)

    assert world.most == 3


async def test_sixteen_run_at_once_unless_the_flow_says_otherwise(engine: Engine, world: World) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks: {each: {for_each: "${{ range(40) }}", type: python, with: {call: hold, args: {name: "n${{ index }}"}}}}
""")
    )
    await until(lambda: len(world.calls) >= 16)
    for n in range(40):
        world.let_go(f"n{n}")
    await run.result(20)

    assert world.most == 16


async def test_the_first_failure_starts_no_further_element(engine: Engine, world: World) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  each:
    for_each: ["a", "b", "c", "d"]
    concurrency: 2
    type: python
    with: {call: hold, args: {name: "${{ item }}", fails: "${{ item == 'b' }}"}}
""")
    )
    await world.begun("b")
    await until(lambda: len(engine.core.machine.runs.live[run.id].executions) == 1)
    world.let_go("a")
    view = await run.wait(20)

    assert sorted(world.calls) == ["a", "b"]
    error = view.tasks["each"].error or {}
    assert (error["kind"], error["task"]) == ("boom", "each[1]")
    assert view.elements["each[0]"].status == "succeeded"


async def test_failures_that_are_forgiven_are_listed(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  each:
    for_each: {x: 1, y: 2, z: 3}
    type: python
    on_error: continue
    with: {call: fail, args: {name: "${{ item.key }}", times: "${{ 9 if item.value > 1 else 0 }}", value: 7}}
  count: {type: set, with: "${{ len(tasks.each.errors) }}"}
""")

    assert run.status == "succeeded"
    assert run.tasks["each"].output == {"x": 7, "y": None, "z": None}
    assert run.tasks["each"].errors == [
        {"index": 1, "key": "y", "item": 2, "kind": "boom", "message": "y failed"},
        {"index": 2, "key": "z", "item": 3, "kind": "boom", "message": "z failed"},
    ]
    assert run.tasks["count"].output == 2


async def test_each_element_has_its_own_attempts_and_rescue(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  each:
    for_each: [1, 2]
    type: python
    effect: read
    retry: {attempts: 2, delay: 1m, jitter: none}
    with: {call: fail, args: {name: "try ${{ item }}"}}
    on_error: {value: "${{ [item, error.attempt, error.kind] }}"}
""")

    assert run.tasks["each"].output == [[1, 2, "boom"], [2, 2, "boom"]]
    assert world.count("try 1") == world.count("try 2") == 2


async def test_the_condition_decides_once_for_all_elements() -> None:
    run = await run_flow(
        """
flow: t
inputs: {n: {type: integer, default: 1}}
tasks: {each: {if: "${{ inputs.n > 1 }}", for_each: "${{ inputs.nope }}", type: set, with: 1}}
""".replace("inputs.nope", "inputs.n")
    )

    assert (run.tasks["each"].status, run.tasks["each"].reason) == ("skipped", "condition")


async def test_many_elements_do_not_hold_the_loop(engine: Engine) -> None:
    run = await engine.start(
        load_text("""
flow: t
inputs: {n: {type: integer}}
tasks:
  each: {for_each: "${{ range(inputs.n) }}", concurrency: 100000, type: set, with: "${{ item + 1 }}"}
outputs: {sum: "${{ sum(tasks.each.output) }}"}
"""),
        {"n": 100_000},
    )
    turns = 0
    while run.id in engine.core.machine.runs.live:
        await asyncio.sleep(0)
        turns += 1

    assert turns > 3
    assert await run.result(20) == {"sum": sum(range(1, 100_001))}
