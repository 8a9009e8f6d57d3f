"""Plug-ins of a project: found in its `plugins` folder, loaded anew when they change, left out when broken."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

from flowbuilder import Config, Engine, FlowError, load
from flowbuilder.cli.main import main
from flowbuilder.plugins import registry
from flowbuilder.plugins.folder import LOOK_AGAIN, News, ProjectPlugins
from flowbuilder.runtime.project import find_project, store_path
from flowbuilder.runtime.secrets import Secrets, SecretsUnreadable
from flowbuilder.runtime.settings import read_settings
from flowbuilder.storage.factory import make_store
from flowbuilder.testing import run_flow
from flowbuilder.testing.fake_clock import FakeClock

GREET = """
from flowbuilder import TaskFailed
from flowbuilder.core.catalogue import TaskSpec


class Greet:
    spec = TaskSpec(
        name="greet",
        summary="Greets somebody.",
        params={{
            "type": "object",
            "properties": {{"name": {{"type": "string", "description": "Whom."}}}},
            "required": ["name"],
            "additionalProperties": False,
        }},
        output={{"type": "string"}},
        effect="{effect}",
    )

    async def run(self, call):
        {more}
        return "{word} " + call.params["name"]
"""
FLOW = """
flow: greeting
inputs: {name: {type: string, default: Ann}}
tasks:
  hello: {type: greet, with: {name: "${{ inputs.name }}"}}
