"""Expressions inside of flows that run: when they are evaluated, what they see, and what their failure does."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.run_flow import run_flow


async def outputs(text: str, inputs: dict[str, Any] | None = None, **options: Any) -> Any:
    run = await run_flow(text, inputs, **options)
    assert run.status == "succeeded", run.error
    return run.outputs


async def error(text: str, inputs: dict[str, Any] | None = None) -> Any:
    run = await run_flow(text, inputs)
    assert run.status == "failed"
    return run.error


async def test_every_uuid_of_a_run_is_another_one() -> None:
    found = await outputs("""
flow: f
vars: {v: "${{ uuid() }}", w: "${{ uuid() }}"}
tasks:
  a: {type: set, with: {x: "${{ uuid() }}", y: "${{ uuid() }}", z: "${{ [uuid() for i in range(3)] }}"}}
  b: {type: set, with: "${{ uuid() }}"}
  c: {for_each: [1, 2, 3], type: set, with: "${{ uuid() }}"}
  g:
    for_each: [1, 2]
    type: group
    tasks:
      i: {type: set, with: "${{ uuid() }}"}
outputs:
  all: "${{ [vars.v, vars.w, tasks.a.output.x, tasks.a.output.y, tasks.b.output, uuid()]
    + tasks.a.output.z + tasks.c.output + [g.i for g in tasks.g.output] }}"
""")

    assert len(found["all"]) == len(set(found["all"])) == 14


async def test_a_variable_is_evaluated_once() -> None:
    found = await outputs("""
flow: f
vars: {v: "${{ uuid() }}"}
tasks:
  a: {type: set, with: "${{ vars.v }}"}
  b: {for_each: [1, 2], type: set, with: "${{ vars.v }}"}
outputs: {n: "${{ unique([tasks.a.output, vars.v] + tasks.b.output) | len }}"}
""")

    assert found == {"n": 1}


async def test_now_is_when_a_task_became_ready_and_in_variables_when_the_run_started() -> None:
    clock = FakeClock()
    found = await outputs(
        """
flow: f
timezone: Asia/Tokyo
vars: {start: "${{ now() }}"}
tasks:
  a: {type: set, with: ["${{ now() }}", "${{ now() }}", "${{ today() }}"]}
  wait: {type: sleep, with: {for: 10s}, needs: a}
  b: {type: set, needs: wait, with: ["${{ now() }}", "${{ vars.start }}"]}
outputs: {a: "${{ tasks.a.output }}", b: "${{ tasks.b.output }}"}
""",
        clock=clock,
    )

    first, again, day = found["a"]
    later, start = found["b"]
    assert first == again == start
    assert later - start >= dt.timedelta(seconds=10)
    assert first.utcoffset() == dt.timedelta(hours=9)
    assert day == first.date()


@pytest.mark.parametrize(
    ("with_", "kind", "place"),
    [
        ("${{ inputs.m.nope }}", "expression.missing", ":5:"),
        ("x ${{ inputs.none }}", "expression.missing", ":5:"),
        ("${{ inputs.none + 1 }}", "expression.type", ":5:"),
        ("${{ int('x') }}", "expression.value", ":5:"),
        ("${{ [x for x in range(1000) for y in range(1001)] }}", "expression.limit", ":5:"),
    ],
)
async def test_a_failing_expression_fails_its_task_once_and_says_where(
    with_: str, kind: str, place: str
) -> None:
    run = await run_flow(
        f"""flow: f
inputs: {{m: {{default: {{a: 1}}}}, none: {{default: null}}}}
defaults: {{retry: 5}}
tasks:
  a: {{run: 'true', effect: read, env: {{A: "{with_}"}}}}
"""
    )

    assert run.status == "failed"
    assert run.error is not None
    assert (run.error["kind"], run.error["task"]) == (kind, "a")
    assert place in run.error["message"]
    assert run.tasks["a"].attempts <= 1


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("if: inputs.m.nope", "expression.missing"),
        ("if: inputs.text", "expression.type"),
        ("for_each: '${{ inputs.m.nope }}'", "expression.missing"),
        ("for_each: '${{ inputs.text }}'", "expression.type"),
        ("for_each: '${{ inputs.none }}'", "expression.type"),
    ],
)
async def test_what_decides_about_a_task_fails_it_too(place: str, kind: str) -> None:
    found = await error(f"""
flow: f
inputs: {{m: {{default: {{a: 1}}}}, none: {{default: null}}, text: {{default: 'false'}}}}
tasks:
  a: {{type: set, with: 1, {place}}}
