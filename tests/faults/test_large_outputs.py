"""An output of 200 MB: it goes by the blob store, or fails with the limit named; the engine lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine, load
from flowbuilder.runtime.config import LimitsConfig

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 200 * 1000 * 1000
FLOW = f"""
flow: large
tasks:
  a: {{type: python, with: {{call: "large:text", args: [{SIZE}]}}}}
  b: {{type: set, with: "${{{{ tasks.a.status }}}}"}}
outputs: {{b: "${{{{ tasks.b.output }}}}"}}
"""


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    (tmp_path / "large.py").write_text("def text(size):\n    return 'x' * size\n")
    (tmp_path / "large.yaml").write_text(FLOW)
    return tmp_path / "large.yaml"


@pytest.mark.timeout(180)
async def test_below_the_limit_it_is_kept_aside_and_read_again(flow: Path, tmp_path: Path) -> None:
    async with Engine(tmp_path / "store.db", Config()) as engine:
        run = await engine.start(load(flow))
        assert await run.result(60) == {"b": "succeeded"}
    assert (tmp_path / "store.db").stat().st_size < 10_000_000

    async with Engine(tmp_path / "store.db", Config()) as engine:
        view = await engine.show(run.id)
        assert len(view.tasks["a"].output) == SIZE


async def test_above_the_limit_it_fails_its_task_and_names_the_limit(flow: Path, tmp_path: Path) -> None:
    config = Config(limits=LimitsConfig(output_bytes=100_000_000))
    async with Engine(tmp_path / "store.db", config) as engine:
        run = await engine.start(load(flow))
        view = await run.wait(60)
        error = view.tasks["a"].error or {}
        assert error["kind"] == "output.size"
        assert "100,000,000" in error["message"]
        assert "limits.output_bytes" in error["message"]

        again = await engine.start(load(flow))
        assert (await again.wait(60)).status == "failed", "the engine lives on"
    assert not any(path.stat().st_size > 1000 for path in (tmp_path / "store.db.blobs").rglob("*"))
