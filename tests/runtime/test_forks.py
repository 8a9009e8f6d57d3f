"""Reruns and forks: what has been done is taken over, what was asked for is done again, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Config, Engine, InputError, NotFound, load
from flowbuilder.core import paths
from flowbuilder.core.errors import CannotTakeOver
from flowbuilder.core.rules import FAILED, SUCCEEDED
from flowbuilder.runtime.taking_over import Asked, History, take_over
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing.flows import finish, load_text

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder.testing.fake_clock import FakeClock
    from world import World

CHAIN = """
flow: t
inputs: {n: {type: integer, default: 1}, day: {type: string, format: date, default: "2026-01-05"}}
labels: {team: blue}
tasks:
  a: {type: python, with: {call: act, args: {name: a, value: "${{ inputs.n }}"}}}
  b: {type: set, with: "${{ {'n': tasks.a.output * 10, 'rest': {'x': 1}} }}"}
  c: {type: python, with: {call: act, args: {name: c, value: "${{ tasks.b.output.n + 1 }}"}}}
  side: {type: python, with: {call: act, args: {name: side, value: 7}}}
  d: {type: set, with: "${{ tasks.c.output + tasks.side.output }}"}
finally:
  tidy: {type: python, with: {call: act, args: {name: tidy}}}
outputs: {d: "${{ tasks.d.output }}", n: "${{ inputs.n }}", day: "${{ inputs.day }}"}
"""
BROKEN = """
flow: t
tasks:
  good: {type: python, with: {call: act, args: {name: good, value: 1}}}
  bad: {type: python, with: {call: fail, args: {name: bad, times: 1, value: 2}}}
  after: {type: python, with: {call: act, args: {name: after, value: "${{ tasks.bad.output + tasks.good.output }}"}}}
  each: {for_each: [0, 1, 2, 3], on_error: fail, type: python, with: {call: fail, args: {name: "e${{ item }}", times: "${{ 1 if item == 2 else 0 }}", value: "${{ item }}"}}}
  group:
    type: group
    tasks:
      x: {type: python, with: {call: act, args: {name: x, value: 5}}}
      y: {type: python, with: {call: fail, args: {name: y, times: 1, value: "${{ tasks.x.output }}"}}}
outputs: {after: "${{ tasks.after.output }}", each: "${{ tasks.each.output }}", group: "${{ tasks.group.output }}"}
"""


async def ended(engine: Engine, flow: str, inputs: dict[str, Any] | None = None) -> str:
    """Run a flow to its end and return the run's id."""
    run = await engine.start(load_text(flow), inputs)
    await run.wait(20)
    return run.id


async def test_a_rerun_is_a_new_run_of_the_same_version_with_the_same_inputs(
    engine: Engine, world: World
) -> None:
    first = await ended(engine, CHAIN, {"n": 3})

    again = await engine.rerun(first)

    assert await again.result(20) == {"d": 38, "n": 3, "day": (await engine.show(first)).outputs["day"]}
    assert again.id != first
    assert world.calls.count("a") == world.calls.count("tidy") == 2
    view = await engine.show(again.id)
    assert view.about["rerun_of"] == first
    assert view.labels == {"team": "blue"}
    assert (await engine.show(first)).forks == [again.id]


async def test_a_fork_takes_over_all_but_a_task_and_what_follows_it(engine: Engine, world: World) -> None:
    first = await ended(engine, CHAIN)
    world.calls.clear()

    fork = await engine.fork(first, from_tasks=["c"])

    assert (await fork.result(20))["d"] == 18
    assert world.calls == ["c", "tidy"]
    view = await engine.show(fork.id)
    assert {id: task.taken_over for id, task in view.tasks.items()} == {
        "a": True,
        "b": True,
        "c": False,
        "side": True,
        "d": False,
        "finally:tidy": False,
    }
    assert view.tasks["a"].output == 1
    assert view.about["forked_from"] == first
    assert view.about["again"] == ["c", "d"]


