"""A secret's value is nowhere but in the field that it was meant for."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine, FlowBuilderError, Reader, load
from flowbuilder.tasks.python import name_function

if TYPE_CHECKING:
    from pathlib import Path

VALUE = "s3cret-value-of-some-length"


def leak(_how: str = "") -> str:
    raise RuntimeError(f"cannot log in with {VALUE}")


name_function("leak", leak)


def files(folder: Path) -> list[Path]:
    """Return all that lies in a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


FLOW = """
flow: secretive
secrets: [TOKEN]
tasks:
  shown: {env: {T: "${{ secrets.TOKEN }}"}, run: 'echo "it is $T"; echo "$T" | base64; echo "to err: $T" >&2'}
  copied: {type: set, with: "${{ tasks.shown.output.stdout }}"}
  raised: {type: python, needs: [shown], on_error: continue, with: {call: leak}}
  logged: {type: log, needs: [shown], with: {message: "${{ tasks.shown.output.stdout }}", data: {x: "${{ tasks.shown.output.stderr }}"}}}
outputs: {all: "${{ tasks.copied.output }}"}
"""


async def test_it_is_masked_in_outputs_logs_errors_and_on_disk(tmp_path: Path) -> None:
    (tmp_path / "secretive.yaml").write_text(FLOW)
    async with Engine(tmp_path / "store.db", Config(), secrets={"TOKEN": VALUE}) as engine:
        run = await engine.start(load(tmp_path / "secretive.yaml"))
        view = await run.wait(30)
        logs = await engine.logs(run.id)

    assert view.status == "succeeded", view.error
    assert "it is ***" in view.outputs["all"]
    assert VALUE not in str(view.to_json())
    assert VALUE not in str(logs)
    assert "***" in str(logs)
    assert "***" in (view.tasks["raised"].error or {})["message"]
    for secret in (VALUE.encode(), base64.b64encode(VALUE.encode())[:-4]):
        for file in files(tmp_path):
            assert secret not in file.read_bytes(), file.name


async def test_a_secret_that_nobody_provides_is_named_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "secretive.yaml").write_text(FLOW)
    async with Engine(tmp_path / "store.db", Config(), secrets={}) as engine:
        with pytest.raises(FlowBuilderError, match="TOKEN"):
            await engine.start(load(tmp_path / "secretive.yaml"))
    with Reader(tmp_path / "store.db") as reader:
        assert reader.runs() == []
