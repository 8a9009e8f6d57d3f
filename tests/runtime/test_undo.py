"""`undo`: what a run has done is reversed when it fails or is cancelled, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine, Reader, RunCancelled
from flowbuilder.runtime.config import Config, EngineConfig
from flowbuilder.storage.api import RunFilter
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import load_text, run_flow
from world import until

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder.runtime.state import RunState
    from world import World

TRIP = """
flow: trip
inputs: {ships: {type: boolean, default: false}}
tasks:
  hotel:
    type: python
    with: {call: act, args: {name: hotel, value: {id: h7}}}
    undo: {type: python, with: {call: act, args: {name: "no ${{ output.id }} after ${{ error.kind }}"}}}
  car:
    type: python
    needs: [hotel]
    with: {call: act, args: {name: car, value: c1}}
    undo: {type: python, with: {call: act, args: {name: "no ${{ output }} of ${{ tasks.hotel.output.id }}"}}}
  ship:
    type: python
    needs: [car]
    with: {call: fail, args: {name: ship, times: "${{ 0 if inputs.ships else 9 }}"}}
    undo: {type: python, with: {call: act, args: {name: never}}}
on_failure:
  alert: {type: python, with: {call: act, args: {name: alert}}}
"""


async def test_undos_run_newest_first_before_on_failure_and_see_the_output(world: World) -> None:
    run = await run_flow(TRIP)

    assert run.status == "failed"
    assert world.calls == ["hotel", "car", "ship", "no c1 of h7", "no h7 after boom", "alert"]
    assert {path: task.status for path, task in run.tasks.items() if "undo" in path} == {
        "hotel~undo": "succeeded",
        "car~undo": "succeeded",
        "ship~undo": "skipped",
    }
    assert run.tasks["ship~undo"].reason == "nothing_to_undo"
    assert run.error is not None
    assert "not_undone" not in run.error


async def test_nothing_is_undone_of_a_run_that_succeeds(world: World) -> None:
    run = await run_flow(TRIP, {"ships": True})

    assert run.status == "succeeded"
    assert world.calls == ["hotel", "car", "ship"]
    assert run.tasks["hotel~undo"].reason == "not_failed"


async def test_what_ended_last_is_undone_first_whatever_the_order_in_the_file(
    engine: Engine, world: World
) -> None:
    def held(name: str) -> str:
        undo = f"{{type: python, with: {{call: act, args: {{name: no {name}}}}}}}"
        return f"{name}: {{type: python, with: {{call: hold, args: {{name: {name}}}}}, undo: {undo}}}"

    run = await engine.start(
        load_text(f"""
flow: t
tasks:
  {held("a")}
  {held("b")}
  {held("c")}
  bad: {{type: fail, needs: [a, b, c], with: {{message: no}}}}
""")
    )
    state = engine.core.machine.runs.live[run.id]
    for left, name in ((2, "b"), (1, "c"), (0, "a")):
        await world.begun(name)
        world.let_go(name)
        await until(lambda left=left: sum(not one.ended for one in state.executions) <= left)
    await run.wait(20)

    assert world.calls[3:] == ["no a", "no c", "no b"]


async def test_each_element_of_a_map_is_undone_by_itself(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  list:
    for_each: [10, 20, 30]
    concurrency: 1
    type: python
    with: {call: act, args: {name: "do ${{ item }}", value: "${{ item + 1 }}"}}
    undo: {type: python, with: {call: act, args: {name: "undo ${{ index }} ${{ item }} ${{ output }}"}}}
  named:
    for_each: {x: 1, "y]": 2}
    as: pair
    needs: [list]
    concurrency: 1
    type: python
    with: {call: act, args: {name: "do ${{ item.key }}"}}
    undo: {type: python, with: {call: act, args: {name: "undo ${{ pair.key }}"}}}
  bad: {type: fail, needs: [named], with: {message: no}}
""")

    assert world.calls[5:] == ["undo y]", "undo x", "undo 2 30 31", "undo 1 20 21", "undo 0 10 11"]
    assert run.elements["list[1]~undo"].status == "succeeded"
    assert run.elements['named["y]"]~undo'].status == "succeeded"
    assert (run.tasks["list"].undone, run.tasks["named"].undone) == (3, 2)


async def test_elements_that_succeeded_are_undone_where_another_failed(world: World) -> None:
    await run_flow("""
flow: t
tasks:
  each:
    for_each: [0, 0, 9, 0]
    concurrency: 1
    type: python
    with: {call: fail, args: {name: "${{ index }}", times: "${{ item }}"}}
    undo: {type: python, with: {call: act, args: {name: "undo ${{ index }}"}}}
""")

    assert world.calls == [0, 1, 2, "undo 1", "undo 0"]


