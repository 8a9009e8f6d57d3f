"""Flows in the Python files of a folder that is up: found without running what has none, read again, left out when broken."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Engine
from flowbuilder.cli.happenings import as_object, line_of
from flowbuilder.cli.results import as_json
from flowbuilder.core import values
from flowbuilder.sdk.pyflows.sources import sources_of, uses_flow
from flowbuilder.storage.api import RunFilter
from flowbuilder.testing import pass_time

if TYPE_CHECKING:
    from flowbuilder.testing.fake_clock import FakeClock
    from flowbuilder.triggers.happenings import Happening

FLOWS = """
from flowbuilder import flow, lang, task
from words import END


@task(effect="pure"{how})
def greet(name: str) -> str:
    return "{word} " + name + END


@flow(triggers=[{{"name": "often", "every": "10s", "with": {{"name": lang.trigger.name}}}}])
def hello(name: str = "Ann"):
    return greet(name)


@flow
def bye(name: str = "Bob"):
    return greet(name)
"""


class Folder:
    """A project's folder, an engine that has it up, and what was told."""

    def __init__(self, engine: Engine, clock: FakeClock, folder: Path) -> None:
        self.engine = engine
        self.clock = clock
        self.folder = folder
        self.told: list[Happening] = []
        self.project: Any = None

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    async def up(self) -> None:
        self.project = await self.engine.up(self.folder, watch=False, on=self.told.append)

    async def look(self) -> list[str]:
        """Read the folder again, and return what was told of it."""
        self.told.clear()
        await self.project.reload()
        return [f"{one.what} {one.message}" for one in self.told]

    async def outputs(self, flow: str) -> list[Any]:
        await pass_time(self.engine, self.clock, 10)
        rows = await self.engine.runs(RunFilter(flow=flow, limit=1000))
        return [values.decode(row.result)["result"] for row in reversed(rows) if row.result is not None]


@pytest.fixture
async def folder(engine: Engine, clock: FakeClock, tmp_path: Path) -> Folder:
    (tmp_path / ".git").mkdir()
    made = Folder(engine, clock, tmp_path)
    made.write("words.py", "END = '!'\n")
    return made


async def test_flows_of_python_files_are_found_with_their_triggers(folder: Folder) -> None:
    folder.write("jobs/__init__.py", "")
    folder.write("flows.py", FLOWS.format(word="hello", how=""))

    await folder.up()

    assert sorted(folder.project.flows) == ["bye", "hello"]
    assert list(folder.project.triggers.armed) == ["hello/often"]
    assert await folder.outputs("hello") == ["hello often!"]


async def test_only_files_that_use_flow_are_imported(folder: Folder) -> None:
    for name, text in {
        "tool.py": "open('ran', 'w')\n",
        "tasks.py": "from flowbuilder import task\nopen('ran', 'w')\n",
        "inside.py": "from flowbuilder import flow\nopen('ran', 'w')\ndef make(f):\n    return flow(f)\n",
        "test_flows.py": FLOWS.format(word="test", how=""),
        "venv/flows.py": FLOWS.format(word="test", how=""),
    }.items():
        folder.write(name, text.replace("'ran'", repr(str(folder.folder / "ran"))))

    await folder.up()

    assert folder.project.flows == {}
    assert folder.project.broken == {}
    assert not (folder.folder / "ran").exists()