async def test_edited_inputs_and_outputs_are_what_later_tasks_see(engine: Engine, world: World) -> None:
    first = await ended(engine, CHAIN)
    world.calls.clear()

    fork = await engine.fork(
        first, from_tasks=["c"], inputs={"n": 5}, outputs={"b.output.n": 100, "side.output": 1}
    )

    assert await fork.result(20) == {"d": 102, "n": 5, "day": (await engine.show(first)).outputs["day"]}
    assert world.calls == ["c", "tidy"]
    view = await engine.show(fork.id)
    assert view.tasks["b"].output == {"n": 100, "rest": {"x": 1}}
    assert view.tasks["b"].reason == "edited"
    assert view.about["edited"] == ["n", "b.output.n", "side.output"]


async def test_without_a_task_what_reads_an_edited_output_is_done_again(engine: Engine, world: World) -> None:
    first = await ended(engine, CHAIN)
    world.calls.clear()

    fork = await engine.fork(first, outputs={"b.output.n": 0})

    assert (await fork.result(20))["d"] == 8
    assert world.calls == ["c", "tidy"]


async def test_what_rests_on_an_edited_output_and_is_kept_all_the_same_is_named(
    engine: Engine, world: World
) -> None:
    first = await ended(engine, CHAIN)
    fork = await engine.fork(first, from_tasks=["d"], outputs={"b.output.n": 0})

    assert (await fork.result(20))["d"] == 18
    assert (await engine.show(fork.id)).about["stale"] == ["c"]


async def test_with_edited_inputs_alone_all_is_done_again(engine: Engine, world: World) -> None:
    first = await ended(engine, CHAIN)
    world.calls.clear()

    fork = await engine.fork(first, inputs={"n": 2})

    assert (await fork.result(20))["d"] == 28
    assert world.count("a") == 1
    with pytest.raises(InputError):
        await engine.fork(first, inputs={"n": "two"})
    with pytest.raises(InputError):
        await engine.fork(first, from_tasks=["d"], inputs={"m": 2})


async def test_only_what_failed_and_what_follows_it_is_done_again(engine: Engine, world: World) -> None:
    first = await ended(engine, BROKEN)
    assert (await engine.show(first)).status == "failed"
    before = {name: world.count(name) for name in ("good", "e0", "e1", "e3", "x")}

    again = await engine.rerun(first, failed=True)

    assert await again.result(20) == {"after": 3, "each": [0, 1, 2, 3], "group": {"x": 5, "y": 5}}
    assert {name: world.count(name) for name in before} == before
    assert {name: world.count(name) for name in ("bad", "e2", "y", "after")} == {
        "bad": 2,
        "e2": 2,
        "y": 2,
        "after": 1,
    }
    with pytest.raises(CannotTakeOver, match="has no task that failed"):
        await engine.rerun(again.id, failed=True)


async def test_one_element_of_a_map_and_one_task_of_a_group_are_done_again(
    engine: Engine, world: World
) -> None:
    first = await ended(engine, BROKEN)
    good = await (await engine.rerun(first, failed=True)).wait(20)
    before = len(world.calls)

    element = await engine.fork(good.run_id, from_tasks=["each[1]"])
    assert (await element.result(20))["each"] == [0, 1, 2, 3]
    assert world.calls[before:] == ["e1"]
    inner = await engine.fork(good.run_id, from_tasks=["group.y"])
    assert (await inner.result(20))["group"] == {"x": 5, "y": 5}
    assert world.calls[before:] == ["e1", "y"]
    whole = await engine.fork(good.run_id, from_tasks=["group"])
    await whole.result(20)
    assert sorted(world.calls[before:]) == ["e1", "x", "y", "y"]


async def test_an_element_cannot_be_done_again_alone_where_the_list_may_be_another(
    engine: Engine, world: World
) -> None:
    first = await ended(
        engine,
        """
flow: t
inputs: {xs: {type: array, default: [1, 2]}}
tasks: {each: {for_each: "${{ inputs.xs }}", type: set, with: "${{ item }}"}}
""",
    )
    with pytest.raises(CannotTakeOver, match="--from each"):
        await engine.fork(first, from_tasks=["each[0]"], inputs={"xs": [3, 4]})
    with pytest.raises(NotFound, match="element"):
        await engine.fork(first, from_tasks=["each[9]"])
    fork = await engine.fork(first, from_tasks=["each"], inputs={"xs": [3, 4, 5]})
    assert (await fork.wait(20)).tasks["each"].output == [3, 4, 5]