async def test_an_attempt_of_unknown_outcome_is_undone_without_an_output(
    engine: Engine, clock: FakeClock, world: World
) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  slow:
    type: python
    timeout: 10s
    with: {call: hold, args: {name: slow}}
    undo: {type: python, with: {call: act, args: {name: "undo ${{ output is null }}"}}}
""")
    )
    await world.begun("slow")
    clock.advance(11)
    view = await run.wait(20)

    assert view.error is not None
    assert view.error["kind"] == "timeout"
    assert world.calls == ["slow", "undo true"]


async def test_once_in_doubt_stays_in_doubt_though_a_later_attempt_fails_cleanly(world: World) -> None:
    await run_flow("""
flow: t
tasks:
  twice:
    type: python
    retry: {attempts: 2, delay: 1s}
    with: {call: fail, args: {name: twice, kind: "timeout"}}
    undo: {type: python, with: {call: act, args: {name: undo}}}
  clean:
    type: python
    on_error: continue
    retry: {attempts: 3, delay: 1s}
    with: {call: fail, args: {name: clean}}
    undo: {type: python, with: {call: act, args: {name: never}}}
""")

    assert sorted(world.calls) == ["clean", "clean", "clean", "twice", "twice", "undo"]


@pytest.mark.parametrize("executor", ["inline", "thread", "process"])
async def test_a_function_may_say_that_it_has_done_a_part(
    executor: str, tmp_path: Path, world: World
) -> None:
    (tmp_path / "half_done.py").write_text(
        "from flowbuilder import TaskFailed\n"
        "def half(in_doubt): raise TaskFailed('shop.half', 'no', in_doubt=in_doubt)\n"
    )
    text = """
flow: t
tasks:
  half:
    for_each: [true, false]
    on_error: continue
    type: python
    executor: %s
    with: {call: "half_done:half", args: {in_doubt: "${{ item }}"}}
    undo: {type: python, executor: inline, with: {call: act, args: {name: "undo ${{ index }}"}}}
  bad: {type: fail, needs: [half], run_when: all_done, with: {message: no}}
"""
    await run_flow(load_text(text % executor, tmp_path))

    assert world.calls == ["undo 0"]


async def test_what_was_rescued_is_not_undone_unless_it_is_in_doubt(world: World) -> None:
    await run_flow("""
flow: t
tasks:
  clean:
    type: python
    with: {call: fail, args: {name: clean}}
    on_error: {value: 1}
    undo: {type: python, with: {call: act, args: {name: never}}}
  doubt:
    type: python
    needs: [clean]
    with: {call: fail, args: {name: doubt, kind: http.broken}}
    on_error: {tasks: {mend: {type: python, with: {call: act, args: {name: mend, value: 2}},
      undo: {type: python, with: {call: act, args: {name: "unmend ${{ output }} ${{ error.kind }}"}}}}}}
    undo: {type: python, with: {call: act, args: {name: "undo ${{ output is null }}"}}}
  bad: {type: fail, needs: [doubt], with: {message: no}}
""")

    assert world.calls == ["clean", "doubt", "mend", "undo true", "unmend 2 fail"]


async def test_a_skipped_task_is_not_undone_and_an_undo_may_have_a_condition(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  skipped: {type: python, if: false, with: {call: act, args: {name: x}}, undo: {type: python, with: {call: act, args: {name: never}}}}
  done:
    type: python
    with: {call: act, args: {name: done, value: 5}}
    undo: {if: output > 5, type: python, with: {call: act, args: {name: never}}}
  bad: {type: fail, needs: [done], with: {message: no}}
""")

    assert world.calls == ["done"]
    assert run.tasks["done~undo"].reason == "condition"


async def test_an_undo_that_fails_is_tried_again_then_named_and_the_rest_go_on(world: World) -> None:
    clock = FakeClock()
    run = await run_flow(
        """
flow: t
tasks:
  a: {type: python, with: {call: act, args: {name: a}}, undo: {type: python, with: {call: act, args: {name: undo a}}}}
  b: {type: python, needs: [a], with: {call: act, args: {name: b}}, undo: {type: python, with: {call: fail, args: {name: undo b}}}}
  bad: {type: fail, needs: [b], with: {kind: mine, message: no}}
on_failure:
  alert: {type: python, with: {call: act, args: {name: "${{ [e.task for e in run.errors] }}"}}}
""",
        clock=clock,
    )

    assert world.calls == ["a", "b", "undo b", "undo b", "undo b", "undo a", ["bad", "b~undo"]]
    assert run.error is not None
    assert run.error["kind"] == "mine"
    assert run.error["not_undone"] == [{"task": "b", "kind": "boom", "message": "undo b failed"}]
    assert len(clock.slept) == 2


