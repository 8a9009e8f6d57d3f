"""Waiting for events and signals."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Engine, FlowError, InputError, NotFound
from flowbuilder.core import values
from flowbuilder.core.errors import RunEnded
from flowbuilder.runtime.backlog import look
from flowbuilder.storage.events import Event
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import finish, load_text, run_flow
from world import until

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder.sdk.run import Run
    from world import World


def waits(params: str, *, more: str = "", task: str = "") -> Any:
    return load_text(f"""
flow: t
inputs: {{order: {{type: string, default: A}}, items: {{type: array, default: []}}}}
tasks:
  hold:
    type: wait
    with: {{{params}}}
    {task}
{more}
outputs: {{got: "${{{{ tasks.hold.output }}}}"}}
""")


ORDER = "event: paid, filter: event.payload.order == inputs.order"


async def in_store(engine: Engine) -> None:
    """Return when no run is in memory."""
    await until(lambda: not engine.core.machine.runs.live and not engine.core.machine.recovery.busy)


async def got(run: Run) -> Any:
    return (await run.result(20))["got"]


async def test_an_event_ends_the_wait_of_those_whose_filter_it_passes(engine: Engine) -> None:
    flow = waits(ORDER)
    runs = {order: await engine.start(flow, {"order": order}) for order in "ABC"}
    await in_store(engine)

    await engine.emit("paid", {"order": "B", "sum": 3})
    assert await got(runs["B"]) == {"order": "B", "sum": 3}
    await in_store(engine)
    assert [(await engine.row(runs[order].id)).status for order in "AC"] == ["waiting", "waiting"]
    await engine.emit("paid", {"order": "A"})
    assert await got(runs["A"]) == {"order": "A"}


async def test_an_event_that_came_within_the_window_is_taken_though_it_came_first(
    engine: Engine, clock: FakeClock
) -> None:
    await engine.emit("paid", {"order": "A", "n": 1})
    clock.advance(3000)
    assert await got(await engine.start(waits(ORDER))) == {"order": "A", "n": 1}
    clock.advance(1000)
    old = await engine.start(waits(ORDER))
    longer = await engine.start(waits(ORDER + ", window: 2h"))
    assert await got(longer) == {"order": "A", "n": 1}
    await in_store(engine)
    await engine.emit("paid", {"order": "A", "n": 2})
    assert await got(old) == {"order": "A", "n": 2}
    clock.advance(1)
    none = await engine.start(waits(ORDER + ", window: 0s"))
    await in_store(engine)
    assert (await engine.row(none.id)).status == "waiting"


async def test_a_signal_reaches_its_run_and_is_kept_until_it_is_taken(engine: Engine) -> None:
    flow = load_text("""
flow: t
tasks:
  nap: {type: sleep, with: {for: 10h}}
  one: {type: wait, needs: [nap], with: {signal: go}}
  two: {type: wait, needs: [one], with: {signal: go}}
  three: {type: wait, needs: [two], with: {signal: go, timeout: 1s}, on_error: {value: none}}