async def test_maps_over_mappings_and_maps_of_groups_are_forked_by_their_keys(
    engine: Engine, world: World
) -> None:
    first = await ended(
        engine,
        """
flow: t
tasks:
  each:
    for_each: {de: 1, "a.b]c": 2}
    type: group
    tasks:
      x: {type: python, with: {call: act, args: {name: "x${{ item.key }}", value: "${{ item.value }}"}}}
      y: {type: python, with: {call: act, args: {name: "y${{ item.key }}", value: "${{ tasks.x.output }}"}}}
""",
    )
    world.calls.clear()
    for name, calls in (('each["a.b]c"].y', ["ya.b]c"]), ("each[de]", ["xde", "yde"])):
        fork = await engine.fork(first, from_tasks=[name])
        view = await fork.wait(20)
        assert view.tasks["each"].output == {"de": {"x": 1, "y": 1}, "a.b]c": {"x": 2, "y": 2}}
        assert world.calls == calls
        world.calls.clear()


async def test_the_last_attempt_of_a_group_is_what_is_taken_over(
    engine: Engine, world: World, clock: FakeClock
) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  group:
    type: group
    retry: {attempts: 2, jitter: none}
    tasks:
      x: {type: python, with: {call: act, args: {name: x, value: 5}}}
      y: {type: python, needs: [x], with: {call: fail, args: {name: y, times: 1}}}
      z: {type: python, needs: [y], with: {call: act, args: {name: z}}}
""")
    )
    await finish(engine, run, clock)
    world.calls.clear()
    fork = await engine.fork(run.id, from_tasks=["group.z"])

    assert (await fork.wait(20)).status == "succeeded"
    assert world.calls == ["z"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("cc", "did you mean 'c'"), ("c.x", "c.x"), ("zzz", "its tasks are"), ("1", "1"), ("c#2", "attempts")],
)
async def test_a_task_that_is_not_there_is_told_with_what_was_meant(
    engine: Engine, world: World, name: str, hint: str
) -> None:
    first = await ended(engine, CHAIN)
    with pytest.raises((NotFound, CannotTakeOver), match=hint):
        await engine.fork(first, from_tasks=[name])


@pytest.mark.parametrize(
    "outputs", [{"b": 1}, {"b.output[0]": 1}, {"b.output.n.m": 1}, {"bb.output": 1}, {"b.output.": 1}]
)
async def test_an_output_that_cannot_be_set_is_refused(
    engine: Engine, world: World, outputs: dict[str, Any]
) -> None:
    first = await ended(engine, CHAIN)
    with pytest.raises((NotFound, CannotTakeOver)):
        await engine.fork(first, outputs=outputs)


async def test_a_failed_task_is_passed_over_by_an_output_that_somebody_gives(
    engine: Engine, world: World
) -> None:
    first = await ended(engine, BROKEN)
    fork = await engine.fork(
        first, outputs={"bad.output": 40, "each.output": ["x"], "group.output": {"by": "hand"}}
    )

    assert await fork.result(20) == {"after": 41, "each": ["x"], "group": {"by": "hand"}}
    assert world.count("bad") == 1


async def test_an_edited_flow_is_carried_on_where_it_fits_and_refused_where_it_does_not(
    engine: Engine, world: World
) -> None:
    first = await ended(engine, BROKEN)
    before = len(world.calls)
    mended = BROKEN.replace("call: fail, args: {name: bad, times: 1,", "call: act, args: {name: mended,")
    mended = mended.replace(
        "  group:\n", "  fresh: {type: python, with: {call: act, args: {name: fresh}}}\n  group:\n"
    )

    fork = await engine.fork(first, flow=load_text(mended))
    assert (await fork.result(20))["after"] == 3
    assert sorted(world.calls[before:]) == ["after", "e0", "e1", "e2", "e3", "fresh", "mended", "y"]

    with pytest.raises(CannotTakeOver) as refused:
        await engine.fork(first, flow=load_text(mended.replace("good", "goood")))
    text = str(refused.value)
    assert "gone: good (did you mean 'goood'?)" in text
    assert "new: 'fresh', 'goood'" in text
    without = load_text(
        "\n".join(line for line in CHAIN.splitlines() if not line.startswith(("  d:", "outputs")))
    )
    chain = await ended(engine, CHAIN)
    assert (await (await engine.fork(chain, from_tasks=["c"], flow=without)).wait(20)).status == "succeeded"


async def test_the_latest_version_is_read_from_the_flows_file(
    engine: Engine, world: World, tmp_path: Path
) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("flow: f\ntasks: {a: {type: set, with: 1}}\noutputs: {a: '${{ tasks.a.output }}'}\n")
    run = await engine.start(load(file))
    await run.result(20)
    file.write_text(file.read_text().replace("with: 1", "with: 2"))

    assert await (await engine.rerun(run.id)).result(20) == {"a": 1}
    assert await (await engine.rerun(run.id, latest=True)).result(20) == {"a": 2}
    file.unlink()
    with pytest.raises(NotFound):
        await engine.rerun(run.id, latest=True)


async def test_what_was_undone_is_done_again_and_what_is_taken_over_is_not_undone(
    engine: Engine, world: World
) -> None:
    flow = """