async def test_a_cancelled_run_is_undone_and_what_was_in_flight_is_in_doubt(
    engine: Engine, world: World
) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  done: {type: python, with: {call: act, args: {name: done, value: 1}},
    undo: {type: python, with: {call: act, args: {name: "undo done ${{ output }}"}}}}
  each:
    for_each: [1, 2, 3]
    concurrency: 1
    needs: [done]
    type: python
    with: {call: hold, args: {name: each}}
    undo: {type: python, with: {call: act, args: {name: "undo each ${{ item }} ${{ output is null }}"}}}
finally:
  tidy: {type: python, with: {call: act, args: {name: tidy}}}
""")
    )
    await world.begun("each")
    assert await run.cancel("enough")
    with pytest.raises(RunCancelled):
        await run.result(20)

    assert world.calls == ["done", "each", "undo each 1 true", "undo done 1", "tidy"]
    assert (await run.wait(20)).status == "cancelled"


async def test_a_cancel_may_leave_things_as_they_are(engine: Engine, world: World) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  done: {type: python, with: {call: act, args: {name: done}}, undo: {type: python, with: {call: act, args: {name: undo}}}}
  held: {type: python, needs: [done], with: {call: hold, args: {name: held}}}
""")
    )
    await world.begun("held")
    machine = engine.core.machine
    assert machine.cancellation.cancel(machine.runs.live[run.id], "stop", undo=False)
    view = await run.wait(20)

    assert world.calls == ["done", "held"]
    assert view.tasks["done~undo"].reason == "without_undo"


async def test_a_cancel_does_not_stop_undoing(engine: Engine, world: World) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  a: {type: python, with: {call: act, args: {name: a}}, undo: {type: python, with: {call: act, args: {name: undo a}}}}
  b: {type: python, needs: [a], with: {call: act, args: {name: b}}, undo: {type: python, with: {call: hold, args: {name: undo b}}}}
  bad: {type: fail, needs: [b], with: {message: no}}
""")
    )
    await world.begun("undo b")
    assert await run.cancel("enough")
    world.let_go("undo b")
    view = await run.wait(20)

    assert world.calls == ["a", "b", "undo b", "undo a"]
    assert view.status == "cancelled"


async def test_to_cancel_without_undoing_comes_too_late_when_undoing_has_begun_also_after_a_restart(
    world: World, tmp_path: Path
) -> None:
    flow = load_text("""
flow: t
tasks:
  a: {type: python, with: {call: act, args: {name: a}}, undo: {type: python, with: {call: act, args: {name: undo a}}}}
  b: {type: python, needs: [a], with: {call: act, args: {name: b}}, undo: {type: python, with: {call: hold, args: {name: undo b}}}}
  bad: {type: fail, needs: [b], with: {message: no}}
""")
    async with Engine(tmp_path / "store.db") as engine:
        run = await engine.start(flow)
        await world.begun("undo b")
        assert await run.cancel("stop", undo=False)
    world.let_go("undo b")
    async with Engine(tmp_path / "store.db") as engine:
        view = await (await engine.get(run.id)).wait(20)

    assert world.calls == ["a", "b", "undo b", "undo b", "undo a"]
    assert view.status == "cancelled"


async def test_a_group_s_failed_attempt_is_undone_before_the_next(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  trip:
    type: group
    retry: {attempts: 2, delay: 1s}
    tasks:
      hotel: {type: python, with: {call: act, args: {name: hotel}}, undo: {type: python, with: {call: act, args: {name: no hotel}}}}
      plane: {type: python, needs: [hotel], with: {call: fail, args: {name: plane, times: 1}}, undo: {type: python, with: {call: act, args: {name: no plane}}}}
  bad: {type: fail, needs: [trip], with: {message: no}}
""")

    first = ["hotel", "plane", "no hotel"]
    assert world.calls == [*first, "hotel", "plane", "no plane", "no hotel"]
    assert run.elements["trip#2.hotel~undo"].status == "succeeded"


