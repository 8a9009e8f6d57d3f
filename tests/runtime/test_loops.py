"""`repeat`: rounds of every kind of task, what they see, how they end, what is kept of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Config, Engine
from flowbuilder.runtime.config import LimitsConfig
from flowbuilder.runtime.histories import compacted
from flowbuilder.runtime.recovered import replay
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.tasks.python import name_function
from flowbuilder.testing.crashing_store import Crash, CrashingStore
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import load_text, run_flow
from world import until

if TYPE_CHECKING:
    from world import World


async def outputs(tasks: str, **inputs: Any) -> Any:
    run = await run_flow(f"flow: t\ninputs: {{n: {{type: integer, default: 3}}}}\ntasks:\n{tasks}", inputs)
    assert run.status == "succeeded", run.error
    return {id: task.output for id, task in run.tasks.items()}


async def test_until_is_asked_after_each_round_and_the_output_is_the_last_rounds() -> None:
    found = await outputs("""
  a: {type: set, with: "${{ loop.state * 2 }}", repeat: {until: output > 100, max: none, state: 1}}
  once: {type: set, with: "${{ loop.index }}", repeat: {until: true, max: 1}}
""")
    assert found == {"a": 128, "once": 0}


async def test_while_is_asked_before_each_round_and_false_at_once_is_a_success() -> None:
    found = await outputs("""
  none: {type: set, with: 1, repeat: {while: loop.index < 0, max: 5, state: 7}}
  listed: {type: set, with: 1, repeat: {while: loop.index < 0, max: 5, collect: "${{ output }}"}}
  some: {type: set, with: "${{ loop.index }}", repeat: {while: loop.index < inputs.n, max: 3}}
""")
    assert found == {"none": None, "listed": [], "some": 2}


async def test_the_state_is_null_unless_given_and_then_each_rounds_output() -> None:
    found = await outputs("""
  a:
    type: set
    with: "${{ [loop.state, loop.index] }}"
    repeat: {while: loop.index < 3, max: 3}
""")
    assert found["a"] == [[[None, 0], 1], 2]


@pytest.mark.parametrize("test", ["until: false", "while: true"])
@pytest.mark.parametrize(
    "work", ["{type: set, with: 1, ", "{type: python, with: {call: act, args: {name: a}}, "]
)
async def test_a_loop_that_comes_to_max_fails_and_says_so(test: str, work: str, world: World) -> None:
    run = await run_flow(f"flow: t\ntasks:\n  a: {work} repeat: {{{test}, max: 3}}}}")

    assert run.status == "failed"
    assert run.error is not None
    assert run.error["kind"] == "repeat.max"
    assert run.error["task"] == "a"
    assert run.error["data"] == {"rounds": 3}
    assert world.calls in ([], ["a"] * 3)


async def test_rounds_of_a_group_see_the_loop_and_have_paths_of_their_own() -> None:
    run = await run_flow("""
flow: t
tasks:
  g:
    type: group
    tasks:
      a: {type: set, with: "${{ loop.index * 10 }}"}
      b: {type: set, if: "${{ loop.index > 0 }}", with: "${{ [tasks.a.output, loop.state] }}"}
    outputs: {b: "${{ tasks.b.output }}"}
    repeat: {until: loop.index == 2, max: 9, collect: "${{ [output.b, loop.index] }}"}
""")
    assert run.status == "succeeded", run.error
    assert run.tasks["g"].output == [
        [None, 0],
        [[10, {"b": None}], 1],
        [[20, {"b": [10, {"b": None}]}], 2],
    ]
    assert run.tasks["g"].rounds == 3
    assert run.tasks["g.a"].output == 20
    assert run.elements["g@2.a"].output == 10


async def test_loops_inside_loops_and_elements_have_rounds_of_their_own() -> None:
    found = await outputs("""
  m:
    for_each: [1, 2, 3]
    type: set
    with: "${{ (loop.state | default(0)) + item }}"
    repeat: {while: loop.index < item, max: 10}
  outer:
    type: group
    tasks:
      x: {type: set, with: "${{ loop.index }}"}
      inner:
        type: set
        with: "${{ tasks.x.output * 10 + loop.index }}"
        repeat: {while: loop.index < 2, max: 2, collect: "${{ output }}"}
    outputs: {all: "${{ tasks.inner.output }}"}
    repeat: {while: loop.index < 3, max: 3, collect: "${{ output.all }}"}
