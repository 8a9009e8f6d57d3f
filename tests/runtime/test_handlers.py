"""`on_failure` and `finally`: graphs after the main one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.testing.flows import run_flow

if TYPE_CHECKING:
    from world import World

HANDLERS = """
on_failure:
  alert: {type: python, with: {call: act, args: {name: "failure ${{ error.kind }}"}}}
finally:
  tidy: {type: python, with: {call: act, args: {name: "finally ${{ error.kind if error is not null else 'none' }} ${{ run.status }}"}}}
"""


async def test_a_run_that_succeeds_has_its_finally_only(world: World) -> None:
    run = await run_flow("flow: t\ntasks: {a: {type: set, with: 1}}\n" + HANDLERS)

    assert (run.status, world.calls) == ("succeeded", ["finally none succeeded"])
    assert run.tasks["on_failure:alert"].status == "skipped"


async def test_a_run_that_fails_has_both_in_order(world: World) -> None:
    run = await run_flow("flow: t\ntasks: {a: {type: fail, with: {kind: broke, message: no}}}\n" + HANDLERS)

    assert (run.status, world.calls) == ("failed", ["failure broke", "finally broke failed"])


async def test_they_see_all_tasks(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  a: {type: set, with: 7}
  b: {type: fail, needs: [a], with: {message: no}}
on_failure:
  x: {type: set, with: "${{ [tasks.a.output, tasks.b.status, run.errors[0].kind] }}"}
finally:
  y: {type: set, with: "${{ [tasks.x.output, tasks.a.status] }}"}
""")

    assert run.tasks["finally:y"].output == [[7, "failed", "fail"], "succeeded"]


async def test_a_handler_that_fails_makes_the_run_failed_and_keeps_the_first_error(world: World) -> None:
    run = await run_flow("""
flow: t
tasks: {a: {type: fail, with: {kind: first, message: no}}}
on_failure: {x: {type: fail, with: {kind: second, message: no}}}
finally:
  y: {type: python, with: {call: act, args: {name: still}}}
""")
    later = await run_flow("""
flow: t
tasks: {a: {type: set, with: 1}}
finally: {y: {type: fail, with: {kind: untidy, message: no}}}
outputs: {a: "${{ tasks.a.output }}"}
""")

    assert ((run.error or {})["kind"], world.calls) == ("first", ["still"])
    assert (later.status, (later.error or {})["kind"], later.outputs) == ("failed", "untidy", None)


async def test_they_may_wait_in_the_store_and_go_on_once(world: World) -> None:
    run = await run_flow("""
flow: t
tasks: {a: {type: python, with: {call: fail, args: {name: a}}}}
on_failure:
  alert: {type: python, with: {call: act, args: {name: alert}}}
  nap: {type: sleep, needs: [alert], with: {for: 1d}}
  again: {type: python, needs: [nap], with: {call: act, args: {name: again}}}
finally:
  tidy: {type: python, with: {call: act, args: {name: tidy}}}
""")

    assert world.calls == ["a", "alert", "again", "tidy"]
    assert run.status == "failed"