async def test_a_group_and_what_is_in_it_are_undone_also_in_maps(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  each:
    for_each: [1, 2]
    concurrency: 1
    type: group
    tasks:
      a: {type: python, with: {call: act, args: {name: "a${{ item }}", value: "${{ item * 10 }}"}}}
      b: {type: python, with: {call: act, args: {name: "b${{ tasks.a.output }}"}},
        undo: {type: python, with: {call: act, args: {name: "undo b${{ tasks.a.output }} ${{ item }}"}}}}
    undo: {type: python, with: {call: act, args: {name: "undo each${{ item }} ${{ output.a }}"}}}
  bad: {type: fail, needs: [each], with: {message: no}}
""")

    assert world.calls[4:] == ["undo each2 20", "undo b20 2", "undo each1 10", "undo b10 1"]
    assert run.status == "failed"


async def test_a_group_that_failed_by_itself_is_not_undone_though_its_run_had_left_memory(
    world: World,
) -> None:
    await run_flow("""
flow: t
tasks:
  clean:
    type: group
    on_error: continue
    tasks:
      a: {type: python, with: {call: act, args: {name: a}}, undo: {type: python, with: {call: act, args: {name: undo a}}}}
      nap: {type: sleep, needs: [a], with: {for: 2h}}
      no: {type: fail, needs: [nap], with: {message: no}}
    undo: {type: python, with: {call: act, args: {name: never}}}
  bad: {type: fail, needs: [clean], run_when: all_done, with: {message: no}}
""")

    assert world.calls == ["a", "undo a"]


async def test_a_group_whose_first_attempt_ran_out_of_time_stays_in_doubt_though_its_run_leaves_memory(
    world: World,
) -> None:
    await run_flow("""
flow: t
tasks:
  slow:
    type: group
    timeout: 3h
    retry: {attempts: 2, delay: 1h}
    tasks:
      pick: {type: python, with: {call: fail, args: {name: pick, times: 1, value: 2}}, on_error: {value: 10}}
      nap: {type: sleep, with: {for: "${{ hours(tasks.pick.output) }}"}}
      no: {type: fail, needs: [nap], with: {message: no}}
    undo: {type: python, with: {call: act, args: {name: "undo ${{ output is null }}"}}}
""")

    assert world.calls == ["pick", "pick", "undo true"]


async def test_an_undo_may_be_a_group_or_a_map_itself(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  a:
    type: python
    with: {call: act, args: {name: a, value: [1, 2]}}
    undo:
      type: group
      tasks:
        one: {for_each: "${{ output }}", concurrency: 1, type: python, with: {call: act, args: {name: "x${{ item }}"}}}
        two: {needs: [one], type: python, with: {call: act, args: {name: "y${{ output[0] }}"}}}
  bad: {type: fail, needs: [a], with: {message: no}}
""")

    assert world.calls == ["a", "x1", "x2", "y1"]
    assert run.tasks["a~undo.two"].status == "succeeded"


async def test_a_child_run_undoes_itself_and_its_parent_undoes_the_flow_task(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "child.yaml").write_text("""
flow: child
inputs: {bad: {type: boolean}}
tasks:
  a: {type: python, with: {call: act, args: {name: a}}, undo: {type: python, with: {call: act, args: {name: undo a}}}}
  b: {type: fail, if: "${{ inputs.bad }}", needs: [a], with: {kind: timeout, message: no}}
outputs: {it: "${{ run.id }}"}
""")
    flow = load_text(
        """
flow: parent
inputs: {bad: {type: boolean}}
tasks:
  part:
    type: flow
    with: {path: child.yaml, inputs: {bad: "${{ inputs.bad }}"}}
    undo: {type: python, with: {call: act, args: {name: "undo part ${{ output.it == null }}"}}}
  bad: {type: fail, needs: [part], with: {message: no}}
""",
        tmp_path,
    )

    await run_flow(flow, {"bad": True})
    assert world.calls == ["a", "undo a"]
    world.calls.clear()
    await run_flow(flow, {"bad": False})
    assert world.calls == ["a", "undo part false"]


@pytest.mark.parametrize("how", ["cancel", "timeout"])
async def test_a_child_that_is_told_to_stop_undoes_itself_and_is_not_undone_by_its_parent_too(
    how: str, engine: Engine, clock: FakeClock, world: World, tmp_path: Path
) -> None:
    (tmp_path / "child.yaml").write_text("""
flow: child
tasks:
  a: {type: python, with: {call: act, args: {name: a}}, undo: {type: python, with: {call: act, args: {name: undo a}}}}
  b: {type: python, needs: [a], with: {call: hold, args: {name: b}}}
""")
    flow = load_text(
        """
flow: parent
tasks:
  first: {type: python, with: {call: act, args: {name: first}}, undo: {type: python, with: {call: act, args: {name: undo first}}}}
  part: {type: flow, needs: [first], timeout: 1h, with: {path: child.yaml}, undo: {type: python, with: {call: act, args: {name: never}}}}
""",
        tmp_path,
    )
    run = await engine.start(flow)
    await world.begun("b")
    if how == "cancel":
        assert await run.cancel("enough")
    else:
        clock.advance(3601)
    await run.wait(20)

    assert world.calls == ["first", "a", "b", "undo a", "undo first"]