outputs: {all: "${{ [tasks.one.output, tasks.two.output, tasks.three.output] }}"}
""")
    run, other = await engine.start(flow), await engine.start(flow)
    await in_store(engine)
    for n in (1, 2):
        await run.signal("go", n)
    await other.signal("stop", 0, anyway=True)
    await engine.signal(other.id, "go", 7)

    clock = engine.core.machine.clock
    assert isinstance(clock, FakeClock)
    await finish(engine, run, clock)
    assert await run.result(20) == {"all": [1, 2, "none"]}
    with pytest.raises(RunEnded):
        await run.signal("go")
    with pytest.raises(NotFound):
        await engine.signal("nobody", "go")
    assert (await engine.row(other.id)).status not in ("succeeded", "failed")


async def test_names_and_payloads_are_looked_at_before_they_are_sent(engine: Engine) -> None:
    for wrong in ("", "a b", ".a", "a..b", "a.", "x" * 201, "approval:x"):
        with pytest.raises(InputError, match="name"):
            await engine.emit(wrong)
    with pytest.raises(InputError, match="payload"):
        await engine.emit("a", object())
    with pytest.raises(InputError, match="payload"):
        await engine.emit("a", "x" * 2_000_000)
    await engine.emit("größe.κ-1_x", {"ü": ["🙂"]})
    assert [event.name for event in await engine.events()] == ["größe.κ-1_x"]


async def test_time_runs_out(engine: Engine, clock: FakeClock) -> None:
    run = await engine.start(waits(ORDER + ", timeout: 1d"))
    await in_store(engine)
    await engine.emit("paid", {"order": "B"})
    view = await asyncio.wait_for(_finished(engine, run, clock), 20)
    assert (view.status, view.error["kind"]) == ("failed", "wait.timeout")
    assert view.error["message"] == "waited 1d for the event 'paid', and none came"
    assert view.tasks["hold"].duration == 86400.0


async def _finished(engine: Engine, run: Run, clock: FakeClock) -> Any:
    await finish(engine, run, clock)
    return await engine.show(run.id)


async def test_a_timeout_may_be_rescued_and_tried_again() -> None:
    view = await run_flow(waits("event: paid, timeout: 10m", task="on_error: {value: late}"))
    assert view.outputs == {"got": "late"}
    view = await run_flow(
        waits(
            "event: paid, timeout: 10m",
            task="retry: {attempts: 3, delay: 1s, jitter: none, backoff: constant}",
        )
    )
    assert (view.tasks["hold"].attempts, view.tasks["hold"].duration) == (3, 1802.0)
    view = await run_flow(waits("event: paid", task="timeout: 10m"))
    assert view.error["kind"] == "timeout"
    view = await run_flow(
        waits("event: paid, timeout: 10m", task="deadline: 15m\n    retry: {attempts: 3, delay: 1s}")
    )
    assert (view.error["kind"], view.tasks["hold"].duration) == ("timeout", 900.0)


async def test_a_second_attempt_waits_anew(engine: Engine, clock: FakeClock) -> None:
    flow = waits("event: paid, timeout: 10m", task="retry: {attempts: 2, delay: 1s}")
    run = await engine.start(flow)
    await in_store(engine)
    clock.jump(clock.now() + 650)
    await until(lambda: run.id in engine.core.machine.runs.live and engine.core.only_waits())
    clock.advance(1)
    await in_store(engine)
    await engine.emit("paid", 1)
    assert await got(run) == 1


async def test_several_are_waited_for(engine: Engine) -> None:
    run = await engine.start(waits("event: paid, filter: event.payload > 1, count: 3"))
    for n in (1, 2, 3):
        await engine.emit("paid", n)
        await in_store(engine)
    assert (await engine.show(run.id)).tasks["hold"].reason == "for 3 × the event 'paid'"
    await engine.emit("paid", 4)
    assert await got(run) == [2, 3, 4]


async def test_what_came_of_several_is_told_when_time_runs_out(engine: Engine, clock: FakeClock) -> None:
    run = await engine.start(waits("signal: vote, count: 3, timeout: 1h"))
    await run.signal("vote", "yes")
    view = await _finished(engine, run, clock)
    assert view.error["message"] == "waited 1h for the signal 'vote', and 1 of 3 came"
    assert view.error["data"] == {"got": ["yes"]}


async def test_one_run_takes_an_event_once_and_those_that_wait_together_both_do(engine: Engine) -> None:
    flow = load_text("""
flow: t
tasks:
  one: {type: wait, with: {event: tick}}
  also: {type: wait, with: {event: tick}}
  next: {type: wait, needs: [one, also], with: {event: tick}}
outputs: {all: "${{ [tasks.one.output, tasks.also.output, tasks.next.output] }}"}
""")
    run = await engine.start(flow)
    await in_store(engine)
    await engine.emit("tick", 1)
    await until(lambda: not engine.core.machine.recovery.busy)
    await in_store(engine)
    await engine.emit("tick", 2)
    assert await run.result(20) == {"all": [1, 1, 2]}


async def test_events_are_taken_in_order_by_waits_in_a_chain() -> None:
    view = await run_flow(
        load_text("""
flow: t
tasks:
  send: {type: emit, for_each: [1, 2, 3], concurrency: 1, with: {event: tick, payload: "${{ item }}"}}
  one: {type: wait, needs: [send], with: {event: tick}}
  two: {type: wait, needs: [one], with: {event: tick, filter: event.payload == 3}}
  three: {type: wait, needs: [two], with: {event: tick}}
outputs: {all: "${{ [tasks.one.output, tasks.two.output, tasks.three.output] }}"}
""")
    )
    assert view.outputs == {"all": [1, 3, 2]}


async def test_each_element_waits_for_its_own(engine: Engine) -> None:
    flow = load_text("""