outputs: {said: "${{ tasks.hello.output }}"}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / ".flowbuilder").mkdir()
    (tmp_path / "plugins").mkdir()
    (tmp_path / "flow.yaml").write_text(FLOW)
    for name in [name for name in os.environ if name.startswith("FLOWBUILDER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    registry.forget()
    yield tmp_path
    registry.forget()


def write(project: Path, text: str, name: str = "greet.py") -> None:
    """Write a plug-in's module, and have the next question look at the folder."""
    file = project / "plugins" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    registry.of_project(project).look_now()


def greet(word: str = "hello", effect: str = "write", more: str = "pass") -> str:
    return GREET.format(word=word, effect=effect, more=more)


async def test_a_file_in_the_folder_adds_a_task_type(project: Path) -> None:
    write(project, greet())

    run = await run_flow(load(project / "flow.yaml"), {"name": "Bob"})

    assert run.outputs == {"said": "hello Bob"}


async def test_its_parameters_are_checked_like_those_of_any_other(project: Path) -> None:
    write(project, greet())
    (project / "wrong.yaml").write_text(FLOW.replace("with: {name", "with: {nmae"))

    with pytest.raises(FlowError, match="FB212") as wrong:
        load(project / "wrong.yaml")

    assert "did you mean 'name'?" in [hint for each in wrong.value.diagnostics for hint in each.hints]


async def test_a_package_in_the_folder_may_import_its_parts(project: Path) -> None:
    write(project, "WORD = 'ciao'\n", "polite/words.py")
    write(
        project,
        "from .words import WORD\n" + greet("{}").replace('"{} "', 'WORD + " "'),
        "polite/__init__.py",
    )

    assert (await run_flow(load(project / "flow.yaml"))).outputs == {"said": "ciao Ann"}

    (project / "plugins" / "polite" / "words.py").write_text("WORD = 'ave'\n")
    registry.of_project(project).look_now()

    assert (await run_flow(load(project / "flow.yaml"))).outputs == {"said": "ave Ann"}


async def test_a_type_that_changes_is_the_new_one_and_attempts_in_flight_keep_theirs(project: Path) -> None:
    write(
        project,
        greet(
            "first",
            more="import asyncio; await asyncio.Event().wait() if call.params['name'] == 'slow' else None",
        ),
    )
    async with Engine(project / "runs.db", Config(), secrets={}) as engine:
        held = await engine.start(project / "flow.yaml", {"name": "slow"})
        assert await (await engine.start(project / "flow.yaml")).result() == {"said": "first Ann"}

        write(project, greet("second"))
        assert await (await engine.start(project / "flow.yaml")).result() == {"said": "second Ann"}
        assert held.status == "running"
        write(project, "this is no Python")
        assert await (await engine.start(project / "flow.yaml")).result() == {"said": "second Ann"}
        (project / "plugins" / "greet.py").unlink()
        registry.of_project(project).look_now()
        with pytest.raises(FlowError, match="FB206"):
            await engine.start(load(project / "flow.yaml"))
        await held.cancel()


def test_a_change_is_seen_without_being_told(project: Path) -> None:
    write(project, greet("first"))
    first = registry.made("tasks", "greet", project)
    (project / "plugins" / "greet.py").write_text(greet("other"))

    until = time.monotonic() + 20 * LOOK_AGAIN
    while registry.made("tasks", "greet", project) is first:
        assert time.monotonic() < until
        time.sleep(LOOK_AGAIN / 10)


def test_a_new_effect_is_the_one_that_plans_are_made_with(project: Path) -> None:
    write(project, greet(effect="write"))
    assert "effect: write" in explained(project)

    write(project, greet(effect="pure"))

    assert "effect: pure" in explained(project)


def explained(project: Path) -> str:
    from flowbuilder.cli.explaining import explain_flow
    from flowbuilder.cli.workspace import workspace_at

    return explain_flow(workspace_at(project), load(project / "flow.yaml").flow, {}, "text")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "from flowbuilder.core.catalogue import TaskSpec\nTaskSpec(name='greet'\n",
            "greet.py:2: '(' was never closed",
        ),
        ("import nowhere_to_be_found\n", "greet.py:1: ModuleNotFoundError"),
        (greet().replace("async def run", "async def walk"), "it has neither 'run' nor 'work'"),
        (greet().replace('name="greet",', 'name="greet", nonsense=1,'), "Unexpected keyword argument"),
    ],
)
async def test_a_broken_plug_in_is_left_out_and_whoever_needs_it_is_told_why(
    project: Path, text: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(project, text)
    (project / "other.yaml").write_text("flow: other\ntasks:\n  a: {type: log, with: {message: hi}}\n")

    assert (await run_flow(load(project / "other.yaml"))).status == "succeeded"
    with pytest.raises(FlowError) as wrong:
        load(project / "flow.yaml")

    (found,) = wrong.value.diagnostics
    assert found.code == "FB297"
    assert why in found.what
    assert "is left out" in caplog.text


async def test_two_projects_may_each_have_a_type_of_the_same_name(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / ".flowbuilder").mkdir(parents=True)
    (other / "flow.yaml").write_text(FLOW)
    write(project, greet("here"))
    write(other, greet("there"))

    assert (await run_flow(load(project / "flow.yaml"))).outputs == {"said": "here Ann"}
    assert (await run_flow(load(other / "flow.yaml"))).outputs == {"said": "there Ann"}


async def test_what_comes_with_the_engine_cannot_be_replaced(project: Path) -> None:
    write(project, greet().replace('"greet"', '"set"'))
    (project / "set.yaml").write_text(
        "flow: a\ntasks:\n  a: {type: set, with: 1}\noutputs: {a: '${{ tasks.a.output }}'}\n"
    )

    assert (await run_flow(load(project / "set.yaml"))).outputs == {"a": 1}


EXECUTOR = """
class Loud:
    async def run(self, work):
        value = work.function(*work.args, **work.kwargs)
        return f"{value} by {work.name}, attempt {work.call.attempt}"

PLUGINS = {"executors": {"loud": Loud}}
"""


async def test_an_executor_runs_the_functions_that_name_it(project: Path) -> None:
    write(project, EXECUTOR, "loud.py")
    (project / "work.py").write_text(
        "def double(n):\n    if n < 0: raise ValueError('negative')\n    return n * 2\n"
    )
    text = "flow: a\ninputs: {n: {type: integer}}\ntasks:\n  a: {type: python, executor: loud, with: {call: 'work:double', args: ['${{ inputs.n }}']}}\noutputs: {a: '${{ tasks.a.output }}'}\n"
    (project / "a.yaml").write_text(text)

    assert (await run_flow(load(project / "a.yaml"), {"n": 4})).outputs == {
        "a": "8 by work:double, attempt 1"
    }
    failed = await run_flow(load(project / "a.yaml"), {"n": -1})
    assert failed.error is not None
    assert failed.error["kind"] == "python.ValueError"
    (project / "b.yaml").write_text(text.replace("loud", "quiet"))
    with pytest.raises(FlowError, match="FB209"):
        load(project / "b.yaml")


SECRETS = """
class Vault:
    def __call__(self, name):
        if name == "BROKEN":
            raise RuntimeError("the value is s3cr3t")
        return {"TOKEN": "from-the-vault", "BOTH": "vault"}.get(name)

PLUGINS = {"secrets": {"vault": Vault()}}
"""


def test_a_provider_is_asked_for_secrets_that_nobody_else_has(project: Path) -> None:
    write(project, SECRETS, "vault.py")
    secrets = Secrets(None, {"FLOWBUILDER_SECRET_BOTH": "environment"}, project)

    assert (secrets.get("TOKEN"), secrets.get("BOTH"), secrets.get("OTHER")) == (
        "from-the-vault",
        "environment",
        None,
    )
    with pytest.raises(SecretsUnreadable, match="RuntimeError") as wrong:
        secrets["BROKEN"]
    assert "s3cr3t" not in str(wrong.value)


async def test_a_flow_gets_a_secret_of_a_provider(project: Path) -> None:
    write(project, SECRETS, "vault.py")
    (project / "s.yaml").write_text(
        "flow: s\nsecrets: [TOKEN]\ntasks:\n  a: {run: 'echo got $T', env: {T: '${{ secrets.TOKEN }}'}}\noutputs: {a: '${{ tasks.a.output.stdout }}'}\n"
    )

    async with Engine(project / "runs.db", Config()) as engine:
        run = await engine.start(project / "s.yaml")
        assert await run.result() == {"a": "got ***\n"}


STORE = """
from flowbuilder.storage.memory import MemoryStore

opened = []

def open_store(url):
    opened.append(url)
    return MemoryStore()

PLUGINS = {"stores": {"demo": open_store}}
"""


async def test_a_store_is_opened_by_the_scheme_of_its_url(project: Path) -> None:
    write(project, STORE, "demo_store.py")
    (project / "flowbuilder.toml").write_text('[store]\npath = "demo://somewhere/runs"\n')
    (project / "a.yaml").write_text(
        "flow: a\ntasks:\n  a: {type: set, with: 1}\noutputs: {a: '${{ tasks.a.output }}'}\n"
    )
    config = read_settings(find_project(project), {}).config
    place = store_path(project, config, {})

    assert str(place) == "demo://somewhere/runs"
    assert place.parent == project / ".flowbuilder"
    async with Engine(place, config, secrets={}, clock=FakeClock()) as engine:
        assert await (await engine.start(project / "a.yaml")).result() == {"a": 1}
    with pytest.raises(Exception, match="no plug-in opens nowhere://"):
        make_store("nowhere://x")


FRONT_END = '''
"""One task a line: `name = expression`."""
from flowbuilder.runtime.front_ends import FlowText


class Lines:
    def read(self, path):
        text, lines = f"flow: {path.stem}\\ntasks:\\n", [1, 1]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            name, _, value = line.partition("=")
            if not _:
                error = ValueError(f"line {number} has no '='")
                error.lineno = number
                raise error
            text += f"  {name.strip()}: {{type: set, with: '${{{{ {value.strip()} }}}}'}}\\n"
            lines.append(number)
        text += f"outputs: {{last: '${{{{ tasks.{name.strip()}.output }}}}'}}\\n"
        return FlowText(text, lambda line, column: (lines[line - 1], 1) if line <= len(lines) else None)


PLUGINS = {"frontends": {"lines": Lines}}
'''


async def test_a_front_end_reads_files_with_its_suffix(project: Path) -> None:
    write(project, FRONT_END, "lines.py")
    (project / "sum.lines").write_text("a = 1 + 1\nb = tasks.a.output * 21\n")
    (project / "wrong.lines").write_text("a = 1\nb = tasks.aa.output\n")
    (project / "worse.lines").write_text("a = 1\nnothing\n")
    (project / "outer.yaml").write_text(
        "flow: outer\ntasks:\n  sub: {type: flow, with: {path: sum.lines}}\noutputs: {n: '${{ tasks.sub.output.last }}'}\n"
    )

    assert (await run_flow(load(project / "sum.lines"))).outputs == {"last": 42}
    assert (await run_flow(load(project / "outer.yaml"))).outputs == {"n": 42}
    with pytest.raises(FlowError, match=r"wrong\.lines:2:1: FB310"):
        load(project / "wrong.lines")
    with pytest.raises(FlowError, match=r"worse\.lines:2:1: FB101 .*line 2 has no '='"):
        load(project / "worse.lines")


async def test_a_flow_in_yaml_calls_a_flow_in_python(project: Path) -> None:
    (project / "py_flows.py").write_text(
        "from flowbuilder import flow, call\n@flow\ndef add_one(n: int) -> int:\n    return call('set', n + 1)\n"
    )
    (project / "outer.yaml").write_text(
        "flow: outer\ntasks:\n  sub: {type: flow, with: {path: 'py_flows.py:add_one', inputs: {n: 2}}}\noutputs: {n: '${{ tasks.sub.output.result }}'}\n"
    )

    assert (await run_flow(load(project / "outer.yaml"))).outputs == {"n": 3}


def test_plug_ins_are_listed_and_checked(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project, greet())
    write(project, "import nowhere_to_be_found\n", "broken.py")
    write(project, EXECUTOR, "loud.py")

    listed = answer(capsys, "plugins", "list", "--json")["plugins"]
    shown = {(each["kind"], each["name"], each["from"], each["usable"]) for each in listed}
    assert shown >= {
        ("tasks", "greet", "plugins/greet.py", True),
        ("tasks", "broken", "plugins/broken.py", False),
        ("executors", "loud", "plugins/loud.py", True),
    }
    everything = answer(capsys, "plugins", "list", "--all", "--json")["plugins"]
    assert {"http", "process", "sqlite", "py", "greet"} <= {each["name"] for each in everything}
    checked = answer(capsys, "plugins", "check", "--json", code=1)["plugins"]
    problems = {each["name"]: each["problems"] for each in checked}
    assert problems["loud"] == []
    assert problems["greet"] == [
        "it has no page: set `docs` to a Markdown file, or its text",
        "it has no example: set `example` to a flow in YAML, or its text",
    ]
    assert "ModuleNotFoundError" in problems["broken"][0]
    assert main(["plugins", "check", "nothing"]) == 5


def answer(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    assert main(list(words)) == code
    return json.loads(capsys.readouterr().out)


def test_who_asks_while_the_folder_is_read_for_the_first_time_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "greet.py").write_text(GREET.format(effect="read", more="pass", word="hi"))
    plugins = ProjectPlugins(tmp_path)
    refresh, reading, go = plugins._refresh, threading.Event(), threading.Event()

    def slow() -> list[News]:
        reading.set()
        assert go.wait(20)
        return refresh()

    monkeypatch.setattr(plugins, "_refresh", slow)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(plugins.get, "tasks", "greet")
        assert reading.wait(20)
        second = threads.submit(plugins.get, "tasks", "greet")
        done, _ = wait([second], timeout=0.05)
        go.set()
        assert not done
        assert first.result(20) is not None
        assert second.result(20) is not None


HEAVY = """
import os

from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.tasks.api import Work


def crunch(n):
    return {{"sum": sum(range(n)) + {more}, "pid": os.getpid()}}


class Heavy:
    spec = TaskSpec(name="heavy", summary="S.", params={{"type": "object"}}, output={{}}, effect="pure")

    def work(self, call):
        return Work(crunch, (call.params["n"],), {{}}, f"{{crunch.__module__}}:crunch", call)
"""


async def test_functions_of_a_plug_in_run_in_processes_too_and_are_the_new_ones_there(project: Path) -> None:
    (project / "heavy.yaml").write_text(
        "flow: heavy\ntasks:\n  here: {type: heavy, with: {n: 5}}\n"
        "  there: {type: heavy, executor: process, with: {n: 5}}\n"
        "  bounded: {type: heavy, timeout: 20s, with: {n: 5}}\n"
        "outputs: {all: ['${{ tasks.here.output }}', '${{ tasks.there.output }}', '${{ tasks.bounded.output }}']}\n"
    )
    sums = []
    async with Engine.in_memory() as engine:
        for more in (0, 100):
            write(project, HEAVY.format(more=more), "heavy.py")
            await asyncio.sleep(LOOK_AGAIN)  # a worker looks for itself whether the file has changed
            run = await engine.start(project / "heavy.yaml")
            found = (await run.result())["all"]
            assert found[0]["pid"] == os.getpid() != found[1]["pid"]
            sums.append({one["sum"] for one in found})

    assert sums == [{10}, {110}]


CRUNCH = """
from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.tasks.api import Work


def crunch(n):
    return sum(range(n))


class Crunch:
    spec = TaskSpec(name="crunch", summary="Add up.", params={"type": "object"}, output={}, effect="pure")

    def work(self, call):
        return RETURNED
"""
CRUNCHES = """
flow: t
tasks: {a: {type: crunch, executor: EXECUTOR, with: {n: 5}}}
outputs: {a: "${{ tasks.a.output }}"}
"""


@pytest.mark.parametrize("executor", ["auto", "inline", "thread", "process"])
async def test_a_type_says_which_function_the_engine_is_to_place(project: Path, executor: str) -> None:
    write(project, CRUNCH.replace("RETURNED", "Work.of(call, crunch, call.params['n'])"))
    (project / "flow.yaml").write_text(CRUNCHES.replace("EXECUTOR", executor))

    assert (await run_flow(load(project / "flow.yaml"))).outputs == {"a": 10}


async def test_a_type_whose_work_gives_something_else_is_told_what_to_write(project: Path) -> None:
    write(project, CRUNCH.replace("RETURNED", "lambda: 1"))
    (project / "flow.yaml").write_text(CRUNCHES.replace("EXECUTOR", "auto"))

    view = await run_flow(load(project / "flow.yaml"))

    assert view.error is not None
    assert view.error["kind"] == "output.type"
    assert "Work.of(call, function" in view.error["message"]


def test_a_front_end_is_named_without_its_dot(project: Path) -> None:
    write(project, "class Ini:\n    def read(self, path): ...\n\nPLUGINS = {'frontends': {'.ini': Ini()}}\n")

    (found,) = registry.of_project(project).all()

    assert (found.made, found.why) == (None, "a suffix stands without its dot: write 'ini'")
