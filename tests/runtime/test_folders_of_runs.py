"""The same text in two folders: a run is carried on in its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine, load
from flowbuilder.testing.fake_clock import FakeClock
from flowbuilder.testing.flows import finish, load_text

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

FLOW = """
flow: t
config: {place: {type: string}}
tasks:
  nap: {type: sleep, with: {for: 1d}, if: config.place != "now"}
  here: {run: cat here.txt, needs: [nap], run_when: all_done}
  sub: {type: flow, with: {path: below/child.yaml}}
  named: {type: flow, needs: [nap], run_when: all_done, with: {name: other}}
outputs: {all: "${{ [tasks.here.output.stdout, tasks.sub.output.here, tasks.named.output.here, config.place] }}"}
"""
CHILD = """
flow: %s
tasks:
  nap: {type: sleep, with: {for: 1d}}
  here: {run: cat here.txt, needs: [nap]}
outputs: {here: "${{ tasks.here.output.stdout }}"}
"""


def project(folder: Path) -> Path:
    """Make a project whose flows say where they are."""
    (folder / "below").mkdir(parents=True)
    name = folder.name
    (folder / "flowbuilder.toml").write_text(f'[profiles.dev.config]\nplace = "{name}"\n')
    (folder / "t.yaml").write_text(FLOW)
    (folder / "other.yaml").write_text(CHILD % "other")
    (folder / "below" / "child.yaml").write_text(CHILD % "child")
    (folder / "here.txt").write_text(name)
    (folder / "below" / "here.txt").write_text(f"{name}/below")
    return folder / "t.yaml"


def wanted(name: str) -> dict[str, list[str]]:
    return {"all": [name, f"{name}/below", name, name]}


@pytest.mark.parametrize("relative", [False, True])
async def test_each_run_is_carried_on_in_the_folder_that_it_was_started_from(
    relative: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, names = tmp_path / "store.db", ["one", "two", "three"]
    files = [project(tmp_path / name) for name in names]
    ids = []
    for file in files:  # each by an engine of its own, as `flowbuilder run` is one
        async with Engine(store) as engine:
            if relative:
                monkeypatch.chdir(file.parent)
                file = file.relative_to(file.parent)
            ids.append((await engine.start(load(file))).id)
    monkeypatch.chdir(tmp_path)

    clock = FakeClock(time.time())
    async with Engine(store, clock=clock) as engine:
        for name, run_id in zip(names, ids, strict=True):
            run = await engine.get(run_id)
            await finish(engine, run, clock)
            assert (await engine.show(run_id)).outputs == wanted(name)


async def test_a_rerun_and_a_fork_go_on_in_the_folder_of_the_run_before(tmp_path: Path, world: World) -> None:
    text = 'flow: u\ntasks: {here: {run: cat here.txt}}\noutputs: {here: "${{ tasks.here.output.stdout }}"}'
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "here.txt").write_text(name)
    async with Engine(tmp_path / "store.db") as engine:
        first = [await engine.start(load_text(text, tmp_path / name)) for name in ("one", "two")]
        assert [await run.result(20) for run in first] == [{"here": "one"}, {"here": "two"}]
    async with Engine(tmp_path / "store.db") as engine:
        forks = [await engine.fork(run.id, from_tasks=["here"]) for run in first]
        assert [await run.result(20) for run in forks] == [{"here": "one"}, {"here": "two"}]


async def test_a_sub_flow_named_from_the_root_lies_there_from_wherever_it_is_called(tmp_path: Path) -> None:
    library = tmp_path / "some" / "where" / "library"
    library.mkdir(parents=True)
    (library / "child.yaml").write_text(
        'flow: child\ntasks: {here: {run: cat here.txt}}\noutputs: {here: "${{ tasks.here.output.stdout }}"}\n'
    )
    (library / "here.txt").write_text("library")
    text = f"""
flow: u
tasks:
  named: {{type: flow, with: {{path: "{library}/child.yaml"}}}}
  beside: {{type: flow, with: {{path: child.yaml}}}}
outputs: {{all: "${{{{ [tasks.named.output.here, tasks.beside.output.here] }}}}"}}
"""
    names = ["one", "two/deeper"]
    for name in names:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "u.yaml").write_text(text)
        (tmp_path / name / "here.txt").write_text(name)
        (tmp_path / name / "child.yaml").write_text((library / "child.yaml").read_text())
    for _ in range(2):
        async with Engine(tmp_path / "store.db") as engine:
            for name in names:
                run = await engine.start(tmp_path / name / "u.yaml")
                assert await run.result(20) == {"all": ["library", name]}
