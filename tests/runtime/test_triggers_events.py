"""Triggers of files, events and other flows: each occasion starts one run, also across restarts."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Config, Engine
from flowbuilder.core import values
from flowbuilder.core.errors import StoreError, StoreFull
from flowbuilder.core.sealed import Sealed
from flowbuilder.storage.api import Accept, RunFilter, RunRow
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing import pass_time
from flowbuilder.triggers.flows import ended_run
from flowbuilder.triggers.state import SCHEDULE, Progress, all_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowbuilder.storage.api import Write
    from flowbuilder.testing import FakeClock
    from world import World

ECHO = "  a: {type: set, with: '${{ trigger }}'}\n"


def write(folder: Path, name: str, triggers: str = "", tasks: str = ECHO, more: str = "") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(
        f"flow: {name}\n{more}" + (f"triggers:\n{triggers}" if triggers else "") + f"tasks:\n{tasks}"
    )
    return path


async def runs(engine: Engine, flow: str) -> list[RunRow]:
    rows = await engine.runs(RunFilter(flow=flow, limit=1000))
    return list(reversed(rows))


def trigger_of(row: RunRow) -> dict[str, Any]:
    assert row.about is not None
    found: dict[str, Any] = values.decode(row.about)["trigger"]
    return found


def names(rows: list[RunRow]) -> list[str]:
    return [trigger_of(row)["file"]["name"] for row in rows]


# -- files ------------------------------------------------------------------------------


async def arrive(engine: Engine, clock: FakeClock) -> None:
    """Let triggers look at their folders, and time pass until what is there has not changed for long enough."""
    for project in engine.projects:
        await project.reload()
    await pass_time(engine, clock, 5)


async def test_each_file_that_arrives_starts_one_run(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    write(tmp_path, "load", "  - file: inbox/*.csv\n")
    await engine.up(tmp_path, watch=False)
    await arrive(engine, clock)
    assert await runs(engine, "load") == []

    (inbox / "a.csv").write_text("1,2")
    (inbox / "b.txt").write_text("no")
    await arrive(engine, clock)
    (inbox / "münchen 東京.csv").write_text("3")
    await arrive(engine, clock)
    await arrive(engine, clock)

    rows = await runs(engine, "load")
    assert names(rows) == ["a.csv", "münchen 東京.csv"]
    file = trigger_of(rows[0])["file"]
    assert file["path"] == str(inbox / "a.csv")
    assert file["folder"] == str(inbox)
    assert file["size"] == 3
    assert file["modified_at"].timestamp() == pytest.approx((inbox / "a.csv").stat().st_mtime)


async def test_a_file_that_is_still_written_is_waited_for(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "load", "  - file: '*.csv'\n    stable: 10s\n")
    project = await engine.up(tmp_path, watch=False)
    part = tmp_path / "a.csv"

    for size in (1, 2, 3):
        part.write_text("x" * size)
        os.utime(part, (1_700_000_000 + size, 1_700_000_000 + size))
        await project.reload()
        await pass_time(engine, clock, 9)
        assert await runs(engine, "load") == []
    await pass_time(engine, clock, 2)

    (row,) = await runs(engine, "load")
    assert trigger_of(row)["file"]["size"] == 3


async def test_a_file_that_changes_or_comes_back_changed_starts_another_run(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "load", "  - file: '**/*.csv'\n")
    await engine.up(tmp_path, watch=False)
    file = tmp_path / "deep" / "er" / "a.csv"
    file.parent.mkdir(parents=True)
    file.write_text("1")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    await arrive(engine, clock)

    file.write_text("22")
    await arrive(engine, clock)
    os.rename(file, tmp_path / "away")
    await arrive(engine, clock)
    os.rename(tmp_path / "away", file)  # as it was: nothing new has arrived
    await arrive(engine, clock)
    file.unlink()
    await arrive(engine, clock)
    file.write_text("333")
    await arrive(engine, clock)

    assert [trigger_of(row)["file"]["size"] for row in await runs(engine, "load")] == [1, 2, 3]


async def test_files_are_taken_once_across_restarts_and_those_that_came_meanwhile_too(
    clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "load", "  - file: '*.csv'\n")
    store = MemoryStore()
    for number in range(3):
        (tmp_path / f"{number}.csv").write_text(str(number))
        view = MemoryStore(store.place) if number else store
        async with Engine(":memory:", Config(), clock=clock, store=view) as engine:
            await engine.up(tmp_path, watch=False)
            await arrive(engine, clock)
            found = names(await runs(engine, "load"))

    assert found == ["0.csv", "1.csv", "2.csv"]


async def test_many_files_at_once_start_a_run_each(engine: Engine, clock: FakeClock, tmp_path: Path) -> None:
    write(tmp_path, "load", "  - file: '*.csv'\n")
    for number in range(200):
        (tmp_path / f"{number:03}.csv").write_text("x")
    await engine.up(tmp_path, watch=False)

    await arrive(engine, clock)

    assert sorted(names(await runs(engine, "load"))) == [f"{number:03}.csv" for number in range(200)]


# -- events ---------------------------------------------------------------------------------


async def test_each_event_of_the_name_that_passes_the_filter_starts_one_run(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(
        tmp_path,
        "ship",
        "  - event: order.paid\n    filter: event.payload.total > 10\n    with: {order: '${{ event.payload.id }}'}\n",
        more="inputs: {order: {type: string}}\n",
        tasks="  a: {type: set, with: '${{ inputs.order }}'}\n",
    )
    await engine.up(tmp_path, watch=False)
    await pass_time(engine, clock, 1)

    for number, total in enumerate((5, 50, 500)):
        await engine.emit("order.paid", {"id": f"o{number}", "total": total})
    await engine.emit("order.lost", {"id": "x", "total": 99})
    await pass_time(engine, clock, 1)

    shown = [await engine.show(row.id) for row in await runs(engine, "ship")]
    assert [one.inputs["order"] for one in shown] == ["o1", "o2"]


async def test_events_that_come_while_nothing_is_up_are_seen_to_once(
    clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "ship", "  - event: paid\n")
    store = MemoryStore()
    async with Engine(":memory:", Config(), clock=clock, store=store) as engine:
        await engine.emit("paid", {"n": "before the trigger was known"})
        await engine.up(tmp_path, watch=False)
        await pass_time(engine, clock, 1)
        await engine.emit("paid", {"n": 0})
        await pass_time(engine, clock, 1)
    async with Engine(":memory:", Config(), clock=clock, store=MemoryStore(store.place)) as engine:
        await engine.emit("paid", {"n": 1})
    for _ in range(2):
        async with Engine(":memory:", Config(), clock=clock, store=MemoryStore(store.place)) as engine:
            await engine.up(tmp_path, watch=False)
            await pass_time(engine, clock, 1)
            found = [trigger_of(row)["event"]["payload"]["n"] for row in await runs(engine, "ship")]

    assert found == [0, 1]


# -- other flows ---------------------------------------------------------------------------------


async def test_a_run_that_ends_as_wanted_starts_the_next_flow(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    load = write(
        tmp_path,
        "load",
        tasks="  a: {type: assert, with: {that: '${{ inputs.ok }}', message: no}}\n",
        more="inputs: {ok: {type: boolean}}\noutputs: {rows: 3}\n",
    )
    write(tmp_path, "report", "  - flow: load\n    if: trigger.run.outputs.rows > 0\n")
    write(tmp_path, "alert", "  - flow: [load, other]\n    status: [failed, cancelled]\n")
    await engine.up(tmp_path, watch=False)

    good = await engine.start(load, {"ok": True})
    bad = await engine.start(load, {"ok": False})
    await pass_time(engine, clock, 20)

    (report,) = await runs(engine, "report")
    (alert,) = await runs(engine, "alert")
    ended = trigger_of(report)["run"]
    assert (ended["id"], ended["status"], ended["outputs"], ended["inputs"]) == (
        good.id,
        "succeeded",
        {"rows": 3},
        {"ok": True},
    )
    assert trigger_of(alert)["run"]["id"] == bad.id
    assert trigger_of(alert)["run"]["error"]["message"] == "no"


async def test_runs_that_end_in_another_engine_or_while_nothing_is_up_count_too(
    clock: FakeClock, tmp_path: Path
) -> None:
    load = write(tmp_path, "load", tasks="  a: {type: sleep, with: {for: 1m}}\n")
    write(tmp_path, "report", "  - flow: load\n")
    store = MemoryStore()
    started: list[str] = []
    async with (
        Engine(":memory:", Config(), clock=clock, store=store) as up,
        Engine(":memory:", Config(), clock=clock, store=MemoryStore(store.place), recover=False) as other,
    ):
        await up.up(tmp_path, watch=False)
        started.append((await other.start(load)).id)
        for _ in range(40):
            await pass_time(up, clock, 5)
        assert [trigger_of(row)["run"]["id"] for row in await runs(up, "report")] == started
    async with Engine(":memory:", Config(), clock=clock, store=MemoryStore(store.place)) as alone:
        started.append((await alone.start(load)).id)
        await pass_time(alone, clock, 70)
    clock.advance(86400)
    for _ in range(2):
        async with Engine(":memory:", Config(), clock=clock, store=MemoryStore(store.place)) as engine:
            await engine.up(tmp_path, watch=False)
            await pass_time(engine, clock, 70)
            found = [trigger_of(row)["run"]["id"] for row in await runs(engine, "report")]

    assert found == started


class Refusing(MemoryStore):
    """A store that takes no runs while it is full."""

    full = False
    refused = 0

    def hand_over(
        self, writes: Sequence[Write], done: Callable[[StoreError | None], None], *, alone: bool = False
    ) -> None:
        if self.full and any(type(write) is Accept for write in writes):
            self.refused += 1
            done(StoreFull("the disk is full", "free some space"))
        else:
            super().hand_over(writes, done, alone=alone)


@pytest.mark.parametrize("seconds", [5, 200])
@pytest.mark.parametrize("elsewhere", [True, False])
async def test_an_end_whose_run_the_store_refuses_is_seen_to_again(
    clock: FakeClock, tmp_path: Path, world: World, elsewhere: bool, seconds: int
) -> None:
    load = write(tmp_path, "load", tasks="  a: {type: python, with: {call: hold, args: {name: a}}}\n")
    write(tmp_path, "report", "  - flow: load\n")
    store = Refusing()
    async with (
        Engine(":memory:", Config(), clock=clock, store=store) as up,
        Engine(":memory:", Config(), clock=clock, store=MemoryStore(store.place), recover=False) as other,
    ):
        await up.up(tmp_path, watch=False)
        run = await (other if elsewhere else up).start(load)
        await world.begun("a")
        for _ in range(30):  # until it is older than those that are looked for anew
            clock.advance(5)
            await up.projects[0].settled()
        store.full = True
        world.let_go("a")
        await run.wait(20)
        while seconds > 0 or not store.refused:
            await pass_time(up, clock, 5)
            seconds -= 5
        store.full = False
        for _ in range(14):
            await pass_time(up, clock, 5)

        assert [trigger_of(row)["run"]["id"] for row in await runs(up, "report")] == [run.id]


async def test_chains_of_flows_go_on_by_themselves(engine: Engine, clock: FakeClock, tmp_path: Path) -> None:
    first = write(tmp_path, "one")
    write(tmp_path, "two", "  - flow: one\n")
    write(tmp_path, "three", "  - flow: two\n    status: [succeeded, failed]\n")
    await engine.up(tmp_path, watch=False)

    await engine.start(first)
    await pass_time(engine, clock, 1)

    assert len(await runs(engine, "three")) == 1


def test_a_trigger_of_flows_sees_what_is_sensitive_as_stars() -> None:
    sealed = Sealed(b"12345678" * 4)
    row = RunRow("r", "f", "h", "succeeded", 1.0, values.encode({"pin": sealed, "name": "ada"}))
    row.result = values.encode({"token": sealed, "n": 1})

    seen = ended_run(row)

    assert seen["inputs"] == {"pin": "***", "name": "ada"}
    assert seen["outputs"] == {"token": "***", "n": 1}


async def test_once_a_project_is_up_no_event_is_lost_whenever_the_engine_dies(tmp_path: Path) -> None:
    """From which event on a new trigger hears is on disk by then: the next engine does not begin anew."""
    (tmp_path / "heard.yaml").write_text(
        "flow: heard\ntriggers: [{name: t, event: rung}]\ntasks: {a: {type: set, with: 1}}\n"
    )
    store = MemoryStore()
    async with Engine(":memory:", Config(), store=store, secrets={}) as engine:
        await engine.up(tmp_path, watch=False)
        reader = MemoryStore(store.place)
        reader.open(None)
        assert all_of(reader, SCHEDULE, Progress)["heard/t"].number == 0
        reader.close()


async def test_what_a_trigger_refused_or_left_out_is_told_of_once_however_often_it_is_looked_for(
    clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "load")
    write(
        tmp_path, "refused", "  - {flow: load, with: {nothing: '${{ trigger.run.id }}'}}\n", more="x-a: 1\n"
    )
    (tmp_path / "refused.yaml").write_text(
        "flow: refused\ninputs: {n: {type: integer}}\n"
        "triggers:\n  - {flow: load, with: {n: '${{ trigger.run.id }}'}}\n"
        f"tasks:\n{ECHO}"
    )
    write(tmp_path, "left", "  - {flow: load, if: 'trigger.run.id == null'}\n")
    told: list[tuple[str, str | None]] = []
    store = tmp_path / "store.db"

    for turn in range(4):  # as `up --once` does
        async with Engine(store, Config(), clock=clock) as engine:
            await engine.up(tmp_path, watch=False, on=lambda one: told.append((one.what, one.flow)))
            if turn == 0:
                await (await engine.start(tmp_path / "load.yaml")).wait()
            await pass_time(engine, clock, 5)

    assert told.count(("refused", "refused")) == 1
    assert told.count(("skipped", "left")) == 1


async def failed_with(engine: Engine, kind: str) -> list[RunRow]:
    rows = await engine.runs(RunFilter(status=("failed",), limit=1000))
    return [row for row in rows if row.result is not None and values.decode(row.result)["kind"] == kind]


async def test_flows_that_start_each_other_without_end_are_warned_of_and_ended(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "a", "  - {flow: b}\n")
    write(tmp_path, "b", "  - {flow: a, status: [succeeded, failed]}\n")
    write(tmp_path, "c", "  - {flow: a, if: 'false'}\n")
    told: list[str] = []
    await engine.up(tmp_path, watch=False, on=lambda one: told.append(f"{one.what} {one.message}"))

    await engine.start(tmp_path / "a.yaml")
    async with asyncio.timeout(100):
        while not (found := await failed_with(engine, "trigger.chain")):
            await pass_time(engine, clock, 1)
    await pass_time(engine, clock, 60)

    (refused,) = found
    count = len(await runs(engine, "a")) + len(await runs(engine, "b"))
    assert count == 102  # the one that was started by hand, a hundred behind it, and the one that was refused
    assert trigger_of(refused)["chain"] == 101
    assert len([one for one in told if one.startswith("warning a → b → a: they start each other")]) == 1
    assert len([one for one in told if one.startswith("refused")]) == 1


async def test_a_chain_with_a_condition_goes_on_as_long_as_that_holds(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    count = "inputs: {n: {type: integer, default: 0}}\n"
    write(tmp_path, "a", "  - {flow: b, with: {n: '${{ trigger.run.inputs.n }}'}}\n", more=count)
    more = (
        "  - flow: a\n    if: trigger.run.inputs.n < 150\n    with: {n: '${{ trigger.run.inputs.n + 1 }}'}\n"
    )
    write(tmp_path, "b", more, more=count)
    await engine.up(tmp_path, watch=False)

    await engine.start(tmp_path / "a.yaml")
    await pass_time(engine, clock, 60)

    assert len(await runs(engine, "a")) == 151
    assert await failed_with(engine, "trigger.chain") == []


async def test_a_flow_that_emits_the_event_that_starts_it_is_ended(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "again", "  - {event: tick}\n", "  a: {type: emit, with: {event: tick}}\n")
    await engine.up(tmp_path, watch=False)

    await engine.emit("tick")
    async with asyncio.timeout(100):
        while not (found := await failed_with(engine, "trigger.chain")):
            await pass_time(engine, clock, 1)
    await pass_time(engine, clock, 10)

    (refused,) = found
    assert trigger_of(refused)["chain"] == 101
    assert len(await runs(engine, "again")) == 101


async def test_links_that_lead_round_find_each_file_once(
    engine: Engine, clock: FakeClock, tmp_path: Path
) -> None:
    write(tmp_path, "load", f"  - {{file: '{tmp_path}/in/**/*.csv', stable: 1s}}\n")
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.csv").touch()
    (tmp_path / "in" / "deep" / "b.csv").touch()
    for name in ("one", "two"):
        (tmp_path / "in" / "deep" / name).symlink_to(tmp_path / "in")
    await engine.up(tmp_path, watch=False)

    await arrive(engine, clock)

    found = await runs(engine, "load")
    assert sorted(names(found)) == ["a.csv", "b.csv"]


async def test_a_webhook_is_warned_of_once_however_often_its_flow_is_read(
    engine: Engine, tmp_path: Path
) -> None:
    told: list[str] = []
    write(tmp_path, "hook", "  - {name: paid, webhook: /paid}\n")
    project = await engine.up(tmp_path, watch=False, on=lambda one: told.append(f"{one.what} {one.message}"))
    for n in range(3):
        write(tmp_path, "hook", "  - {name: paid, webhook: /paid}\n", more=f"description: edit {n}\n")
        await project.reload()

    assert len([one for one in told if "webhooks come" in one]) == 1
