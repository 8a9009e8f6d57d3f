"""When a task runs: what it depends on, `run_when`, `if`; and how the run ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder.testing.flows import run_flow

if TYPE_CHECKING:
    from world import World

BRANCHES = {
    "good": "good: {type: set, with: 1}",
    "bad": "bad: {type: fail, with: {message: no}}",
    "left": "left: {type: set, if: '${{ inputs.n > 5 }}', with: 1}",
    "forgiven": "forgiven: {type: fail, with: {message: no}, on_error: continue}",
    "behind": "behind: {type: set, needs: [bad], with: 1}",
}


async def stands(rule: str, *needs: str) -> tuple[str, str | None]:
    """Return how a task ends that follows a rule and needs such tasks."""
    names = {*needs, "bad"} if "behind" in needs else set(needs)
    lines = "\n".join(f"  {BRANCHES[name]}" for name in sorted(names))
    when = "" if rule == "default" else f", run_when: {rule}"
    flow = f"""
flow: rules
inputs: {{n: {{type: integer, default: 1}}}}
tasks:
{lines}
  last: {{type: log, needs: [{", ".join(needs)}]{when}, with: {{message: here}}}}
"""
    task = (await run_flow(flow)).tasks["last"]
    return task.status, task.reason


RAN = ("succeeded", None)
UPSTREAM = ("skipped", "upstream_failed")
RULED_OUT = ("skipped", "run_when")


@pytest.mark.parametrize(
    ("rule", "needs", "expected"),
    [
        ("default", ("good",), RAN),
        ("default", ("good", "left"), RAN),
        ("default", ("left",), ("skipped", "upstream_skipped")),
        ("default", ("good", "bad"), UPSTREAM),
        ("default", ("behind",), UPSTREAM),
        ("default", ("forgiven",), RAN),
        ("all_success", ("good",), RAN),
        ("all_success", ("good", "left"), RULED_OUT),
        ("all_success", ("forgiven",), RULED_OUT),
        ("all_success", ("good", "bad"), UPSTREAM),
        ("none_failed", ("left",), RAN),
        ("none_failed", ("forgiven",), RAN),
        ("none_failed", ("behind", "good"), UPSTREAM),
        ("any_success", ("good", "bad"), RAN),
        ("any_success", ("left",), RULED_OUT),
        ("any_success", ("left", "bad"), UPSTREAM),
        ("any_failed", ("good", "bad"), RAN),
        ("any_failed", ("forgiven",), RAN),
        ("any_failed", ("behind",), RAN),
        ("any_failed", ("good", "left"), RULED_OUT),
        ("all_done", ("bad", "left"), RAN),
        ("always", ("behind",), RAN),
    ],
)
async def test_a_rule_decides_by_how_what_is_needed_has_ended(
    rule: str, needs: tuple[str, ...], expected: tuple[str, str | None]
) -> None:
    assert await stands(rule, *needs) == expected


async def test_needs_replace_what_references_would_count() -> None:
    run = await run_flow("""
flow: t
tasks:
  bad: {type: fail, with: {message: no}, on_error: continue}
  good: {type: set, with: 1}
  sees: {type: log, needs: [good], run_when: all_success, with: {message: "${{ tasks.bad.output | default('nothing') }}"}}
""")

    assert run.tasks["sees"].status == "succeeded"


async def test_a_task_whose_status_alone_is_read_is_waited_for_whatever_its_outcome() -> None:
    run = await run_flow("""
flow: t
tasks:
  bad: {type: fail, with: {kind: broke, message: no}}
  sees: {type: log, with: {message: "${{ tasks.bad.status }} ${{ tasks.bad.error.kind }}"}}
  value: {type: set, with: "${{ tasks.bad.status }}"}
""")

    assert run.tasks["sees"].status == "succeeded"
    assert run.tasks["value"].output == "failed"
    assert run.status == "failed"


async def test_the_output_of_a_skipped_task_is_null_and_its_reason_says_why() -> None:
    run = await run_flow("""
flow: t
inputs: {n: {type: integer, default: 1}}
tasks:
  left: {type: set, if: "${{ inputs.n > 5 }}", with: 7}
  sees: {type: set, run_when: always, with: "${{ [tasks.left.output, tasks.left.status] }}"}
""")

    assert run.tasks["left"].reason == "condition"
    assert run.tasks["sees"].output == [None, "skipped"]
    assert run.status == "succeeded"


async def test_a_condition_that_cannot_be_asked_fails_its_task() -> None:
    run = await run_flow("""
flow: t
inputs: {thing: {type: object, default: {}}}
tasks:
  asks: {type: log, if: "${{ inputs.thing.size > 5 }}", with: {message: never}}
""")

    error = run.tasks["asks"].error
    assert error is not None
    assert error["kind"] == "expression.missing"


async def test_a_failure_starts_nothing_behind_it_but_lets_what_is_beside_it_go_on(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  bad: {type: fail, with: {kind: broke, message: it broke}}
  behind: {type: python, needs: [bad], with: {call: act, args: {name: behind}}}
  slow: {type: sleep, with: {for: 1m}}
  beside: {type: python, needs: [slow], with: {call: act, args: {name: beside}}}
outputs: {never: "${{ tasks.beside.output }}"}
""")

    assert (run.status, run.outputs) == ("failed", None)
    assert run.error is not None
    assert (run.error["kind"], run.error["message"], run.error["task"]) == ("broke", "it broke", "bad")
    assert world.calls == ["beside"]


async def test_fail_fast_cancels_at_once(world: World) -> None:
    run = await run_flow("""
flow: t
fail_fast: true
tasks:
  held: {type: python, with: {call: hold, args: {name: held}}}
  bad: {type: python, with: {call: fail, args: {name: bad}}}
  later: {type: sleep, with: {for: 1h}}
  last: {type: python, needs: [later], run_when: always, with: {call: act, args: {name: last}}}
finally:
  tidy: {type: python, with: {call: act, args: {name: tidy}}}
""")

    assert run.status == "failed"
    assert {id: (task.status, task.reason) for id, task in run.tasks.items() if id != "bad"} == {
        "held": ("cancelled", "fail_fast"),
        "later": ("cancelled", "fail_fast"),
        "last": ("cancelled", "fail_fast"),
        "finally:tidy": ("succeeded", None),
    }
    assert "tidy" in world.calls
    assert "last" not in world.calls


async def test_an_error_in_the_outputs_fails_the_run() -> None:
    run = await run_flow("""
flow: t
inputs: {thing: {type: object, default: {}}}
tasks: {a: {type: set, with: 1}}
outputs: {size: "${{ inputs.thing.size }}"}
""")

    assert run.status == "failed"
    assert run.error is not None
    assert run.error["kind"] == "expression.missing"
    assert run.tasks["a"].status == "succeeded"