""")
    assert found["m"] == [1, 4, 9]
    assert found["outer"] == [[0, 1], [10, 11], [20, 21]]


async def test_a_delay_lies_between_rounds_and_not_around_them() -> None:
    clock = FakeClock()
    start = clock.now()
    run = await run_flow(
        "flow: t\ntasks:\n  a: {type: set, with: '${{ now() | timestamp }}', "
        "repeat: {while: loop.index < 4, max: 4, delay: 1h, collect: '${{ output }}'}}",
        clock=clock,
    )
    assert run.status == "succeeded", run.error
    times = run.tasks["a"].output
    assert [round(moment - times[0]) for moment in times] == [0, 3600, 7200, 10800]
    # asked before a round: so a last delay is waited for until `while` says no
    assert clock.now() - start == pytest.approx(4 * 3600, abs=1)


async def test_retries_are_of_each_round_and_keys_tell_rounds_apart(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  a:
    type: python
    retry: {attempts: 2, delay: 1s, jitter: none}
    with: {call: fail, args: {name: "a${{ loop.index }}", times: 1, value: "${{ loop.index }}"}}
    repeat: {while: loop.index < 3, max: 3, collect: "${{ output }}"}
""")
    assert run.status == "succeeded", run.error
    assert world.calls == ["a0", "a0", "a1", "a1", "a2", "a2"]
    assert run.tasks["a"].output == [0, 1, 2]
    assert [one["attempts"] for one in run.tasks["a"].history or ()] == [2, 2, 2]


async def test_a_round_that_fails_for_good_ends_the_loop_and_on_error_sees_how_far_it_came(
    world: World,
) -> None:
    run = await run_flow("""
flow: t
tasks:
  a:
    type: python
    with: {call: act, args: {name: a, value: "${{ 6 // (2 - loop.index) }}"}}
    repeat: {until: false, max: 9, state: 1}
    on_error: {value: "${{ [error.kind, loop.index, loop.state] }}"}
""")
    assert run.tasks["a"].output == ["expression.value", 2, 6]
    assert world.count("a") == 2


async def test_a_deadline_is_of_all_rounds_together() -> None:
    run = await run_flow("""
flow: t
tasks:
  a:
    type: set
    with: "${{ loop.index }}"
    repeat: {until: false, max: none, delay: 10s}
    deadline: 35s
    on_error: {value: "${{ [error.kind, loop.index] }}"}
""")
    assert run.status == "succeeded", run.error
    assert run.tasks["a"].output == ["timeout", 4]


async def test_an_endless_loop_of_pure_rounds_can_be_cancelled_and_leaves_others_the_loop() -> None:
    async with Engine.in_memory() as engine:
        endless = await engine.start(
            load_text(
                "flow: e\ntasks:\n  a: {type: set, with: '${{ loop.index }}', repeat: {while: true, max: none}}"
            )
        )
        other = await engine.start(load_text("flow: o\ntasks: {a: {type: sleep, with: {for: 30ms}}}"))
        assert (await other.wait()).status == "succeeded"
        await endless.cancel("enough")
        assert (await endless.wait()).status == "cancelled"


async def test_a_value_that_no_journal_holds_does_not_go_from_round_to_round() -> None:
    run = await run_flow(
        "flow: t\ntasks:\n  a: {type: set, with: '${{ [loop.state] }}', repeat: {while: true, max: 1000}}"
    )
    assert run.error is not None
    assert run.error["kind"] == "output.depth"


LONG = """
flow: t
inputs: {n: {type: integer, default: 400}}
tasks:
  g:
    type: group
    tasks:
      a: {type: set, with: "${{ loop.index }}"}
      b: {type: python, executor: inline, with: {call: act, args: {name: b, value: "${{ tasks.a.output }}"}}}
    outputs: {b: "${{ tasks.b.output }}"}
    repeat: {while: loop.index < inputs.n, max: none, collect: "${{ output.b }}"}
"""


async def test_the_journal_keeps_the_last_rounds_while_the_run_goes_on() -> None:
    store = MemoryStore()
    config = Config(limits=LimitsConfig(loop_rounds=3))
    async with Engine(":memory:", config, store=store, secrets={}) as engine:
        live = engine.core.machine.runs.live

        async def in_step(value: int) -> int:
            """Let the compacting come to its end: how far it lags behind is the machine's affair."""
            while any(run.history is not None and run.history.busy for run in live.values()):  # noqa: ASYNC110
                await asyncio.sleep(0)
            return value

        name_function("in_step", in_step)
        text = LONG.replace("executor: inline, ", "").replace(
            "{call: act, args: {name: b,", "{call: in_step, args: {"
        )
        run = await engine.start(load_text(text), {"n": 3000})
        view = await run.wait(60)
    assert view.status == "succeeded", view.error
    assert view.tasks["g"].output == list(range(3000))
    journal = sum(map(len, MemoryStore(store.place).place.journals[run.id].values()))
    assert journal < 100_000, "the journal grew with each round"


async def test_a_compacted_journal_says_what_the_whole_one_said(world: World) -> None:
    store = MemoryStore()
    run = await run_flow(LONG, {"n": 50}, store=store)
    batches = [data for _, data in sorted(store.place.journals[run.run_id].items())]
    cut = next(place for place in range(len(batches)) if 30 in rounds_of(batches[: place + 1]))
    whole = replay(batches[:cut], dict.__getitem__)
    through, data = compacted(batches[:cut], 5)

    again = replay([data], dict.__getitem__)

    assert through == cut - 1
    assert (again.rounds["g"].round, again.rounds["g"].values) == (
        whole.rounds["g"].round,
        whole.rounds["g"].values,
    )
    assert again.rounds["g"].output == whole.rounds["g"].output
    assert len(again.rounds["g"].recent) == 5
    assert "g@3.b" not in again.ended
    assert f"g@{whole.rounds['g'].round}.b" in again.ended
    assert again.compacted + 1 == cut
    assert compacted([data], 5) == (through, data), "once more changes nothing"


