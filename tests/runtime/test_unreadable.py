"""Runs whose plug-in has gone: they are looked at, cancelled, and carried on when it comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine, Reader, load
from flowbuilder.plugins import registry
from flowbuilder.testing.fake_clock import FakeClock
from world import until

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = """
from flowbuilder.core.catalogue import TaskSpec


class Hello:
    spec = TaskSpec(name="hello", summary="Say hello", params={"type": "object"}, output={}, effect="read")

    async def run(self, call):
        return "hello"
"""
FLOW = """
flow: waiter
tasks:
  a: {type: hello, with: {}}
  s: {needs: [a], type: wait, with: {signal: go}}
  b: {needs: [s], type: hello, with: {}}
outputs: {b: "${{ tasks.b.output }}"}
"""


@pytest.fixture
async def waiting(tmp_path: Path) -> str:
    """A run that waits in the store, whose plug-in is deleted."""
    (tmp_path / "flowbuilder.toml").touch()
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/hello.py").write_text(PLUGIN)
    (tmp_path / "waiter.yaml").write_text(f"description: {tmp_path}{FLOW}")  # a version of its own
    async with Engine(tmp_path / "store.db") as engine:
        run = await engine.start(load(tmp_path / "waiter.yaml"))
        await until(lambda: not engine.core.machine.runs.live)
    (tmp_path / "plugins/hello.py").unlink()
    registry.forget()  # what this process knows; the next one finds no plug-in
    return run.id


async def test_what_was_done_can_be_looked_at(tmp_path: Path, waiting: str) -> None:
    with Reader(tmp_path / "store.db") as reader:
        view = reader.show(waiting)

        assert (view.status, view.tasks["a"].output) == ("waiting", "hello")
        assert "a" in [bar.path for bar in reader.timeline(view)]


async def test_it_can_be_cancelled_and_says_that_nothing_was_undone(tmp_path: Path, waiting: str) -> None:
    async with Engine(tmp_path / "store.db") as engine:
        run = await engine.get(waiting)
        assert await run.cancel("not needed")
        view = await run.wait(20)

        assert view.status == "cancelled"
        assert view.error is not None
        assert view.error["message"].startswith("not needed; nothing was undone, as its flow cannot be read")
        assert "FB206" in view.error["message"]
    with Reader(tmp_path / "store.db") as reader:
        assert "cannot be carried on" in reader.logs(waiting)[0][1].message


async def test_it_goes_on_when_the_plug_in_comes_back(tmp_path: Path, waiting: str) -> None:
    clock = FakeClock()
    async with Engine(tmp_path / "store.db", clock=clock) as engine:
        run = await engine.get(waiting)
        await engine.signal(run.id, "go", anyway=True)
        machine = engine.core.machine
        await until(lambda: machine.made("unreadable") and not machine.recovery.busy)
        (tmp_path / "plugins/hello.py").write_text(PLUGIN)
        registry.forget()
        clock.advance(60)

        assert await run.result(20) == {"b": "hello"}
