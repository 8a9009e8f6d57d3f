"""How much of what a task writes is kept."""

import msgspec
import pytest

from flowbuilder import Config, Engine
from flowbuilder.testing.flows import load_text

FLOW = """
flow: talkative
tasks:
  talk:
    for_each: ${{ range(40) }}
    concurrency: 1
    type: log
    with: {message: "${{ item }} ${{ 'x' | ljust(1000) }}"}
"""


@pytest.mark.parametrize("place", [":memory:", "file.db"])
async def test_the_setting_bounds_the_log_of_a_task(place: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = msgspec.convert({"limits": {"log_bytes": 2000}}, Config)
    async with Engine(place, config) as engine:
        run = await engine.start(load_text(FLOW))
        await run.result()

        lines = [line for _, line in await engine.logs(run.id, "talk[7]")]
        assert len(lines) == 1  # each element has a log of its own

    async with Engine(place, config) as engine:
        flow = "flow: counting\ntasks: {talk: {run: seq 1000}}\n"
        run = await engine.start(load_text(flow))
        await run.result()

        lines = [line for _, line in await engine.logs(run.id, "talk")]
        assert "earlier lines were dropped" in lines[0].message
        assert lines[-1].message.endswith("1000")
        assert sum(len(line.message) for line in lines) < 2200