flow: t
inputs: {late: {type: boolean, default: false}}
tasks:
  book: {type: python, with: {call: act, args: {name: book}}, undo: {type: python, with: {call: act, args: {name: unbook}}}}
  pay: {type: python, needs: [book], with: {call: fail, args: {name: pay, times: 1}}}
  send: {type: python, needs: [pay], with: {call: fail, args: {name: send, times: "${{ 9 if inputs.late else 0 }}"}}}
"""
    first = await ended(engine, flow)
    assert world.calls == ["book", "pay", "unbook"]

    again = await (await engine.rerun(first, failed=True)).wait(20)
    assert again.status == "succeeded"
    assert world.calls[3:] == ["book", "pay", "send"]

    late = await engine.fork(again.run_id, from_tasks=["send"], inputs={"late": True})
    assert (await late.wait(20)).status == "failed"
    assert world.calls[6:] == ["send"]


async def test_large_outputs_are_shared_and_no_sweep_takes_them(engine: Engine, world: World) -> None:
    first = await ended(
        engine,
        """
flow: t
tasks:
  big: {type: python, with: {call: act, args: {name: big, value: "${{ [i for i in range(50000)] }}"}}}
  size: {type: set, with: "${{ len(tasks.big.output) }}"}
outputs: {size: "${{ tasks.size.output }}"}
""",
    )
    fork = await engine.fork(first, from_tasks=["size"])
    assert await fork.result(20) == {"size": 50000}
    store = engine.core.machine.store
    assert store.delete_runs([first]) == 1
    assert store.sweep_blobs(0.0) == 0

    again = await engine.fork(fork.id, from_tasks=["size"])
    assert await again.result(20) == {"size": 50000}
    assert world.calls == ["big"]
    edited = await engine.fork(fork.id, outputs={"big.output": list(range(90_000))})
    assert await edited.result(20) == {"size": 90_000}


async def test_effects_of_a_fork_have_keys_of_their_own(engine: Engine, world: World) -> None:
    flow = """
flow: t
tasks:
  a: {type: python, with: {call: act, args: {name: a, value: "${{ run.id }}"}}}
  b: {type: python, needs: [a], with: {call: act, args: {name: b, value: "${{ run.id }}"}}}
outputs: {a: "${{ tasks.a.output }}", b: "${{ tasks.b.output }}"}
"""
    first = await ended(engine, flow)
    fork = await engine.fork(first, from_tasks=["b"])

    assert await fork.result(20) == {"a": first, "b": fork.id}


async def test_a_live_run_is_forked_from_what_is_on_disk_of_it(
    engine: Engine, world: World, clock: FakeClock
) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  a: {type: python, with: {call: act, args: {name: a, value: 1}}}
  nap: {type: sleep, needs: [a], with: {for: 1h}}
  b: {type: python, needs: [nap], with: {call: act, args: {name: b}}}
""")
    )
    await world.begun("a")
    await run.pause()
    fork = await engine.fork(run.id, outputs={"nap.output": None})

    assert (await fork.wait(20)).status == "succeeded"
    assert world.calls == ["a", "b"]
    with pytest.raises(CannotTakeOver, match="has not ended yet"):
        await engine.rerun(run.id, failed=True)