flow: t
inputs: {ids: {type: array}}
tasks:
  all:
    type: group
    for_each: ${{ inputs.ids }}
    as: id
    tasks:
      hold: {type: wait, with: {event: done, filter: event.payload.id == id}}
      last: {type: set, with: "${{ tasks.hold.output.n * 10 }}"}
    outputs: {n: "${{ tasks.last.output }}"}
outputs: {all: "${{ [x.n for x in tasks.all.output] }}"}
""")
    ids = ["a", "b", 3, 4.5, None, True, "ü" * 100]
    run = await engine.start(flow, {"ids": ids})
    await in_store(engine)
    for n, id in enumerate(reversed(ids)):
        await engine.emit("done", {"id": id, "n": n})
        await until(lambda: not engine.core.machine.recovery.busy)
    assert await run.result(20) == {"all": [60, 50, 40, 30, 20, 10, 0]}


@pytest.mark.parametrize(
    ("filter", "payload", "passes"),
    [
        ("event.payload.a == 1 and event.payload.b == 2", {"a": 1, "b": 2}, True),
        ("event.payload.a == 1 and event.payload.b == 2", {"a": 1, "b": 3}, False),
        ("event.payload.a == 1 or event.payload.b == 2", {"a": 0, "b": 2}, True),
        ("'A' == event.payload['a-b'].c[0]", {"a-b": {"c": ["A"]}}, True),
        ("event.payload.a == event.payload.b", {"a": 2, "b": 2}, True),
        ("event.payload.a == [1, 2]", {"a": [1, 2]}, True),
        ("event.payload.a == null", {"a": None}, True),
        ("event.payload.a == null", {}, False),
        ("event.payload.a == true", {"a": 1}, True),
        ("event.name == 'paid' and event.source == 'program'", None, True),
        ("event.payload | default('x') == 'x'", None, True),
        ("event.payload.n > 3", {"n": "text"}, False),
        ("event.payload.a == inputs.order and event.at <= now()", {"a": "A"}, True),
        ("exists(event.payload.deep.er)", {"deep": 1}, False),
    ],
)
async def test_an_index_finds_what_the_filter_would(
    engine: Engine, filter: str, payload: Any, passes: bool
) -> None:
    flow = waits(f'event: paid, filter: "{filter}"')
    there = await engine.start(flow)
    await in_store(engine)
    await engine.emit("paid", payload)
    late = await engine.start(flow)
    await until(lambda: not engine.core.machine.recovery.busy)
    if passes:
        assert [await got(there), await got(late)] == [payload, payload]
    else:
        await in_store(engine)
        assert {(await engine.row(run.id)).status for run in (there, late)} == {"waiting"}


async def test_a_filter_that_cannot_be_asked_is_told_in_the_log(engine: Engine) -> None:
    run = await engine.start(waits("event: paid, filter: event.payload.order.id > 3"))
    await engine.emit("paid", {"ordr": 1})
    await engine.emit("paid", {"order": {"id": 4}})
    assert await got(run) == {"order": {"id": 4}}
    lines = [line.message for _, line in await engine.logs(run.id)]
    assert len(lines) == 1
    assert "was passed over" in lines[0]


async def test_cancel_ends_a_wait_and_its_subscription(engine: Engine) -> None:
    runs = [await engine.start(waits(ORDER + f", timeout: {t}")) for t in ("2s", "9d")]
    await until(lambda: len(engine.core.machine.runs.live) == 1)
    subscriptions = engine._store.events().subscriptions
    assert len(subscriptions()) == 2
    for run in runs:
        assert await run.cancel("enough")
        assert (await run.wait(20)).status == "cancelled"
    assert subscriptions() == []


async def test_an_end_leaves_no_subscription_behind(engine: Engine, clock: FakeClock) -> None:
    done = await engine.start(waits(ORDER))
    late = await engine.start(waits("signal: x, timeout: 1m"))
    await in_store(engine)
    await engine.emit("paid", {"order": "A"})
    await done.result(20)
    await _finished(engine, late, clock)
    assert engine._store.events().subscriptions() == []


async def test_wrong_names_and_counts_that_are_worked_out_fail_the_task() -> None:
    for params, kind in (
        ('event: "${{ inputs.items }}"', "expression.value"),
        ('event: "a ${{ inputs.order }}"', "expression.value"),
        ('event: a, count: "${{ inputs.order }}"', "expression.value"),
        ('event: a, timeout: "${{ inputs.items }}"', "expression.type"),
        ('event: a, timeout: "${{ inputs.order }}"', "expression.value"),
    ):
        view = await run_flow(waits(params))
        assert view.error["kind"] == kind, params


@pytest.mark.parametrize("make", [MemoryStore, SqliteStore], ids=["memory", "sqlite"])
async def test_another_engine_takes_what_came_while_there_was_none(make: Any, tmp_path: Path) -> None:
    first = make() if make is MemoryStore else make(tmp_path / "s.db")
    async with Engine(":memory:", store=first) as engine:
        run = await engine.start(waits(ORDER))
        await in_store(engine)
    beside = MemoryStore(first.place) if make is MemoryStore else make(tmp_path / "s.db")
    async with Engine(":memory:", store=beside, recover=False) as alone:
        await alone.emit("paid", {"order": "A"}, id="1")
        await alone.emit("paid", {"order": "A", "again": True}, id="1")
    last = MemoryStore(first.place) if make is MemoryStore else make(tmp_path / "s.db")
    async with Engine(":memory:", store=last) as engine:
        assert await got(await engine.get(run.id)) == {"order": "A"}


async def test_engines_on_one_store_wake_each_others_runs(tmp_path: Path) -> None:
    async with (
        Engine(":memory:", store=SqliteStore(tmp_path / "s.db")) as one,
        Engine(":memory:", store=SqliteStore(tmp_path / "s.db")) as two,
    ):
        short = await one.start(waits("event: paid, timeout: 4s"))
        signalled = await one.start(waits("signal: go, timeout: 4s"))
        long = await one.start(waits("event: paid"))
        await until(lambda: len(one.core.machine.runs.live) == 2)
        await two.emit("paid", 5)
        await two.signal(signalled.id, "go", 6)
        assert [await got(run) for run in (short, signalled, long)] == [5, 6, 5]


async def test_an_engine_that_drives_only_its_own_leaves_the_runs_of_others_alone(tmp_path: Path) -> None:
    flow = waits(ORDER)
    async with (
        Engine(":memory:", store=SqliteStore(tmp_path / "s.db"), recover=False) as one,
        Engine(":memory:", store=SqliteStore(tmp_path / "s.db"), recover=False) as two,
    ):
        mine, others = await one.start(flow, {"order": "A"}), await two.start(flow, {"order": "B"})
        await in_store(one)
        await in_store(two)
        adopted = []
        two.core.machine.recovery.adopt_if_free = lambda run_id: adopted.append(run_id)  # type: ignore
        await one.emit("paid", {"order": "A"})
        assert await got(mine) == {"order": "A"}
        await two.core.machine.hearing._serve()
        assert adopted == []
        del two.core.machine.recovery.adopt_if_free
        await one.emit("paid", {"order": "B"})
        assert await got(others) == {"order": "B"}


async def test_secrets_stand_in_no_payload_and_are_masked_where_they_turn_up() -> None:
    flow = """
