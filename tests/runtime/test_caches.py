"""`cache`: same key, same output, no execution."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Engine
from flowbuilder.runtime.encryption import new_key
from flowbuilder.runtime.upkeep import Upkeep
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import load_text, run_flow
from world import until

if TYPE_CHECKING:
    from pathlib import Path

    from world import World


def flow(tasks: str, name: str = "t") -> str:
    return f"flow: {name}\ninputs: {{n: {{type: integer, default: 1}}}}\ntasks:\n{tasks}\n"


CALL = (
    "  a: {type: python, with: {call: act, args: {name: a, value: '${{ inputs.n * 10 }}'}}, cache: {key: %s}}"
)


async def test_a_later_run_has_the_output_without_an_execution(world: World) -> None:
    store = MemoryStore()
    text = flow(CALL % "'${{ inputs.n }}'")
    first = await run_flow(text, store=store)
    second = await run_flow(text, store=MemoryStore(store.place))
    other = await run_flow(text, {"n": 2}, store=MemoryStore(store.place))

    assert world.calls == ["a", "a"]
    assert (first.tasks["a"].output, second.tasks["a"].output, other.tasks["a"].output) == (10, 10, 20)
    assert (first.tasks["a"].reason, second.tasks["a"].reason) == (None, "cached")
    assert second.tasks["a"].status == "succeeded"
    assert second.tasks["a"].attempts == 0


@pytest.mark.parametrize(
    ("scope", "calls"), [("run", ["a", "a", "a"]), ("flow", ["a", "a"]), ("global", ["a"])]
)
async def test_the_scope_says_who_shares_it(scope: str, calls: list[str], world: World) -> None:
    store = MemoryStore()
    tasks = CALL % f"x, scope: {scope}"
    for name in ("one", "one", "two"):
        run = await run_flow(flow(tasks, name), store=MemoryStore(store.place))
        assert run.status == "succeeded", run.error

    assert world.calls == calls


async def test_what_was_kept_for_one_run_goes_with_its_end(world: World) -> None:
    store = MemoryStore()
    tasks = (
        CALL % "x, scope: run"
        + "\n  b: {type: python, needs: [a], with: {call: act, args: {name: b}}, cache: {key: x, scope: run}}"
    )
    await run_flow(flow(tasks), store=store)

    assert world.calls == ["a", "b"]
    assert not store.place.facts


async def test_an_output_counts_for_its_time_to_live(world: World) -> None:
    store, clock = MemoryStore(), FakeClock()
    text = flow(CALL % "x, ttl: 1h")
    await run_flow(text, store=store, clock=clock)
    clock.jump(clock.now() + 3500)
    await run_flow(text, store=MemoryStore(store.place), clock=clock)
    assert world.calls == ["a"]
    clock.jump(clock.now() + 200)
    await run_flow(text, store=MemoryStore(store.place), clock=clock)
    assert world.calls == ["a", "a"]


async def test_failures_are_not_kept_nor_what_was_done_instead(world: World) -> None:
    store = MemoryStore()
    text = flow(
        "  a: {type: python, with: {call: fail, args: {name: a, times: 1, value: 5}}, cache: {key: x}, on_error: {value: 0}}"
    )
    first = await run_flow(text, store=store)
    second = await run_flow(text, store=MemoryStore(store.place))
    third = await run_flow(text, store=MemoryStore(store.place))

    assert [run.tasks["a"].output for run in (first, second, third)] == [0, 5, 5]
    assert world.calls == ["a", "a"]


async def test_of_executions_with_one_key_one_is_carried_out_and_the_others_have_its_output(
    world: World,
) -> None:
    async with Engine.in_memory() as engine:
        text = load_text(
            flow("  a: {type: python, with: {call: hold, args: {name: a, value: 7}}, cache: {key: x}}")
        )
        runs = [await engine.start(text) for _ in range(5)]
        await world.begun("a")
        world.let_go("a")
        for run in runs:
            assert (await run.wait()).status == "succeeded"
        views = [await engine.show(run.id) for run in runs]

    assert world.calls == ["a"]
    assert [view.tasks["a"].output for view in views] == [7] * 5
    assert sorted(view.tasks["a"].reason or "" for view in views) == ["", *["cached"] * 4]


async def test_when_the_one_fails_or_is_cancelled_the_next_is_carried_out(world: World) -> None:
    async with Engine.in_memory() as engine:
        text = load_text(
            flow("  a: {type: python, with: {call: hold, args: {name: a, value: 7}}, cache: {key: x}}")
        )
        first, second = await engine.start(text), await engine.start(text)
        await world.begun("a")
        await first.cancel("not this one")
        await until(lambda: world.count("a") == 2)
        world.let_go("a")
        assert (await first.wait()).status == "cancelled"
        assert (await second.wait()).status == "succeeded"
        third = await engine.start(text)
        assert (await third.wait()).status == "succeeded"

    assert world.calls == ["a", "a"]


async def test_elements_groups_and_loops_are_kept_as_a_whole(world: World) -> None:
    store = MemoryStore()
    text = flow("""
  each:
    for_each: [1, 2, 1]
    type: python
    with: {call: act, args: {name: "each${{ item }}", value: "${{ item }}"}}
    cache: {key: "${{ item }}"}
  g:
    type: group
    tasks: {x: {type: python, with: {call: act, args: {name: x, value: 3}}}}
    cache: {key: [g, 1.0, {b: 1, a: 2}]}
  l:
    type: python
    with: {call: act, args: {name: l, value: "${{ loop.index }}"}}
    repeat: {while: loop.index < 3, max: 3, collect: "${{ output }}"}
    cache: {key: [l]}
