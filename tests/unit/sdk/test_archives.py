"""Runs in a file: they come out as they went in, and damage is told."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from flowbuilder import Config, Engine, Reader
from flowbuilder.core.errors import ArchiveError
from flowbuilder.sdk.archives import FORMAT, MAGIC
from flowbuilder.sdk.frames import read_frames
from flowbuilder.sdk.importing import import_runs
from flowbuilder.testing.flows import load_text
from world import until

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

FLOW = """
flow: t
inputs: {n: {type: integer, default: 1}}
tasks:
  big: {type: python, with: {call: act, args: {name: big, value: "${{ [i for i in range(40000)] }}"}}}
  say: {run: "echo über"}
  nap: {if: "inputs.n == 2", type: sleep, with: {for: 1d}}
  after: {needs: [nap, big], run_when: all_done, type: python, with: {call: act, args: {name: after, value: "${{ len(tasks.big.output) }}"}}}
outputs: {size: "${{ tasks.after.output }}"}
"""


async def made(path: Path) -> tuple[list[str], bytes]:
    """Return an ended and a sleeping run of a store, and their archive."""
    flow = load_text(FLOW, path.parent)
    async with Engine(path, Config()) as engine:
        ended = await engine.start(flow, key="k", labels={"team": "blue"})
        await ended.result(20)
        asleep = await engine.start(flow, {"n": 2})
        await until(lambda: not engine.core.machine.runs.live)
    file = io.BytesIO()
    with Reader(path) as reader:
        assert reader.export([ended.id, asleep.id], file) == 2
    return [ended.id, asleep.id], file.getvalue()


async def test_runs_come_out_as_they_went_in_and_live_ones_are_paused(tmp_path: Path, world: World) -> None:
    (ended, asleep), archive = await made(tmp_path / "a.db")

    done = import_runs(tmp_path / "b.db", io.BytesIO(archive))

    assert (done.brought, done.paused, done.known) == ([ended, asleep], [asleep], [])
    with Reader(tmp_path / "a.db") as before, Reader(tmp_path / "b.db") as after:
        assert after.show(ended).to_json(full=True) == before.show(ended).to_json(full=True)
        assert [line.message for _, line in after.logs(ended)] == ["über"]
        assert (after.row(ended).key, after.row(ended).labels) == ("k", {"team": "blue"})
        assert after.row(asleep).status == "paused"
    calls = list(world.calls)
    async with Engine(tmp_path / "b.db", Config()) as engine:
        fork = await engine.fork(asleep, outputs={"nap.output": None})
        assert await fork.result(20) == {"size": 40000}
        assert world.calls == [*calls, "after"]
        run = await engine.get(asleep)
        assert await run.resume()
        await until(lambda: run.id not in engine.core.machine.runs.live)
        assert (await engine.row(asleep)).status == "waiting"


async def test_what_is_there_already_is_left_and_a_key_stays_with_its_run(
    tmp_path: Path, world: World
) -> None:
    (ended, asleep), archive = await made(tmp_path / "a.db")
    async with Engine(tmp_path / "b.db", Config()) as engine:
        await (await engine.start(load_text(FLOW, tmp_path), key="k")).result(20)

    first = import_runs(tmp_path / "b.db", io.BytesIO(archive), live=True)
    second = import_runs(tmp_path / "b.db", io.BytesIO(archive))

    assert (first.without_key, first.paused) == ([ended], [])
    assert (second.brought, second.known) == ([], [ended, asleep])
    async with Engine(tmp_path / "b.db", Config()) as engine:
        await until(lambda: not engine.core.machine.runs.live)
        assert (await engine.row(asleep)).status == "waiting"


async def test_a_damaged_archive_is_told_and_brings_no_half_run(tmp_path: Path, world: World) -> None:
    _, archive = await made(tmp_path / "a.db")
    for place in (*range(0, len(archive), max(1, len(archive) // 40)), len(archive) - 4, len(archive) - 1):
        store = tmp_path / f"{place}.db"
        with pytest.raises(ArchiveError):
            import_runs(store, io.BytesIO(archive[:place]))
        if store.exists():
            with Reader(store) as reader:
                for row in reader.runs():
                    reader.show(row.id)
    for text in (archive[:-1], archive + b"\0", archive + archive, b"", b"hello", MAGIC, MAGIC + b"hello"):
        with pytest.raises(ArchiveError):
            import_runs(tmp_path / "c.db", io.BytesIO(text))


def read_all(archive: bytes) -> tuple[list[tuple[str, object]], ArchiveError | None]:
    """Return the frames that can be read, and why there are no more."""
    seen: list[tuple[str, object]] = []
    try:
        for frame in read_frames(io.BytesIO(archive), MAGIC):
            seen.append(frame)  # noqa: PERF402 it may raise in the midst
    except ArchiveError as error:
        return seen, error
    return seen, None


async def test_an_archive_with_one_byte_changed_is_refused_wherever_that_is(
    tmp_path: Path, world: World
) -> None:
    _, archive = await made(tmp_path / "a.db")
    frames = list(read_frames(io.BytesIO(archive), MAGIC))
    bits = random.Random(7)
    for place in range(0, len(archive), max(1, len(archive) // 2000)):
        changed = bytearray(archive)
        changed[place] ^= 1 << bits.randrange(8)
        seen, error = read_all(bytes(changed))
        assert error is not None
        assert seen[1:] == frames[1 : len(seen)]  # nothing of what was changed was handed on


def test_an_archive_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    frame = msgspec.msgpack.encode(["head", {"format": FORMAT + 1, "release": "9.9"}])
    packed = MAGIC + len(frame).to_bytes(4, "big") + frame

    with pytest.raises(ArchiveError, match=r"made by release 9\.9"):
        import_runs(tmp_path / "a.db", io.BytesIO(packed))
    assert not (tmp_path / "a.db").exists()


async def test_files_that_values_refer_to_come_along(tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_text("over there")
    flow = load_text("{flow: t, tasks: {a: {type: file, with: {read: report.txt, as: reference}}}}", tmp_path)
    async with Engine(tmp_path / "a.db") as engine:
        run = await engine.start(flow)
        await run.result(20)
    file = io.BytesIO()
    with Reader(tmp_path / "a.db") as reader:
        reader.export([run.id], file)

    import_runs(tmp_path / "b.db", io.BytesIO(file.getvalue()))

    with Reader(tmp_path / "b.db") as reader:
        kept = reader.show(run.id).tasks["a"].output["$file"]
        assert reader._store.blobs().get(kept) == b"over there"