flow: t
secrets: [TOKEN]
inputs: {text: {type: string, default: "my hunter2hunter2"}}
tasks:
  use: {run: "true", env: {T: "${{ secrets.TOKEN }}"}}
  tell: {type: emit, with: {event: told, payload: "${{ PAYLOAD }}"}}
  hear: {type: wait, with: {event: told}}
outputs: {heard: "${{ tasks.hear.output }}"}
"""
    with pytest.raises(FlowError, match="FB232"):
        load_text(flow.replace("PAYLOAD", "secrets.TOKEN"))
    clean = load_text(flow.replace("PAYLOAD", "inputs.text"))
    view = await run_flow(clean, secrets={"TOKEN": "hunter2hunter2"})
    assert view.outputs == {"heard": "my ***"}


async def test_a_payload_that_is_too_large_is_refused() -> None:
    flow = load_text("""
flow: t
inputs: {n: {type: integer, default: 600000}}
tasks:
  tell: {type: emit, with: {event: told, payload: "${{ [inputs.n] }}"}}
  large: {type: emit, for_each: "${{ [inputs.n] }}", with: {event: told, payload: "${{ range(item) }}"}}
""")
    view = await run_flow(flow)
    assert (view.tasks["tell"].status, view.error["kind"]) == ("succeeded", "emit.size")


async def test_a_key_makes_an_event_once_for_all_runs(engine: Engine) -> None:
    flow = load_text("""
flow: t
tasks:
  tell: {type: emit, with: {event: told, payload: 1, key: "${{ 'day-' + run.flow }}"}}
  other: {type: emit, with: {event: told, payload: 2}}
