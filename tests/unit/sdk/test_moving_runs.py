"""Runs that have not ended, brought into another store: they go on there as they would have here."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Config, Engine, Reader
from flowbuilder.core.errors import ArchiveError, Conflict
from flowbuilder.runtime.encryption import VARIABLE, Encryption, new_key
from flowbuilder.sdk import archives
from flowbuilder.sdk.importing import import_runs
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.flows import load_text
from world import World, until

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder.sdk.run import Run

EVENT = """
flow: t
inputs: {order: {type: string, default: A}}
tasks:
  first: {type: wait, with: {event: paid, filter: event.payload.order == inputs.order, count: 2}}
  second: {type: wait, needs: [first], with: {event: paid, filter: event.payload.order == inputs.order, window: 1d}}
outputs: {got: "${{ [p.n for p in tasks.first.output] + [tasks.second.output.n] }}"}
"""
SIGNAL = """
flow: t
tasks:
  go: {type: wait, with: {signal: go, filter: event.payload.n > 0}}
  again: {type: wait, needs: [go], with: {signal: go}}
outputs: {got: "${{ [tasks.go.output.n, tasks.again.output.n] }}"}
"""
ASK = """
flow: t
tasks:
  ask: {type: approval, with: {message: "Release?", quorum: 2}}
outputs: {by: "${{ tasks.ask.output.by }}"}
"""
LANE = """
flow: one
inputs: {name: {type: string}}
concurrency: 1
tasks:
  work: {type: python, with: {call: "world:hold", args: ["${{ inputs.name }}"]}}
  nap: {type: sleep, needs: [work], with: {for: 1h}}