async def test_what_a_function_does_is_read_again_when_its_file_changes(folder: Folder) -> None:
    folder.write("flows.py", FLOWS.format(word="hello", how=""))
    await folder.up()
    await folder.outputs("hello")

    folder.write("flows.py", FLOWS.format(word="good day", how=""))
    first = await folder.look()
    await folder.outputs("hello")
    folder.write("words.py", "END = '?'\n")  # of the same length and maybe in the same second
    second = await folder.look()

    assert await folder.outputs("hello") == ["hello often!", "good day often!", "good day often?"]
    assert first == second == ["reloaded flows.py:hello", "reloaded flows.py:bye"]
    assert await folder.look() == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("def x(:\n", ":1:"),
        ("from flowbuilder import flow\n@flow\ndef hello(:\n", ":3:"),
        ("from flowbuilder import flow, task\n@flow\ndef f():\n  pass\nraise SystemExit(4)\n", "SystemExit"),
        (
            "from flowbuilder import flow\nimport not_there_at_all\n@flow\ndef f():\n    pass\n",
            "not_there_at_all",
        ),
        ("from words import NOTHING\nfrom flowbuilder import flow\nf = flow\n", "NOTHING"),
        ("", "it is empty"),
    ],
)
async def test_a_broken_file_keeps_its_last_good_version(folder: Folder, text: str, line: str) -> None:
    folder.write("flows.py", FLOWS.format(word="hello", how=""))
    await folder.up()

    folder.write("flows.py", "from flowbuilder import flow\n" * (text[:4] == "def ") + text)
    told = await folder.look()

    assert told == ["broken flows.py keeps its last good version"]
    assert line.replace(":1:", ":2:") in folder.told[0].data["error"]
    assert await folder.outputs("hello") == ["hello often!"]
    folder.write("flows.py", FLOWS.format(word="again", how=""))
    await folder.look()
    assert await folder.outputs("hello") == ["hello often!", "again often!"]


async def test_a_broken_flow_keeps_no_other_of_its_file_from_being_used(folder: Folder) -> None:
    folder.write(
        "flows.py",
        FLOWS.format(word="hello", how="") + "\n@flow\ndef third(x: int):\n    return x + greet(1, 2, 3)\n",
    )

    await folder.up()

    assert sorted(folder.project.flows) == ["bye", "hello"]
    assert list(folder.project.broken) == ["flows.py:third"]
    assert "FB29" in folder.project.broken["flows.py:third"]


async def test_flows_that_are_renamed_or_taken_out_are_told_of(folder: Folder) -> None:
    text = FLOWS.format(word="hello", how="")
    folder.write("flows.py", text)
    await folder.up()

    folder.write("flows.py", text.replace("def bye", "def farewell"))
    renamed = await folder.look()
    folder.write("flows.py", "X = 1\n")
    gone = await folder.look()

    assert "loaded flows.py:farewell" in renamed
    assert [one for one in renamed if one.startswith("removed")] == ["removed "]
    assert gone == ["removed ", "removed "]
    assert folder.project.triggers.armed == {}


async def test_a_run_in_flight_keeps_the_graph_that_it_began_with(folder: Folder) -> None:
    text = """
from flowbuilder import flow, sleep, task


@task
def say(word: str) -> str:
    return word


@flow(triggers=[{"every": "10s", "name": "t"}])
def steps():
    first = say("old")
    waited = sleep("15s", needs=[first])
    return say("old too", needs=[waited])
"""
    folder.write("flows.py", text)
    await folder.up()
    await pass_time(folder.engine, folder.clock, 12)

    folder.write("flows.py", text.replace("old", "new").replace('"15s"', '"1s"'))
    await folder.look()
    await pass_time(folder.engine, folder.clock, 30)

    assert (await folder.outputs("steps"))[0] == "old too"
    assert "new too" in await folder.outputs("steps")


async def test_a_run_in_flight_calls_functions_that_are_gone_from_the_file_meanwhile(folder: Folder) -> None:
    text = """
from flowbuilder import flow, sleep, task


@task
def before(word: str) -> str:
    return "old " + word


@flow(triggers=[{"every": "1h", "name": "t"}])
def steps():
    return before("word", needs=[sleep("15s")])
"""
    folder.write("flows.py", text)
    await folder.up()
    run = await folder.engine.get(await folder.project.trigger("steps/t"))

    folder.write("flows.py", text.replace("before", "after").replace("old", "new"))
    await folder.look()
    new = await folder.engine.get(await folder.project.trigger("steps/t"))
    await pass_time(folder.engine, folder.clock, 30)
    folder.write("flows.py", text.replace("old", "old, as it is again,"))
    await folder.look()
    again = await folder.engine.get(await folder.project.trigger("steps/t"))
    await pass_time(folder.engine, folder.clock, 30)

    assert [(await one.result())["result"] for one in (run, new, again)] == [
        "old word",
        "new word",
        "old, as it is again, word",
    ]