async def test_the_same_key_makes_one_fork(engine: Engine, world: World) -> None:
    first = await ended(engine, CHAIN)
    one = await engine.fork(first, from_tasks=["c"], key="k")
    two = await engine.fork(first, from_tasks=["c"], key="k")

    assert one.id == two.id


async def test_sub_flows_that_are_taken_over_keep_their_run_and_others_get_a_new_one(
    engine: Engine, world: World, tmp_path: Path, clock: FakeClock
) -> None:
    (tmp_path / "child.yaml").write_text(
        "flow: child\ntasks: {a: {type: python, with: {call: act, args: {name: child, value: 4}}}}\n"
        "outputs: {n: '${{ tasks.a.output }}'}\n"
    )
    (tmp_path / "parent.yaml").write_text(
        "flow: parent\ntasks:\n  sub: {type: flow, with: {path: child.yaml}}\n"
        "  b: {type: set, with: '${{ tasks.sub.output.n }}'}\n"
    )
    run = await engine.start(load(tmp_path / "parent.yaml"))
    first = await run.wait(20)
    kept = await (await engine.fork(run.id, from_tasks=["b"])).wait(20)
    anew = await engine.fork(run.id, from_tasks=["sub"])
    await finish(engine, anew, clock)
    view = await engine.show(anew.id)

    assert kept.tasks["sub"].child == first.tasks["sub"].child
    assert view.tasks["sub"].child not in (None, first.tasks["sub"].child)
    assert world.count("child") == 2


async def test_a_fork_is_carried_on_by_the_next_engine_as_any_run(clock: FakeClock, world: World) -> None:
    memory = MemoryStore()
    async with Engine(":memory:", Config(), clock=clock, store=memory) as engine:
        run = await engine.start(
            load_text("""
flow: t
tasks:
  a: {type: python, with: {call: act, args: {name: a, value: 1}}}
  nap: {type: sleep, needs: [a], with: {for: 1h}}
  b: {type: python, needs: [nap], with: {call: act, args: {name: b, value: "${{ tasks.a.output }}"}}}
outputs: {b: "${{ tasks.b.output }}"}
""")
        )
        await finish(engine, run, clock)
        fork = await engine.fork(run.id, from_tasks=["nap"])
    async with Engine(":memory:", Config(), clock=clock, store=MemoryStore(memory.place)) as engine:
        again = await engine.get(fork.id)
        await finish(engine, again, clock)
        assert await again.result(20) == {"b": 1}
        assert (await engine.show(fork.id)).tasks["a"].taken_over
    assert world.calls == ["a", "b", "b"]


def test_what_a_fork_takes_over_of_a_large_map_is_found_in_linear_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flow = load_text("flow: t\ntasks: {a: {for_each: [1], type: set, with: 1}, b: {type: set, with: x}}")
    most = 3000
    ended = {f"a[{place}]": SUCCEEDED for place in range(most)}
    ended[f"a[{most}]"] = FAILED
    asked = 0
    is_within = paths.is_within

    def counted(path: str, outer: str) -> bool:
        nonlocal asked
        asked += 1
        return is_within(path, outer)

    monkeypatch.setattr("flowbuilder.runtime.taking_over.is_within", counted)
    taken = take_over(flow.plan, History(ended | {"a": FAILED}, {"a"}, set()), Asked())

    assert len(taken.paths) == most
    assert asked < 10 * most


async def test_no_wait_of_a_fork_takes_again_what_was_taken_for_it(engine: Engine) -> None:
    flow = load_text("""
flow: t
tasks:
  one: {type: wait, with: {event: part, window: 1h}}
  more:
    type: wait
    needs: [one]
    with: {event: part, window: 1h}
    repeat: {while: loop.index < 2, max: 2, collect: "${{ output.n }}"}
  last: {type: wait, needs: [more], with: {event: part, window: 1h}}
outputs: {all: "${{ [tasks.one.output.n] + tasks.more.output + [tasks.last.output.n] }}"}
""")
    for n in range(6):
        await engine.emit("part", {"n": n})
    first = await engine.start(flow)
    assert await first.result(20) == {"all": [0, 1, 2, 3]}

    assert await (await engine.fork(first.id, from_tasks=["last"])).result(20) == {"all": [0, 1, 2, 3]}
    assert await (await engine.fork(first.id, from_tasks=["more"])).result(20) == {"all": [0, 1, 2, 3]}
