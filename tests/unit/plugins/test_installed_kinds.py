"""A package with plug-ins of all five kinds, some of them broken or with names that are taken: as a stranger has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MODULE = """
from flowbuilder.core.catalogue import TaskSpec
from flowbuilder.storage.memory import MemoryStore


class Shout:
    spec = TaskSpec(name="shout", summary="Shouts.", params={"type": "object"}, output={}, effect="pure")

    async def run(self, call):
        return call.params["x"].upper()


class Http:
    spec = TaskSpec(name="http", summary="No.", params={"type": "object"}, output={}, effect="pure")

    async def run(self, call):
        return 1


class Leaves:
    def __init__(self):
        raise SystemExit(3)


class Front:
    def read(self, path):
        return f"flow: {path.stem}\\ntasks: {{a: {{type: set, with: 5}}}}\\noutputs: {{v: '${{{{ tasks.a.output }}}}'}}\\n"


class Gpu:
    async def run(self, work):
        return work.function(*work.args, **work.kwargs) + 1000


def secret(name):
    return "hush-hush-from-plugin" if name == "TOK" else None


def store(url):
    return MemoryStore()
"""
ENTRIES = """
[flowbuilder.tasks]
shout = fivekinds:Shout
http = fivekinds:Http
leaves = fivekinds:Leaves
gone = not_there:Thing
[flowbuilder.frontends]
mini = fivekinds:Front
yaml = fivekinds:Front
[flowbuilder.executors]
gpu = fivekinds:Gpu
thread = fivekinds:Gpu
[flowbuilder.secrets]
vault = fivekinds:secret
environment = fivekinds:secret
[flowbuilder.stores]
fives = fivekinds:store
sqlite = fivekinds:store
"""
FLOW = """
flow: five
secrets: [TOK]
tasks:
  shouted: {type: shout, with: {x: hello}}
  placed: {type: python, executor: gpu, with: {call: "fn:size", args: {t: "${{ tasks.shouted.output }}"}}}
  told: {run: 'printf %s "$T" | wc -c', env: {T: "${{ secrets.TOK }}"}}
  child: {type: flow, with: {path: tiny.mini}}
outputs:
  all: ["${{ tasks.shouted.output }}", "${{ tasks.placed.output }}", "${{ tasks.told.output.stdout | int }}", "${{ tasks.child.output.v }}"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    info = tmp_path / "site" / "fivekinds-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fivekinds\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    (tmp_path / "site" / "fivekinds.py").write_text(MODULE)
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / "five.yaml").write_text(FLOW)
    (folder / "fn.py").write_text("def size(t):\n    return len(t)\n")
    (folder / "tiny.mini").write_text("anything\n")
    return folder


def flowbuilder(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FLOWBUILDER_")}
    environ["PYTHONPATH"] = str(project.parent / "site")
    command = [sys.executable, "-m", "flowbuilder.cli.main", *words]
    return subprocess.run(
        command, cwd=project, env=environ, capture_output=True, text=True, timeout=120, check=False
    )


def listed(project: Path) -> dict[tuple[str, str], Any]:
    found = json.loads(flowbuilder(project, "plugins", "list", "--json").stdout)["plugins"]
    return {(each["kind"], each["name"]): each for each in found}


def test_a_flow_uses_what_all_kinds_of_plug_ins_add(project: Path) -> None:
    done = flowbuilder(project, "run", "five.yaml", "--json", "-q")
    elsewhere = flowbuilder(project, "run", "five.yaml", "--store", "fives://anywhere")

    assert json.loads(done.stdout)["outputs"] == {"all": ["HELLO", 1005, 21, 5]}, done.stderr
    assert elsewhere.returncode == 0
    assert "--store fives://anywhere" in elsewhere.stderr


def test_what_is_broken_or_has_a_name_that_is_taken_is_listed_with_the_reason(project: Path) -> None:
    found = listed(project)

    usable = {kind_and_name for kind_and_name, each in found.items() if each["usable"]}
    assert usable == {
        ("tasks", "shout"),
        ("frontends", "mini"),
        ("executors", "gpu"),
        ("secrets", "vault"),
        ("stores", "fives"),
    }
    taken = {("tasks", "http"), ("frontends", "yaml"), ("executors", "thread"), ("stores", "sqlite")}
    for one in (*taken, ("secrets", "environment")):
        assert "comes with the engine and cannot be replaced" in found[one]["why"]
    assert "SystemExit: 3" in found["tasks", "leaves"]["why"]
    assert "not_there" in found["tasks", "gone"]["why"]


def test_who_claims_a_name_of_the_engines_is_not_asked(project: Path) -> None:
    (project / "taken.yaml").write_text(
        "flow: taken\nsecrets: [OTHER]\ntasks:\n  a: {type: http, with: {url: 'http://127.0.0.1:1/'}}\n"
        "  b: {type: python, executor: thread, with: {call: 'fn:size', args: {t: abc}}}\n"
    )

    done = flowbuilder(project, "run", "taken.yaml", "--json", "-q")

    assert (
        "OTHER" in done.stderr
    )  # nobody provides it; a provider with a taken name keeps nobody from being asked
    (project / "taken.yaml").write_text(
        (project / "taken.yaml").read_text().replace("secrets: [OTHER]\n", "")
    )
    tasks = json.loads(flowbuilder(project, "run", "taken.yaml", "--json", "-q").stdout)["tasks"]
    assert tasks["a"]["error"]["kind"] == "http.connect"
    assert tasks["b"]["output"] == 3