"""


async def rest(engine: Engine) -> None:
    """Return when no run is in memory."""
    await until(lambda: not engine.core.machine.runs.live and not engine.core.machine.recovery.busy)


def exported(path: Path, *run_ids: str) -> bytes:
    file = io.BytesIO()
    with Reader(path) as reader:
        reader.export(run_ids, file)
    return file.getvalue()


def move(run_id: str, a: Path, b: Path, *, live: bool = True) -> Any:
    return import_runs(b, io.BytesIO(exported(a, run_id)), live=live)


async def noise(path: Path, count: int) -> None:
    """Have events in a store, so that numbers there are others."""
    async with Engine(path, Config()) as engine:
        for n in range(count):
            await engine.emit("paid", {"order": "A", "n": 1000 + n})


@pytest.mark.parametrize("before", [0, 1, 2, 3, 50])
async def test_a_waiting_run_hears_its_events_in_the_new_store_each_once(tmp_path: Path, before: int) -> None:
    a, b = tmp_path / "a.db", tmp_path / "b.db"
    await noise(b, before)
    async with Engine(a, Config()) as engine:
        for n in range(3):
            await engine.emit("other", {"n": n})
        run = await engine.start(load_text(EVENT))
        await rest(engine)
        await engine.emit("paid", {"order": "A", "n": 1})
        await until(lambda: len(engine._store.journal(run.id)) > 1)
        await rest(engine)
    move(run.id, a, b)
    async with Engine(b, Config()) as engine:
        await rest(engine)
        assert (await engine.row(run.id)).status == "waiting"
        await engine.emit("paid", {"order": "B", "n": 7})
        await engine.emit("paid", {"order": "A", "n": 2})
        await rest(engine)
        # what was in the new store before the run lies in the window of the second wait
        if not before:
            await engine.emit("paid", {"order": "A", "n": 3})
        got = (await (await engine.get(run.id)).result(20))["got"]
        assert got == [1, 2, 1000 if before else 3]


async def test_events_that_came_for_a_paused_run_come_along_and_wake_nobody_else(tmp_path: Path) -> None:
    a, b = tmp_path / "a.db", tmp_path / "b.db"
    async with Engine(a, Config()) as engine:
        run = await engine.start(load_text(EVENT))
        await rest(engine)
        await run.pause()
        for n, order in enumerate("BAXA"):
            await engine.emit("paid", {"order": order, "n": n})
        await rest(engine)
    async with Engine(b, Config()) as engine:
        other = await engine.start(load_text(EVENT))
        await rest(engine)
    move(run.id, a, b)
    async with Engine(b, Config()) as engine:
        again = await engine.get(run.id)
        await again.resume()
        await rest(engine)
        await engine.emit("paid", {"order": "A", "n": 9})
        assert (await again.result(20))["got"] == [1, 3, 9]
        assert (await engine.row(other.id)).status == "waiting"
        assert [event.name for event in await engine.events()] == ["paid"]


async def test_one_that_crashes_after_it_was_brought_takes_what_was_carried_once(tmp_path: Path) -> None:
    a, b, c = (tmp_path / f"{name}.db" for name in "abc")
    async with Engine(a, Config()) as engine:
        run = await engine.start(load_text(EVENT))
        await rest(engine)
        await run.pause()
        await engine.emit("paid", {"order": "A", "n": 1})
    move(run.id, a, b)
    async with Engine(b, Config()) as engine:
        await (await engine.get(run.id)).resume()
        await rest(engine)
    move(run.id, b, c)
    async with Engine(c, Config()) as engine:
        await rest(engine)
        for n in (2, 3):
            await engine.emit("paid", {"order": "A", "n": n})
        assert (await (await engine.get(run.id)).result(20))["got"] == [1, 2, 3]


async def test_pending_signals_come_along_and_later_ones_are_heard(tmp_path: Path) -> None:
    a, b = tmp_path / "a.db", tmp_path / "b.db"
    await noise(b, 20)
    async with Engine(a, Config()) as engine:
        run = await engine.start(load_text(SIGNAL))
        await rest(engine)
        await run.signal("go", {"n": -1})
        await rest(engine)
        await run.pause()
        await run.signal("go", {"n": 1}, id="one")
    archive = exported(a, run.id)
    first = import_runs(b, io.BytesIO(archive))
    second = import_runs(b, io.BytesIO(archive))
    assert (first.paused, second.brought, second.known) == ([run.id], [], [run.id])
    async with Engine(b, Config()) as engine:
        again = await engine.get(run.id)
        await again.signal("go", {"n": 1}, id="one")
        await again.resume()
        assert (await again.result(20))["got"] == [1, -1]


@pytest.mark.parametrize("live", [True, False])
async def test_an_approval_is_open_in_the_new_store_with_the_voices_there_were(
    tmp_path: Path, live: bool
) -> None:
    a, b = tmp_path / "a.db", tmp_path / "b.db"
    async with Engine(a, Config()) as engine:
        run = await engine.start(load_text(ASK))
        await rest(engine)
        await run.approve("ada")
        await rest(engine)
    move(run.id, a, b, live=live)
    async with Engine(b, Config()) as engine:
        await rest(engine)
        (open,) = await engine.approvals()
        assert (open.run_id, [voice.by for voice in open.voices]) == (run.id, ["ada"])
        again = await engine.get(run.id)
        if not live:
            await again.resume()
        with pytest.raises(Conflict):
            await again.approve("ada")
        await again.approve("bo")
        assert (await again.result(20))["by"] == "bo"


async def _start(engine: Engine, flow: Any, *names: str) -> list[Run]:
    return [await engine.start(flow, {"name": name}) for name in names]


async def test_queued_and_begun_runs_of_a_lane_find_their_place_in_its_order(
    tmp_path: Path, world: World
) -> None:
    a, b = tmp_path / "a.db", tmp_path / "b.db"
    flow = load_text(LANE)
    async with Engine(a, Config()) as engine:
        asleep, queued = await _start(engine, flow, "asleep", "queued")
        await world.begun("asleep")
        world.let_go("asleep")
        await until(lambda: asleep.id not in engine.core.machine.runs.live)
    async with Engine(b, Config()) as engine:
        (busy,) = await _start(engine, flow, "busy")
        await world.begun("busy")
    archive = exported(a, queued.id, asleep.id)
    import_runs(b, io.BytesIO(archive), live=True)
    async with Engine(b, Config()) as engine:
        await until(lambda: world.count("busy") == 2)
        await until(lambda: engine._store.lanes().count("one") == (1, 2))
        began = engine._store.run(asleep.id)
        assert began is not None
        assert began.started_at is not None
        world.let_go("busy")
        await until(lambda: engine._store.run(busy.id).status == "waiting")  # type: ignore[union-attr]
        await (await engine.get(busy.id)).cancel()
        # the older comes first: it sleeps on, in the one place there is
        await until(lambda: engine._store.run(asleep.id).status == "waiting")  # type: ignore[union-attr]
        again = engine._store.run(asleep.id)
        assert again is not None
        assert (again.lane, again.started_at) == ("one", began.started_at)
        assert engine._store.lanes().count("one") == (1, 1)
        assert world.count("queued") == 0
        await (await engine.get(asleep.id)).cancel()
        await world.begun("queued")
        assert world.count("asleep") == 1


async def test_a_begun_run_that_was_paused_asks_for_a_place_when_it_is_resumed(
    tmp_path: Path, world: World
) -> None:
    a, b = tmp_path / "a.db", tmp_path / "b.db"
    flow = load_text(LANE)
    async with Engine(a, Config()) as engine:
        (asleep,) = await _start(engine, flow, "asleep")
        await world.begun("asleep")
        world.let_go("asleep")
        await until(lambda: asleep.id not in engine.core.machine.runs.live)
    move(asleep.id, a, b, live=False)
    async with Engine(b, Config()) as engine:
        (busy,) = await _start(engine, flow, "busy")
        await world.begun("busy")
        again = await engine.get(asleep.id)
        for _ in range(2):
            assert await again.resume()
            await until(lambda: engine._store.run(asleep.id).status == "queued")  # type: ignore[union-attr]
            assert await again.pause()
            assert engine._store.lanes().count("one") == (1, 0)
        assert await again.resume()
        await until(lambda: engine._store.run(asleep.id).status == "queued")  # type: ignore[union-attr]
        await busy.cancel()
        await until(lambda: engine._store.run(asleep.id).status == "waiting")  # type: ignore[union-attr]
        assert await again.cancel()
        await until(lambda: engine._store.run(asleep.id).status == "cancelled")  # type: ignore[union-attr]


async def test_a_run_comes_with_those_it_waits_for_and_without_them_is_refused(
    tmp_path: Path, world: World
) -> None:
    (tmp_path / "child.yaml").write_text(
        "flow: child\ntasks: {w: {type: wait, with: {signal: go}}}\noutputs: {n: '${{ tasks.w.output }}'}\n"
    )
    (tmp_path / "parent.yaml").write_text(
        "flow: parent\ntasks: {c: {type: flow, with: {path: child.yaml}}}\noutputs: {n: '${{ tasks.c.output.n }}'}\n"
    )
    a, b = tmp_path / "a.db", tmp_path / "b.db"
    async with Engine(a, Config()) as engine:
        parent = await engine.start(tmp_path / "parent.yaml")
        await until(lambda: len(engine._store.events().subscriptions()) == 1)
        (wait,) = engine._store.events().subscriptions()
    archive = exported(a, parent.id)
    done = import_runs(b, io.BytesIO(archive), live=True)
    assert sorted(done.brought) == sorted([parent.id, wait.run_id])
    async with Engine(b, Config()) as engine:
        await (await engine.get(wait.run_id)).signal("go", 5)
        assert await (await engine.get(parent.id)).result(20) == {"n": 5}

    store = SqliteStore(a)
    store.open(None)
    alone = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archives, "_with_children", lambda _store, ids: iter(ids))
        archives.export_runs(store, [parent.id], alone)
    store.close()
    with pytest.raises(ArchiveError, match=f"{parent.id} waits for run {wait.run_id}"):
        import_runs(tmp_path / "c.db", io.BytesIO(alone.getvalue()))
    with Reader(tmp_path / "c.db") as reader:
        assert reader.runs() == []


async def test_what_is_sealed_by_a_key_that_is_not_here_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    monkeypatch.setenv(VARIABLE, key)
    flow = load_text(
        "{flow: t, tasks: {a: {type: set, sensitive: true, with: hush}, b: {type: sleep, needs: [a], with: {for: 1d}}}}"
    )
    async with Engine(tmp_path / "a.db", Config()) as engine:
        run = await engine.start(flow)
        await rest(engine)
    archive = exported(tmp_path / "a.db", run.id)
    theirs = Encryption(None, {VARIABLE: new_key()}).keys("")
    with pytest.raises(ArchiveError, match="encrypted by the key"):
        import_runs(tmp_path / "b.db", io.BytesIO(archive), has_key=theirs.has)
    ours = Encryption(None, {VARIABLE: f"{new_key()} {key}"}).keys("")
    assert import_runs(tmp_path / "b.db", io.BytesIO(archive), has_key=ours.has).paused == [run.id]


async def test_a_truncated_archive_brings_nothing_not_even_what_was_whole(tmp_path: Path) -> None:
    a = tmp_path / "a.db"
    async with Engine(a, Config()) as engine:
        runs = [await engine.start(load_text(SIGNAL)) for _ in range(3)]
        await rest(engine)
    archive = exported(a, *[run.id for run in runs])
    for size in (len(archive) // 2, len(archive) - 1):
        with pytest.raises(ArchiveError, match="nothing was brought in"):
            import_runs(tmp_path / "b.db", io.BytesIO(archive[:size]))
        assert not (tmp_path / "b.db").exists()


async def test_a_deadline_and_a_debounced_start_hold_in_the_new_store(tmp_path: Path, world: World) -> None:
    a, b = tmp_path / "a.db", tmp_path / "b.db"
    held = load_text("{flow: held, debounce: 0.2s, deadline: 1d, tasks: {a: {type: set, with: 1}}}")
    async with Engine(a, Config(), recover=False) as engine:
        run = await engine.start(held)
        assert run.status == "waiting"
        row = engine._store.run(run.id)
        assert row is not None
    move(run.id, a, b)
    async with asyncio.timeout(20), Engine(b, Config()) as engine:
        again = engine._store.run(run.id)
        assert again is not None
        assert again.deadline_at == row.deadline_at
        assert await (await engine.get(run.id)).result(20) == {}