""")

    assert (found["kind"], found["task"]) == (kind, "a")


async def test_a_failing_variable_fails_whoever_asks_and_nobody_else() -> None:
    run = await run_flow("""
flow: f
vars: {bad: "${{ 1 // 0 }}", good: 1}
tasks:
  a: {type: set, with: "${{ vars.good }}"}
  b: {run: 'echo "$X"', env: {X: "${{ vars.bad }}"}, on_error: continue}
outputs: {a: "${{ tasks.a.output }}", b: "${{ tasks.b.error.kind }}"}
""")

    assert run.outputs == {"a": 1, "b": "expression.value"}


async def test_a_failing_output_fails_the_run() -> None:
    found = await error(
        "flow: f\ntasks: {a: {type: set, with: {x: 1}}}\noutputs: {o: '${{ tasks.a.output.y }}'}\n"
    )

    assert found["kind"] == "expression.missing"
    assert "did you mean 'x'?" in found["message"] or "'y'" in found["message"]


async def test_values_keep_their_kinds_from_inputs_to_outputs() -> None:
    found = await outputs(
        """
flow: f
inputs:
  day: {type: string, format: date}
  at: {type: string, format: date-time}
  span: {type: string, format: duration}
tasks:
  a: {type: set, with: {day: "${{ inputs.day + days(1) }}", at: "${{ inputs.at }}", span: "${{ inputs.span * 2 }}"}}
outputs:
  values: "${{ tasks.a.output }}"
  text: "on ${{ tasks.a.output.day }} at ${{ tasks.a.output.at }} for ${{ tasks.a.output.span }}"
  kinds: "${{ [type(v) for v in tasks.a.output.values()] }}"
""",
        {"day": "2026-01-05", "at": "2026-01-05T10:00:00+01:00", "span": "1h"},
    )

    assert found["values"]["day"] == dt.date(2026, 1, 6)
    assert found["text"] == "on 2026-01-06 at 2026-01-05T10:00:00+01:00 for PT7200S"
    assert found["kinds"] == ["date", "datetime", "duration"]


async def test_a_skipped_task_is_null_and_default_fills_in() -> None:
    found = await outputs("""
flow: f
inputs: {n: {default: 1}}
tasks:
  a: {type: set, with: {x: 1}, if: inputs.n > 1}
  b: {type: set, with: "${{ tasks.a.output.x | default(7) }}", run_when: always}
outputs: {a: "${{ tasks.a.output }}", b: "${{ tasks.b.output }}", s: "${{ tasks.a.status }}"}
""")

    assert found == {"a": None, "b": 7, "s": "skipped"}


async def test_what_an_expression_says_the_optimizer_does_not_change() -> None:
    found = await outputs(r"""
flow: f
inputs: {xs: {default: [3, 1, 2]}, t: {default: "a b"}}
tasks:
  a:
    type: set
    with:
      sorted: "${{ inputs.xs | sorted }}"
      text: "$${{ stays }} ${{ inputs.t | upper }}\n"
      multi: |
        ${{ [x for x in inputs.xs
             if x > 1] }}
      braces: "${{ {'a': {'b': '}}'}} }}"
      cond: "${{ 'many' if len(inputs.xs) > 2 else 'few' }}"
      pattern: '${{ find_all("a1b22", "\d+") }}'
outputs: {a: "${{ tasks.a.output }}"}
""")

    assert found["a"] == {
        "sorted": [1, 2, 3],
        "text": "${{ stays }} A B\n",
        "multi": [3, 2],
        "braces": {"a": {"b": "}}"}},
        "cond": "many",
        "pattern": ["1", "22"],
    }


async def test_dates_that_the_compiler_knows_ahead_are_the_same_as_at_run_time() -> None:
    found = await outputs("""
flow: f
inputs: {z: {default: Europe/Berlin}}
vars:
  ahead: "${{ datetime('2026-03-29T01:30', 'Europe/Berlin') + hours(1) }}"
  bytes: "${{ base64_decode('AP8=') }}"
  span: "${{ hours(1) + minutes(30) }}"
tasks:
  a: {type: set, with: "${{ datetime('2026-03-29T01:30', inputs.z) + hours(1) }}"}
outputs:
  same: "${{ tasks.a.output == vars.ahead and str(tasks.a.output) == str(vars.ahead) }}"
  span: "${{ str(vars.span) }}"
  bytes: "${{ base64_encode(vars.bytes) }}"
""")

    assert found == {"same": True, "span": "PT5400S", "bytes": "AP8="}