async def test_a_parent_that_comes_back_to_be_cancelled_waits_for_its_child_to_undo_itself(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "child.yaml").write_text("""
flow: child
tasks:
  a:
    type: python
    with: {call: act, args: {name: a}}
    undo: {type: python, retry: {attempts: 3, delay: 10ms}, with: {call: fail, args: {name: undo a, times: 2}}}
  nap: {type: sleep, needs: [a], with: {for: 1d}}
""")
    flow = load_text(
        """
flow: parent
tasks:
  first: {type: python, with: {call: act, args: {name: first}}, undo: {type: python, with: {call: act, args: {name: undo first}}}}
  part: {type: flow, needs: [first], with: {path: child.yaml}, undo: {type: python, with: {call: act, args: {name: never}}}}
""",
        tmp_path,
    )
    config = Config(engine=EngineConfig(leave_after=0.01))
    async with Engine(tmp_path / "store.db", config) as engine:
        run = await engine.start(flow)
        await until(lambda: world.count("a") and not _live(engine))
        assert await run.cancel("enough")
        view = await run.wait(20)

    assert world.calls == ["first", "a", "undo a", "undo a", "undo a", "undo first"]
    assert view.status == "cancelled"


async def test_outputs_or_finally_that_fail_undo_the_run_too(world: World) -> None:
    task = "a: {type: python, with: {call: act, args: {name: a}}, undo: {type: python, with: {call: act, args: {name: undo}}}}"
    await run_flow(f"flow: t\ntasks:\n  {task}\noutputs: {{x: '${{{{ tasks.a.output.b }}}}'}}\n")
    await run_flow(f"flow: t\ntasks:\n  {task}\nfinally:\n  f: {{type: fail, with: {{message: no}}}}\n")

    assert world.calls == ["a", "undo"] * 2


async def test_ten_thousand_elements_are_undone(world: World) -> None:
    run = await run_flow(
        """
flow: t
tasks:
  each:
    for_each: "${{ range(10000) }}"
    concurrency: 1000
    type: python
    executor: inline
    with: {call: act, args: {name: do}}
    undo: {type: python, executor: inline, with: {call: act, args: {name: "${{ item }}"}}}
  bad: {type: fail, needs: [each], with: {message: no}}
""",
        timeout=100,
    )

    assert run.status == "failed"
    assert sorted(map(int, world.calls[10000:])) == list(range(10000))


async def test_a_script_that_has_not_left_what_it_should_is_in_doubt(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  a:
    type: shell
    with: {command: "true", files: {report: report.txt}}
    undo: {type: python, with: {call: act, args: {name: "undone ${{ output is null }}"}}}
""")

    assert run.error is not None
    assert run.error["kind"] == "shell.file"
    assert world.calls == ["undone true"]


@pytest.mark.parametrize("in_memory", [True, False])
async def test_a_cancel_that_leaves_things_as_they_are_does_so_in_child_runs_too(
    in_memory: bool, tmp_path: Path, world: World
) -> None:
    (tmp_path / "child.yaml").write_text("""
flow: child
tasks:
  done: {type: python, with: {call: act, args: {name: done}}, undo: {type: python, with: {call: act, args: {name: undo}}}}
  nap: {type: sleep, needs: [done], with: {for: 1h}}
""")
    flow = load_text("flow: t\ntasks: {sub: {type: flow, with: {path: child.yaml}}}", tmp_path)
    path = tmp_path / "store.db"
    async with Engine(path) as engine:
        run = await engine.start(flow)
        store = engine.core.machine.store
        await until(lambda: store.runs(RunFilter(parent=run.id, status=("waiting",))))
        if in_memory:
            assert await run.cancel("stop", undo=False)
            await run.wait(20)
    if not in_memory:
        with Reader(path) as reader:
            assert reader.cancel(run.id, "stop", undo=False)
        async with Engine(path) as engine:
            for row in await engine.runs():  # its child ends by itself, and may do so later
                await (await engine.get(row.id)).wait(20)
    with Reader(path) as reader:
        (child,) = reader.runs(RunFilter(parent=run.id))
        assert (child.status, reader.row(run.id).status) == ("cancelled", "cancelled")
        assert reader.show(child.id).tasks["done~undo"].reason == "without_undo"
    assert world.calls == ["done"]


def _live(engine: Engine) -> list[RunState]:
    return list(engine.core.machine.runs.live.values())
