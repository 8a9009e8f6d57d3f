"""A signal that nothing in a run's flow waits for is refused, with the nearest name that something does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine, NotFound, Reader
from flowbuilder.core.errors import RunEnded
from flowbuilder.testing.flows import load_text
from world import until

if TYPE_CHECKING:
    from pathlib import Path

FLOW = """
flow: order
inputs: {name: {type: string, default: odd}}
tasks:
  shipped: {type: wait, with: {signal: order.shipped, timeout: 1d}}
  inside:
    type: group
    for_each: [1]
    tasks:
      deep: {type: wait, with: {signal: deep}}
  broken:
    type: fail
    with: {message: no}
    on_error: {tasks: {mend: {type: wait, with: {signal: mended}}}}
finally:
  last: {type: wait, with: {signal: last, timeout: 1s}}
"""
ANY = FLOW + '  other: {type: wait, with: {signal: "${{ inputs.name }}"}}\n'


async def test_a_misspelt_name_is_refused_and_the_right_one_offered(engine: Engine) -> None:
    run = await engine.start(load_text(FLOW))
    with pytest.raises(NotFound) as caught:
        await run.signal("order.shiped", 1)
    assert "did you mean 'order.shipped'?" in str(caught.value)
    with pytest.raises(NotFound, match=r"waits for: deep, last, mended, order\.shipped"):
        await run.signal("entirely.different")
    await run.signal("order.shiped", 1, anyway=True)
    for name in ("deep", "last", "mended", "order.shipped"):  # with the last one the run ends
        await run.signal(name, 1)


async def test_what_a_flow_waits_for_by_a_computed_name_may_be_anything(engine: Engine) -> None:
    run = await engine.start(load_text(ANY))
    await run.signal("whatever")


async def test_a_flow_without_any_wait_says_so_and_an_ended_run_that_it_has_ended(engine: Engine) -> None:
    run = await engine.start(load_text("{flow: t, tasks: {a: {type: sleep, with: {for: 1d}}}}"))
    with pytest.raises(NotFound, match="waits for no signal"):
        await run.signal("go")
    await run.cancel()
    await until(lambda: run.id not in engine.core.machine.runs.live)
    with pytest.raises(RunEnded):
        await run.signal("go")


async def test_a_reader_refuses_it_too_also_for_a_run_that_there_is_not(tmp_path: Path) -> None:
    async with Engine(tmp_path / "s.db", Config()) as engine:
        run = await engine.start(load_text(FLOW))
    with Reader(tmp_path / "s.db") as reader:
        with pytest.raises(NotFound, match="did you mean 'deep'"):
            reader.signal(run.id, "deeep")
        assert reader.signal(run.id, "deeep", anyway=True)
        with pytest.raises(NotFound, match="no run"):
            reader.signal("01zzz", "deep")
