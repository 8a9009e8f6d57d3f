"""`workspace: true`: a folder for the tasks of a group, found again after a crash, gone at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowbuilder.core.errors import FlowError
from flowbuilder.sdk.engine import Engine
from flowbuilder.testing import load_text
from world import until

FLOW = """
flow: build
tasks:
  build:
    type: group
    workspace: true
    tasks:
      fetch: {run: 'pwd -P; echo source > code.txt; test "$PWD" = "$FLOWBUILDER_WORKSPACE"'}
      compile: {needs: [fetch], run: 'cat code.txt; ls'}
      script: {needs: [fetch], type: script, with: {language: python, code: "return open('code.txt').read()"}}
      file: {needs: [fetch], type: file, with: {read: code.txt}}
  after: {needs: [build], run: 'echo "${FLOWBUILDER_WORKSPACE-none}"; pwd -P'}
"""


async def ran(folder: Path, text: str, **inputs: Any) -> Any:
    async with Engine(folder / "store.db") as engine:
        view = await (await engine.start(load_text(text, folder), inputs)).wait()
    return view


def left(folder: Path) -> list[str]:
    place = folder / "store.db.workspaces"
    return sorted(str(path.relative_to(place)) for path in place.rglob("*")) if place.exists() else []


async def test_the_tasks_of_a_group_share_a_folder_that_is_gone_afterwards(tmp_path: Path) -> None:
    view = await ran(tmp_path, FLOW)

    assert view.status == "succeeded", view.error
    output = view.tasks["build"].output
    assert output["compile"]["stdout"] == "source\ncode.txt\n"
    assert output["script"] == output["file"] == "source\n"
    assert Path(output["fetch"]["stdout"].strip()).is_relative_to(tmp_path)
    assert view.tasks["after"].output["stdout"] == f"none\n{tmp_path}\n"
    async with Engine(tmp_path / "store.db"):
        await until(lambda: left(tmp_path) == [])


async def test_each_element_and_each_attempt_has_a_folder_of_its_own(tmp_path: Path) -> None:
    view = await ran(
        tmp_path,
        """
flow: build
tasks:
  each:
    for_each: {"a/b": 1, "..": 2, "é": 3}
    type: group
    workspace: true
    retry: {attempts: 2, delay: 10ms}
    tasks:
      look: {run: 'ls; touch seen; echo "$PWD"'}
      fail: {needs: [look], run: 'case "$PWD" in *1) exit 1;; esac; test -f seen'}
    outputs: {look: "${{ tasks.look.output.stdout }}"}
""",
    )

    seen = [each["look"] for each in view.tasks["each"].output.values()] if view.status == "succeeded" else []
    assert len(set(seen)) == 3, view.error
    assert not any(text.startswith("seen") for text in seen)


async def test_a_folder_is_there_again_when_the_run_is_carried_on(tmp_path: Path) -> None:
    (tmp_path / "wait").touch()
    flow = load_text(
        """
flow: build
tasks:
  build:
    type: group
    workspace: true
    tasks:
      first: {run: 'echo kept > kept.txt; pwd'}
      sleep: {type: sleep, needs: [first], with: {for: 700ms}}
      last: {needs: [sleep], run: 'cat kept.txt; pwd'}
""",
        tmp_path,
    )
    async with Engine(tmp_path / "store.db") as engine:
        run = await engine.start(flow)
        async for event in run.events():
            if getattr(event, "path", None) == "build.sleep" or (
                "first" in str(event) and "succeeded" in str(event)
            ):
                break
    assert any(name.endswith("kept.txt") for name in left(tmp_path))

    async with Engine(tmp_path / "store.db") as engine:
        view = await (await engine.get(run.id)).wait()

    assert view.status == "succeeded", view.error
    output = view.tasks["build"].output
    assert output["last"]["stdout"] == "kept\n" + output["first"]["stdout"]


async def test_a_workspace_of_what_is_no_group_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match="belongs to a task of type 'group'"):
        load_text("flow: x\ntasks:\n  a: {run: 'true', workspace: true}\n", tmp_path)