def rounds_of(batches: list[bytes]) -> list[int]:
    found = replay(batches, dict.__getitem__).rounds.get("g")
    return [found.round] if found is not None else []


async def test_each_round_of_a_loop_is_undone_newest_first_with_what_it_yielded(world: World) -> None:
    run = await run_flow(
        """
flow: t
tasks:
  pay:
    type: python
    with: {call: act, args: {name: "pay${{ loop.index }}", value: "${{ loop.index * 10 }}"}}
    undo: {type: python, with: {call: act, args: {name: "undo${{ loop.index }}:${{ output }}:${{ loop.state }}"}}}
    repeat: {while: loop.index < 3, max: 3, state: 7}
  g:
    type: group
    needs: [pay]
    tasks:
      a: {type: python, with: {call: act, args: {name: "a${{ loop.index }}", value: 1}}, undo: {type: python, with: {call: act, args: {name: "unact${{ loop.index }}"}}}}
    repeat: {until: loop.index == 1, max: 3}
  boom: {type: fail, needs: [g], with: {message: no}}
""".replace(":${{ loop.state }}", "")
    )

    assert run.status == "failed"
    assert world.calls == [
        *("pay0", "pay1", "pay2", "a0", "a1"),
        *("unact1", "unact0", "undo2:20", "undo1:10", "undo0:0"),
    ]


async def test_what_came_from_the_cache_is_not_undone(world: World) -> None:
    store = MemoryStore()
    text = """
flow: t
inputs: {fail: {type: boolean, default: false}}
tasks:
  pay: {type: python, with: {call: act, args: {name: pay}}, cache: {key: x}, undo: {type: python, with: {call: act, args: {name: undo}}}}
  boom: {type: fail, with: {message: no}, needs: [pay], if: "${{ inputs.fail }}"}
"""
    await run_flow(text, store=store)
    run = await run_flow(text, {"fail": True}, store=MemoryStore(store.place))

    assert run.status == "failed"
    assert world.calls == ["pay"]


async def test_a_paused_loop_begins_no_further_round_and_goes_on_where_it_was(world: World) -> None:
    async with Engine.in_memory() as engine:
        run = await engine.start(
            load_text("""
flow: t
tasks:
  a:
    type: python
    with: {call: hold, args: {name: "a${{ loop.index }}", value: "${{ loop.index }}"}}
    repeat: {until: loop.index == 2, max: 9, collect: "${{ output }}"}
""")
        )
        await world.begun("a0")
        await run.pause()
        for index in range(3):
            world.let_go(f"a{index}")
        await until(lambda: run.id not in engine.core.machine.runs.live)
        assert world.calls == ["a0"]
        await run.resume()
        view = await run.wait()

    assert view.status == "succeeded"
    assert view.tasks["a"].output == [0, 1, 2]
    assert world.calls == ["a0", "a1", "a2"]


async def test_the_failing_round_is_what_is_shown_of_a_group(world: World) -> None:
    run = await run_flow("""
flow: t
tasks:
  g:
    type: group
    tasks:
      a: {type: set, with: "${{ loop.index }}"}
      b: {type: set, with: "${{ 6 // (2 - tasks.a.output) }}"}
    repeat: {until: false, max: 9}
""")
    assert run.status == "failed"
    assert (run.tasks["g.a"].output, run.tasks["g.b"].status) == (2, "failed")
    assert run.tasks["g"].rounds == 2


async def test_a_loop_that_comes_further_between_crashes_is_not_what_kills_engines(world: World) -> None:
    flow = """
flow: t
tasks:
  a: {type: python, effect: write, with: {call: act, args: {name: n}}, repeat: {until: "${{ loop.index >= 29 }}", max: 100}}
"""
    store = MemoryStore()
    for _ in range(3):
        dying = CrashingStore(store, at=10, after=True)
        world.dead = lambda dying=dying: dying.crashed  # type: ignore[misc]
        with pytest.raises(Crash):
            await run_flow(flow, store=dying, key="k")
        store = MemoryStore(store.place)
    world.dead = lambda: False

    assert (await run_flow(flow, store=store, key="k")).status == "succeeded"


async def test_rounds_that_compute_for_long_let_others_have_the_loop_between_them() -> None:
    flow = load_text("""
flow: t
tasks:
  a: {type: set, with: "${{ sum([i * i for i in range(10000)]) }}", repeat: {until: "${{ loop.index >= 199 }}", max: 1000}}
""")
    async with Engine.in_memory(Config()) as engine:
        run = await engine.start(flow)
        ended, turns = asyncio.ensure_future(run.result(60)), 0
        while not ended.done():
            turns += 1
            await asyncio.sleep(0)

    assert turns > 30  # of 200 rounds, each of which takes some milliseconds