async def test_two_files_with_one_name_of_a_flow_are_told_apart_and_the_other_takes_over(
    folder: Folder,
) -> None:
    folder.write("a.py", FLOWS.format(word="a", how=""))
    folder.write("b.py", FLOWS.format(word="b", how=""))
    await folder.up()
    left_out = dict(folder.project.broken)

    (folder.folder / "a.py").unlink()
    told = await folder.look()

    assert list(left_out) == ["b.py:hello", "b.py:bye"]
    assert "a.py:hello too" in left_out["b.py:hello"]
    assert told == ["reloaded b.py:hello", "reloaded b.py:bye"]
    assert await folder.outputs("hello") == ["b often!"]


async def test_a_function_in_another_process_is_the_new_one_too(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "words.py").write_text("END = '!'\n")
    flows = tmp_path / "flows.py"
    flows.write_text(FLOWS.format(word="hello", how=', executor="process"'))
    async with Engine.in_memory() as engine:
        project = await engine.up(tmp_path, watch=False)
        results = []
        for end in ("!", "?", "."):
            (tmp_path / "words.py").write_text(f"END = {end!r}\n")
            await project.reload()
            run_id = await project.trigger("hello/often")
            async with asyncio.timeout(60):
                results.append((await (await engine.get(run_id)).result())["result"])

    assert results == ["hello often!", "hello often?", "hello often."]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from flowbuilder import flow\n@flow\ndef f(): ...\n", True),
        ("from flowbuilder import flow as f\n@f(timeout='1h')\nasync def g(): ...\n", True),
        ("import flowbuilder\n@flowbuilder.flow\ndef f(): ...\n", True),
        ("import flowbuilder as fb\nx = fb.flow(print)\n", True),
        (
            "try:\n    from flowbuilder import flow\n    a = flow(print)\nexcept ImportError:\n    pass\n",
            True,
        ),
        ("from flowbuilder import *\n@flow\ndef f(): ...\n", True),
        ("from flowbuilder import flow\n", False),
        ("from flowbuilder import task\n@task\ndef flow(): ...\n", False),
        ("from prefect import flow\n@flow\ndef f(): ...\n", False),
        ("'''from flowbuilder import flow'''\n", False),
        ("from flowbuilder import flow\n@flow\ndef f(:\n", True),
    ],
)
def test_a_file_says_itself_whether_it_has_flows(text: str, found: bool) -> None:
    assert uses_flow(text.encode()) is found


def test_what_a_file_imports_is_read_and_not_run(tmp_path: Path) -> None:
    for name, text in {
        "flows.py": "import a, os\nfrom pkg import b, name\nfrom pkg.sub.c import x\n",
        "a.py": "def f():\n    import late\n",
        "late.py": "import flows\n",
        "other.py": "",
        "pkg/__init__.py": "from . import d\n",
        "pkg/b.py": "from .sub import c\nfrom ..outside import y\n",
        "pkg/d.py": "",
        "pkg/sub/__init__.py": "",
        "pkg/sub/c.py": "syntax error",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    found = {str(Path(file).relative_to(tmp_path)) for file in sources_of(tmp_path / "flows.py", [tmp_path])}

    assert found == {
        "flows.py",
        "a.py",
        "late.py",
        "pkg/__init__.py",
        "pkg/b.py",
        "pkg/d.py",
        "pkg/sub/__init__.py",
        "pkg/sub/c.py",
    }


async def test_a_file_whose_name_is_no_text_keeps_no_other_from_being_read(folder: Folder) -> None:
    name = os.fsdecode(b"\xff.yaml")
    try:
        (folder.folder / name).write_text("flow: odd\ntasks: {a: {type: set, with: 1}}\n")
    except OSError:
        pytest.skip("this file system takes no such name")
    folder.write("even.yaml", "flow: even\ntasks: {a: {type: set, with: 1}}\n")

    await folder.up()

    assert list(folder.project.flows) == ["even"]
    assert list(folder.project.broken.values()) == ["its name is no text in UTF-8"]
    told = next(one for one in folder.told if one.what == "broken")
    line_of(told).encode()
    as_json(as_object(told)).encode()