""")
    first = await run_flow(text, store=store)
    second = await run_flow(
        text.replace("{b: 1, a: 2}", "{a: 2, b: 1}").replace("1.0", "1"), store=MemoryStore(store.place)
    )

    assert sorted(world.calls) == ["each1", "each2", "l", "l", "l", "x"]
    for run in (first, second):
        assert run.status == "succeeded", run.error
        assert run.tasks["each"].output == [1, 2, 1]
        assert run.tasks["g"].output == {"x": 3}
        assert run.tasks["l"].output == [0, 1, 2]
    assert second.tasks["g"].reason == "cached"
    assert second.elements["each[1]"].reason == "cached"


async def test_a_large_output_is_kept_and_no_sweep_takes_it(world: World, tmp_path: Path) -> None:
    text = flow(
        "  a: {type: python, with: {call: act, args: {name: a, value: \"${{ join([str(x) for x in range(30000)], ',') }}\"}}, cache: {key: big}}"
    )
    first = await run_flow(text, store=SqliteStore(tmp_path / "s.db"))
    store = SqliteStore(tmp_path / "s.db")
    store.open("upkeep")
    store.delete_runs([first.run_id])
    store.sweep_blobs(0.0)
    store.close()

    second = await run_flow(text, store=SqliteStore(tmp_path / "s.db"))

    assert world.calls == ["a"]
    assert second.tasks["a"].output == first.tasks["a"].output
    assert second.tasks["a"].reason == "cached"


async def test_upkeep_deletes_what_has_expired(world: World, clock: FakeClock) -> None:
    async with Engine.in_memory(clock=clock) as engine:
        run = await engine.start(load_text(flow(CALL % "x, ttl: 1h")))
        assert (await run.wait()).status == "succeeded"
        facts = engine.core.machine.store.facts()
        assert len(facts.list("cache")) == 1
        clock.jump(clock.now() + 3601)
        await Upkeep(engine.core.machine).step()
        assert facts.list("cache") == []


async def test_secrets_are_masked_in_what_is_kept(world: World) -> None:
    store = MemoryStore()
    text = """
flow: t
secrets: [TOKEN]
tasks:
  a: {run: 'echo "$T"', env: {T: "${{ secrets.TOKEN }}"}, cache: {key: x}}
"""
    for _ in range(2):
        run = await run_flow(text, store=MemoryStore(store.place), secrets={"TOKEN": "hunter2hunter2"})
        assert run.tasks["a"].output["stdout"].strip() == "***"
    assert b"hunter2" not in b"".join(fact.value for fact in store.place.facts.values())


async def test_an_output_that_no_longer_fits_the_schema_is_made_anew(world: World) -> None:
    store = MemoryStore()
    call = CALL % "x"
    await run_flow(flow(call), store=store)
    again = await run_flow(
        flow(call[:-1] + ", schema: {type: integer, maximum: 20}}"), store=MemoryStore(store.place)
    )
    assert again.tasks["a"].reason == "cached"
    stricter = flow(call[:-1] + ", schema: {type: integer, minimum: 20}}")
    run = await run_flow(stricter, {"n": 2}, store=MemoryStore(store.place))

    assert run.tasks["a"].output == 20
    assert world.calls == ["a", "a"]


async def test_a_key_that_cannot_be_evaluated_fails_the_task(world: World) -> None:
    run = await run_flow(flow(CALL % "'${{ inputs.n // 0 }}'"))

    assert run.error is not None
    assert run.error["kind"] == "expression.value"
    assert world.calls == []


async def test_waiting_for_a_key_ends_with_the_deadline(world: World) -> None:
    any_: Any = None
    async with Engine.in_memory() as engine:
        holds = load_text(
            flow("  a: {type: python, with: {call: hold, args: {name: a}}, cache: {key: x, scope: global}}")
        )
        waits = load_text(
            flow(
                "  b: {type: python, with: {call: act, args: {name: b}}, deadline: 20ms, cache: {key: x, scope: global}}",
                "u",
            )
        )
        first = await engine.start(holds)
        await world.begun("a")
        second = await engine.start(waits)
        async with asyncio.timeout(20):
            assert (await second.wait()).status == "failed"
        any_ = (await engine.show(second.id)).error
        world.let_go("a")
        assert (await first.wait()).status == "succeeded"
    assert any_["kind"] == "timeout"
    assert world.calls == ["a"]


async def test_a_task_that_is_not_sensitive_never_has_the_output_of_one_that_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", new_key())
    store = MemoryStore()
    call = CALL % "x, scope: global"
    secret = await run_flow(
        flow(call.replace("type: python", "type: python, sensitive: true"), "one"), store=store
    )
    plain = await run_flow(flow(call, "two"), store=MemoryStore(store.place))
    again = await run_flow(flow(call, "two"), store=MemoryStore(store.place))

    assert [run.status for run in (secret, plain, again)] == ["succeeded"] * 3
    assert world.calls == ["a", "a"]
    assert (plain.tasks["a"].reason, again.tasks["a"].reason) == (None, "cached")


async def test_a_run_hears_at_once_of_the_output_that_another_makes_though_it_sleeps_beside(
    engine: Engine, world: World
) -> None:
    cached = "  a: {type: python, with: {call: hold, args: {name: NAME}}, cache: {key: x, scope: global}}"
    lead = await engine.start(load_text(flow(cached.replace("NAME", "a"))))
    await world.begun("a")
    await engine.start(
        load_text(
            flow(f"""
  nap: {{type: sleep, with: {{for: 1h}}}}
{cached.replace("NAME", "b")}
  after: {{type: python, needs: [a], with: {{call: act, args: {{name: after}}}}}}""")
        )
    )
    await until(lambda: not (engine.core.machine.committer.outstanding or engine.core.machine.recovery.busy))
    world.let_go("a")
    await lead.wait(20)

    await world.begun("after")
    assert not world.count("b")
