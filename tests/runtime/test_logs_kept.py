"""What tasks write is kept up to a limit, the oldest lines dropped, and that said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine, load
from flowbuilder.runtime.config import LimitsConfig

if TYPE_CHECKING:
    from collections.abc import Callable

FLOW = """
flow: talks
tasks:
  a: {type: script, with: {language: bash, code: 'for n in $(seq 1 2000); do echo "line $n of many that are written here" >&2; done'}}
  b: {type: log, with: {message: short}}
"""


def in_a_file(folder: Path) -> str | Path:
    return folder / "store.db"


def in_memory(_folder: Path) -> str | Path:
    return ":memory:"


@pytest.mark.parametrize("where", [in_a_file, in_memory])
async def test_the_limit_of_the_settings_holds_for_each_task(
    where: Callable[[Path], str | Path], tmp_path: Path
) -> None:
    (tmp_path / "talks.yaml").write_text(FLOW)
    config = Config(limits=LimitsConfig(log_bytes=20_000))
    async with Engine(where(tmp_path), config) as engine:
        run = await engine.start(load(tmp_path / "talks.yaml"))
        assert (await run.wait(60)).status == "succeeded"
        logs = [line for _, line in await engine.logs(run.id)]

    of_a = [line.message for line in logs if line.task == "a"]
    assert 50 < len(of_a) < 1000
    assert "earlier lines were dropped" in of_a[0]
    assert "line 2000 of many" in of_a[-1]
    assert [line.message for line in logs if line.task == "b"] == ["short"]
