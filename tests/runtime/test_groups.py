"""`group`: a graph inside a task, with what holds for the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import run_flow

if TYPE_CHECKING:
    from world import World


async def test_outputs_of_a_group_stand_in_the_order_of_the_file_whatever_is_fused() -> None:
    run = await run_flow("""
flow: t
inputs: {n: {type: integer, default: 1}}
tasks:
  group:
    type: group
    tasks:
      d: {type: switch, run_when: always, with: {cases: [{when: inputs.n > 0, value: "${{ inputs.n }}"}]}}
      c: {type: set, with: "${{ inputs.n }}"}
      b: {type: log, with: {message: x}}
      a: {type: set, with: "${{ tasks.c.output + 1 }}"}
  broken:
    type: fail
    with: {message: no}
    on_error: {tasks: {z: {type: log, with: {message: x}}, y: {type: set, with: "${{ inputs.n }}"}}}
  each: {for_each: "${{ tasks.group.output }}", type: set, with: "${{ item.key }}"}
outputs: {names: "${{ tasks.each.output | values }}", rescued: "${{ tasks.broken.output | keys }}"}
""")

    assert run.outputs == {"names": ["d", "c", "b", "a"], "rescued": ["z", "y"]}


async def test_its_output_is_what_outputs_says_else_its_tasks_by_id() -> None:
    run = await run_flow("""
flow: t
tasks:
  plain: {type: group, tasks: {b: {type: set, with: 2}, a: {type: set, with: 1}, left: {type: set, if: false, with: 3}}}
  named: {type: group, tasks: {a: {type: set, with: 1}}, outputs: {twice: "${{ tasks.a.output * 2 }}"}}
""")

    assert run.tasks["plain"].output == {"a": 1, "b": 2, "left": None}
    assert run.tasks["named"].output == {"twice": 2}


async def test_it_sees_what_is_around_it_and_the_element_of_its_map() -> None:
    run = await run_flow("""
flow: t
inputs: {n: {type: integer, default: 5}}
tasks:
  base: {type: set, with: "${{ inputs.n }}"}
  each:
    for_each: "${{ [1, 2] }}"
    as: number
    type: group
    tasks:
      a: {type: set, with: "${{ tasks.base.output + item }}"}
      b: {type: set, with: "${{ [tasks.a.output, number, number_index] }}"}
    outputs: {b: "${{ tasks.b.output }}"}
""")

    assert run.tasks["each"].output == [{"b": [6, 1, 0]}, {"b": [7, 2, 1]}]
    assert run.elements["each[1].b"].output == [7, 2, 1]


async def test_each_attempt_runs_all_of_it_anew_under_paths_of_its_own(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  g:
    type: group
    retry: {attempts: 3, delay: 1m, backoff: constant, jitter: none}
    tasks:
      one: {type: python, with: {call: act, args: {name: one}}}
      two: {type: python, needs: [one], with: {call: fail, args: {name: two, times: 2}}}
""")

    assert run.status == "succeeded", run.error
    assert world.calls == ["one", "two"] * 3
    assert run.tasks["g"].attempts == 3
    assert run.tasks["g.two"].status == "failed"
    assert {path: run.elements[path].status for path in ("g#2.one", "g#2.two", "g#3.two")} == {
        "g#2.one": "succeeded",
        "g#2.two": "failed",
        "g#3.two": "succeeded",
    }


async def test_it_fails_with_its_first_error_when_all_of_it_has_ended(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  g:
    type: group
    tasks:
      bad: {type: fail, with: {kind: broke, message: no}}
      nap: {type: sleep, with: {for: 1h}}
      beside: {type: python, needs: [nap], with: {call: act, args: {name: beside}}}
""")

    assert world.calls == ["beside"]
    error = run.tasks["g"].error or {}
    assert (error["kind"], error["task"]) == ("broke", "g.bad")


async def test_a_group_that_only_sleeps_leaves_memory(world: World) -> None:
    from flowbuilder import Engine
    from flowbuilder.testing.flows import finish, load_text
    from world import until

    clock = FakeClock()
    async with Engine.in_memory(clock=clock) as engine:
        run = await engine.start(
            load_text("""
flow: t
tasks:
  each:
    for_each: "${{ [1, 2, 3] }}"
    type: group
    tasks:
      before: {type: python, with: {call: act, args: {name: "before ${{ item }}"}}}
      nap: {type: sleep, needs: [before], with: {for: 1h}}
      after: {type: python, needs: [nap], with: {call: act, args: {name: "after ${{ item }}"}}}
""")
        )
        await until(lambda: not engine.core.machine.runs.live)
        await finish(engine, run, clock)

    assert sorted(world.calls) == [f"{when} {n}" for when in ("after", "before") for n in (1, 2, 3)]
    assert sum(clock.slept) == 3600
