"""What a sensitive task has another flow do is as sensitive as that task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine, Reader
from flowbuilder.runtime.encryption import new_key
from flowbuilder.storage.api import RunFilter
from flowbuilder.testing.flows import load_text
from secrecy import contents

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

TOKEN = "tok-5f3b9c-Ünïcode"
CHILD = """
flow: child
inputs: {given: {type: string}, more: {type: array, default: []}}
tasks:
  first: {type: python, with: {call: act, args: {name: first, value: "${{ inputs.given }}-1"}}}
  each: {for_each: [1, 2], type: set, with: "${{ tasks.first.output }}-${{ item }}"}
  deep:
    type: group
    tasks: {inner: {type: set, with: "${{ tasks.each.output }}"}}
  said: {type: log, with: {message: "it is ${{ inputs.given }}"}}
  held: {type: python, with: {call: hold, args: {name: held, value: "${{ tasks.deep.output.inner }}"}}}
  undone:
    type: python
    with: {call: act, args: {name: done}}
    undo: {type: python, with: {call: act, args: {name: undone, value: "${{ inputs.given }}"}}}
outputs: {all: "${{ tasks.held.output }}", large: "${{ inputs.given * 1 if false else inputs.more }}"}
"""
PARENT = """
flow: parent
inputs: {p: {type: string, sensitive: true}}
tasks:
  sub: {type: flow, sensitive: true, with: {path: child.yaml, inputs: {given: "${{ inputs.p }}", more: ["${{ inputs.p }}"]}}}
  used: {type: python, with: {call: act, args: {name: "${{ tasks.sub.output.all[1] }}"}}}
"""


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The installation's key."""
    key = new_key()
    monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", key)
    return key


async def test_no_byte_of_it_lies_in_the_run_that_it_starts(world: World, tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "child.yaml").write_text(CHILD)
    flow = load_text(PARENT, tmp_path / "flows")
    path = tmp_path / "store.db"
    async with Engine(path) as engine:
        run = await engine.start(flow, {"p": TOKEN})
        await world.begun("held")
        assert TOKEN.encode() not in contents(tmp_path)
    async with Engine(path) as engine:  # the one before it is gone
        world.let_go("held")
        view = await (await engine.get(run.id)).wait(20)
        (child,) = await engine.runs(RunFilter(flow="child"))
        result = await (await engine.get(child.id)).result(20)
        lines = [log.message for _, log in await engine.logs(child.id)]
        again = await (await engine.rerun(child.id)).wait(20)

    assert view.status == "succeeded", view.error
    assert f"{TOKEN}-1-2" in world.calls
    assert world.count("first") == 2  # once, and once more in the rerun
    assert result == "***"
    assert lines == ["***"]
    assert again.outputs == "***"
    with Reader(path) as reader:
        shown = reader.show(child.id)
        assert shown.inputs == {"given": "***", "more": "***"}
        assert shown.outputs == "***"
        assert all(task.output in (None, "***", ["***", "***"]) for task in shown.tasks.values())
        assert TOKEN not in str(shown.to_json(full=True))
        assert TOKEN not in str(reader.show(again.run_id).to_json(full=True))
    assert TOKEN.encode() not in contents(tmp_path)


async def test_how_it_fails_does_not_show_it_either(world: World, tmp_path: Path) -> None:
    (tmp_path / "child.yaml").write_text("""
flow: child
inputs: {given: {type: string}, more: {type: array}}
tasks: {bad: {type: fail, with: {message: "no ${{ inputs.given }}", data: "${{ inputs.given }}"}}}
outputs: {x: "${{ {'a': 1}[inputs.given] }}"}
""")
    (tmp_path / "other.yaml").write_text("""
flow: other
inputs: {given: {type: string, maxLength: 2}, more: {type: array}}
tasks: {a: {type: set, with: 1}}
""")
    (tmp_path / "third.yaml").write_text("""
flow: third
inputs: {given: {type: string}, more: {type: array}}
tasks: {a: {type: set, with: 1}}
outputs: {x: "${{ {'a': 1}[inputs.given] }}"}
""")
    store = tmp_path / "store"
    store.mkdir()
    async with Engine(store / "s.db") as engine:
        for child in ("child", "other", "third"):
            run = await engine.start(
                load_text(PARENT.replace("child.yaml", f"{child}.yaml"), tmp_path), {"p": "pin-4711"}
            )
            view = await run.wait(20)
            assert view.status == "failed"
            assert "4711" not in str(view.to_json(full=True))

    assert b"4711" not in contents(store)


async def test_a_child_of_a_child_and_one_that_nobody_waits_for_are_sealed_too(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "deeper.yaml").write_text("""
flow: deeper
inputs: {given: {type: string}}
tasks: {kept: {type: set, with: "${{ inputs.given }}"}}
outputs: {x: "${{ tasks.kept.output }}"}
""")
    (tmp_path / "child.yaml").write_text("""
flow: child
inputs: {given: {type: string}, more: {type: array}}
tasks:
  below: {type: flow, with: {path: deeper.yaml, inputs: {given: "${{ inputs.given }}"}}}
  aside: {type: flow, with: {path: deeper.yaml, wait: false, inputs: {given: "${{ inputs.given }}"}}}
outputs: {all: ["${{ inputs.given }}", "${{ tasks.below.output.x }}"]}
""")
    store = tmp_path / "store"
    store.mkdir()
    async with Engine(store / "s.db") as engine:
        run = await engine.start(load_text(PARENT, tmp_path), {"p": TOKEN})
        view = await run.wait(20)
        for row in await engine.runs(RunFilter(flow="deeper")):
            assert (await (await engine.get(row.id)).wait(20)).outputs == "***"

    assert view.status == "succeeded", view.error
    assert world.calls == [TOKEN]
    assert TOKEN.encode() not in contents(store)