outputs: {ids: "${{ [tasks.tell.output, tasks.other.output] }}"}
""")
    first, second = [(await (await engine.start(flow)).result(20))["ids"] for _ in range(2)]
    assert first[0] == second[0]
    assert len({*first, *second}) == 3
    assert [event.value()["payload"] for event in await engine.events("told")] == [1, 2, 2]


async def test_loops_wait_for_one_after_the_other(engine: Engine) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  all:
    type: wait
    with: {signal: go}
    repeat: {until: output == 3, max: 10, collect: "${{ output }}"}
outputs: {all: "${{ tasks.all.output }}"}
""")
    )
    for n in (1, 2, 3):
        await run.signal("go", n)
        await until(lambda: not engine.core.machine.recovery.busy)
    assert await run.result(20) == {"all": [1, 2, 3]}


async def test_a_wait_that_is_over_as_it_begins_to_hear_is_heard_of_no_more(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    hearing = engine.core.machine.hearing
    hearing.listen(lambda _events: None)  # somebody else, so that what comes is read and remembered
    await until(lambda: hearing.cursor is not None)
    events = engine.core.machine.store.events()

    def looked(store: Any, asked: Any) -> Any:
        found = look(store, asked)
        number = events.emit(Event("e1", "paid", values.encode(5), 0.0))
        deadline = time.monotonic() + 20
        while (hearing.cursor or 0) < number and time.monotonic() < deadline:
            time.sleep(0.001)  # on a thread: until it was told to those who hear
        return found

    monkeypatch.setattr("flowbuilder.runtime.waiting.look", looked)
    run = await engine.start(waits("event: paid"))

    assert await got(run) == 5
    assert (None, "paid") not in hearing._waiters


@pytest.mark.parametrize("window", ["1d", "${{ days(inputs.days) }}"])
async def test_what_a_wait_with_a_short_window_took_no_wait_with_a_longer_one_takes_again(
    window: str, engine: Engine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowbuilder.runtime.taken._MANY", 3)
    flow = load_text(f"""
flow: t
inputs: {{days: {{type: integer, default: 1}}}}
tasks:
  short:
    type: wait
    with: {{event: part, window: 1s}}
    repeat: {{while: loop.index < 10, max: 10, collect: "${{{{ output.n }}}}"}}
  long: {{type: wait, needs: [short], with: {{event: part, window: "{window}"}}}}
outputs: {{got: "${{{{ tasks.short.output + [tasks.long.output.n] }}}}"}}
""")
    run = await engine.start(flow)
    for n in range(10):
        await in_store(engine)
        clock.advance(600)
        await engine.emit("part", {"n": n})
    await in_store(engine)
    assert run.status in ("waiting", "running")
    await engine.emit("part", {"n": 99})
    assert await got(run) == [*range(10), 99]


async def test_an_event_reaches_all_that_wait_for_it_though_the_first_has_the_run_leave_memory(
    engine: Engine, world: World
) -> None:
    run = await engine.start(
        load_text("""
flow: t
tasks:
  first: {type: wait, with: {event: go, timeout: 4s}}
  nap: {type: sleep, needs: [first], with: {for: 1h}}
  second: {type: wait, with: {event: go, timeout: 2h}}
  after: {type: python, needs: [second], with: {call: act, args: {name: after}}}
""")
    )
    await until(lambda: len(engine.core.machine.store.events().subscriptions(run_id=run.id)) == 2)
    assert run.id in engine.core.machine.runs.live
    await engine.emit("go")

    await world.begun("after")


@pytest.mark.parametrize("timeout", ["3s", "1h"])
async def test_a_run_tells_what_its_tasks_wait_for_and_until_when(
    engine: Engine, clock: FakeClock, timeout: str
) -> None:
    flow = load_text(f"""
flow: w
tasks:
  go: {{type: wait, with: {{signal: go, timeout: {timeout}}}}}
  nap: {{type: sleep, with: {{for: {timeout}}}}}
""")
    run = await engine.start(flow, {})
    seconds = 3 if timeout == "3s" else 3600

    live = engine.core.machine.runs.live
    await until(lambda: run.id not in live or live[run.id].parked == 2)
    view = await engine.show(run.id)

    assert view.tasks["go"].reason == "for the signal 'go'"
    assert view.tasks["nap"].reason is None
    assert [view.tasks[name].until for name in ("go", "nap")] == [pytest.approx(clock.now() + seconds)] * 2
    await run.cancel()
