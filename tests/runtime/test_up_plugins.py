"""Plug-ins of a project that is up: loaded anew when they change, beside the loop; a broken one is told of and left out."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Engine
from flowbuilder.plugins import registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from flowbuilder.triggers.happenings import Happening

GREET = """
import time
from flowbuilder.core.catalogue import TaskSpec

{first}

class Greet:
    spec = TaskSpec(name="greet", summary="Greets.", params={{"type": "object"}}, output={{}}, effect="write")

    async def run(self, call):
        return "{word}"
"""
FLOW = """
flow: greeting
triggers: [{name: t, event: never}]
tasks:
  a: {type: greet, with: {}}
outputs: {said: "${{ tasks.a.output }}"}
"""


class Up:
    """A project that is up, and what was told of it."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.told: list[Happening] = []
        self._heard = asyncio.Event()
        self.project: Any = None

    def plugin(self, word: str, first: str = "", name: str = "greet.py") -> None:
        (self.folder / "plugins").mkdir(exist_ok=True)
        (self.folder / "plugins" / name).write_text(GREET.format(word=word, first=first))

    async def up(self, *, watch: bool = False) -> None:
        self.project = await self.engine.up(self.folder / "flows", watch=watch, on=self._hear)

    def _hear(self, happening: Happening) -> None:
        self.told.append(happening)
        self._heard.set()

    async def look(self) -> list[str]:
        self.told.clear()
        await self.project.reload()
        return [f"{one.what} {one.message}" for one in self.told]

    async def said(self) -> str:
        run = await self.engine.get(await self.project.trigger("greeting/t"))
        async with asyncio.timeout(30):
            return str((await run.result())["said"])

    async def until(self, what: str) -> Happening:
        async with asyncio.timeout(30):
            while not (found := [one for one in self.told if one.what == what]):
                self._heard.clear()
                await self._heard.wait()
        return found[-1]


@pytest.fixture
async def up(tmp_path: Path) -> AsyncIterator[Up]:
    (tmp_path / ".flowbuilder").mkdir()
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "greeting.yaml").write_text(FLOW)
    registry.forget()
    async with Engine.in_memory() as engine:
        yield Up(engine, tmp_path)
    registry.forget()


async def test_a_plug_in_that_changes_is_loaded_anew_while_the_engine_runs(up: Up) -> None:
    up.plugin("one")
    await up.up(watch=True)
    first = await up.said()
    up.told.clear()

    up.plugin("two")
    told = await up.until("plugin")

    assert told.message == "plugins/greet.py is loaded: greet"
    assert (first, await up.said()) == ("one", "two")


async def test_a_plug_in_that_comes_later_mends_the_flows_that_need_it(up: Up) -> None:
    await up.up(watch=True)
    before = dict(up.project.broken)

    up.plugin("hello")
    await up.until("loaded")

    assert "greet" in before["greeting.yaml"]
    assert up.project.broken == {}
    assert await up.said() == "hello"


@pytest.mark.parametrize(
    ("first", "why"),
    [
        ("def x(:", "greet.py:5: "),
        ("1 / 0", "greet.py:5: ZeroDivisionError"),
        ("raise SystemExit(9)", "greet.py:5: SystemExit: 9"),
        ("import not_there_at_all", "ModuleNotFoundError"),
    ],
)
async def test_a_broken_edit_is_told_of_once_and_the_last_good_version_stays(
    up: Up, first: str, why: str
) -> None:
    up.plugin("good")
    await up.up()

    up.plugin("bad", first)
    told = await up.look()

    assert told == ["broken plugins/greet.py keeps its last good version"]
    assert why in up.told[0].data["error"]
    assert await up.look() == []
    assert await up.said() == "good"
    up.plugin("mended")
    assert await up.look() == ["plugin plugins/greet.py is loaded: greet"]
    assert await up.said() == "mended"


@pytest.mark.parametrize(
    ("cut", "why"),
    [("    async def run", "it has neither 'run' nor 'work'"), ("\nimport time", "it is empty")],
)
async def test_a_plug_in_that_is_saved_half_keeps_its_last_good_version(up: Up, cut: str, why: str) -> None:
    up.plugin("good")
    await up.up()
    file = up.folder / "plugins" / "greet.py"

    file.write_text(file.read_text().partition(cut)[0])
    told = await up.look()

    assert told == ["broken plugins/greet.py keeps its last good version"]
    assert why in up.told[0].data["error"]
    assert await up.said() == "good"
    up.plugin("whole")
    await up.look()
    assert await up.said() == "whole"


async def test_a_plug_in_that_is_broken_from_the_start_is_left_out_and_kills_nothing(up: Up) -> None:
    up.plugin("bad", "raise SystemExit(9)")
    up.plugin("fine", name="other.py")
    (up.folder / "plugins" / "other.py").write_text(
        GREET.format(word="x", first="").replace('"greet"', '"other"')
    )
    (up.folder / "flows" / "other.yaml").write_text("flow: other\ntasks: {a: {type: other, with: {}}}\n")

    await up.up()

    assert [one.message for one in up.told if one.data.get("plugin")] == [
        "plugins/greet.py is left out",
        "plugins/other.py is loaded: other",
    ]
    assert list(up.project.flows) == ["other"]
    assert "FB297" in up.project.broken["greeting.yaml"]


async def test_a_plug_in_that_is_deleted_is_told_of_and_flows_keep_their_last_version(up: Up) -> None:
    up.plugin("here")
    await up.up()

    (up.folder / "plugins" / "greet.py").unlink()
    told = await up.look()

    assert told == ["plugin plugins/greet.py is gone", "broken greeting.yaml keeps its last good version"]
    assert list(up.project.flows) == ["greeting"]


async def test_an_import_that_takes_long_does_not_stop_the_loop(up: Up) -> None:
    up.plugin("quick")
    await up.up()
    up.plugin("slow", "time.sleep(1)")

    longest, before = 0.0, time.monotonic()
    looking = asyncio.ensure_future(up.look())
    said = []
    while not looking.done():
        await asyncio.sleep(0.01)
        now = time.monotonic()
        longest, before = max(longest, now - before), now
        said.append(await up.said())  # who asks meanwhile gets what is known
        before = time.monotonic()

    assert longest < 0.5
    assert set(said[:3]) == {"quick"}
    assert await up.said() == "slow"
