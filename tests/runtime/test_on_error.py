"""`on_error`: what happens instead of a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.testing.flows import run_flow

if TYPE_CHECKING:
    from world import World


async def test_continue_counts_as_success_with_null_and_keeps_the_error() -> None:
    run = await run_flow("""
flow: t
tasks:
  a: {type: fail, with: {kind: broke, message: no}, on_error: continue}
  b: {type: set, with: "${{ [tasks.a.output, tasks.a.status, tasks.a.error.kind] }}"}
""")

    assert run.status == "succeeded"
    assert run.tasks["a"].status == "failed"
    assert run.tasks["b"].output == [None, "failed", "broke"]


async def test_a_value_takes_the_place_of_the_output_and_sees_the_error() -> None:
    run = await run_flow("""
flow: t
tasks:
  a: {type: fail, with: {kind: broke, message: no, data: {why: 7}}, on_error: {value: "${{ [error.kind, error.message, error.data.why, error.task] }}"}}
""")

    assert run.tasks["a"].output == ["broke", "no", 7, "a"]
    assert run.tasks["a"].status == "succeeded"
    assert (run.tasks["a"].error or {})["kind"] == "broke"


async def test_only_kinds_that_are_named_are_rescued() -> None:
    run = await run_flow("""
flow: t
tasks:
  a: {type: fail, with: {kind: http.503, message: no}, on_error: {on: [http.5xx], value: 1}}
  b: {type: fail, with: {kind: http.404, message: no}, on_error: {on: [http.5xx], value: 1}}
""")

    assert (run.tasks["a"].status, run.tasks["b"].status, run.status) == ("succeeded", "failed", "failed")


async def test_the_only_task_that_runs_instead_gives_the_output(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  a:
    type: fail
    with: {kind: broke, message: no}
    on_error: {tasks: {mend: {type: python, with: {call: act, args: {name: "${{ error.kind }}", value: 9}}}}}
  b:
    type: fail
    with: {message: no}
    on_error: {tasks: {x: {type: set, with: 1}, y: {type: set, with: "${{ tasks.x.output + 1 }}"}}}
""")

    assert run.status == "succeeded"
    assert (run.tasks["a"].output, run.tasks["b"].output) == (9, {"x": 1, "y": 2})
    assert run.tasks["a!mend"].status == "succeeded"
    assert world.calls == ["broke"]
    assert (run.tasks["a"].error or {})["kind"] == "broke"


async def test_what_runs_instead_may_fail_with_its_own_error() -> None:
    run = await run_flow("""
flow: t
tasks:
  a:
    type: fail
    with: {kind: broke, message: no}
    on_error: {tasks: {mend: {type: fail, with: {kind: worse, message: even less}}}}
  b: {type: fail, with: {message: no}, on_error: {value: "${{ error.data.nothing }}"}}
""")

    assert (run.tasks["a"].error or {})["kind"] == "worse"
    assert (run.tasks["b"].error or {})["kind"].startswith("expression.")
    assert run.status == "failed"


async def test_a_group_is_rescued_as_a_whole(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  g:
    type: group
    tasks: {a: {type: fail, with: {kind: broke, message: no}}}
    on_error: {tasks: {nap: {type: sleep, with: {for: 1h}}, mend: {type: python, needs: [nap], with: {call: act, args: {name: mend}}}}}
""")

    assert run.status == "succeeded"
    assert world.calls == ["mend"]
    assert run.tasks["g.a"].status == "failed"


async def test_a_task_is_not_tried_again_after_its_rescue_has_waited_in_the_store(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  a:
    type: python
    with: {call: fail, args: {name: a, times: 1}}
    on_error: {tasks: {nap: {type: sleep, with: {for: 1h}}}}
""")

    assert world.calls == ["a"]
    assert (run.tasks["a"].status, run.tasks["a"].attempts) == ("succeeded", 1)
