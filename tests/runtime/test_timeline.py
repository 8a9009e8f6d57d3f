"""The stretches of time of a run's tasks, as `runs show` draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.runtime.timeline import timeline
from flowbuilder.testing.flows import load_text

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder import Engine
    from world import World

FLOW = """
flow: t
tasks:
  first:
    type: python
    with: {call: act, args: {name: first}}
    undo: {type: python, with: {call: act, args: {name: undo}}}
  stage:
    type: group
    needs: [first]
    tasks:
      inner: {type: python, with: {call: act, args: {name: inner}}}
  bad: {type: fail, needs: [stage], with: {message: no}}
on_failure:
  alert: {type: python, with: {call: act, args: {name: alert}}}
"""


async def test_a_task_is_queued_only_from_when_it_could_have_begun(
    engine: Engine, world: World, tmp_path: Path
) -> None:
    flow = load_text(FLOW, tmp_path)
    run = await engine.start(flow)
    await run.wait()
    view = await engine.show(run.id)
    store = engine.core.machine.store

    bars = {bar.path: bar for bar in timeline(view, store.journal(run.id), flow.plan, 0.0)}

    assert world.calls == ["first", "inner", "undo", "alert"]
    for path, bar in bars.items():
        around, _, _ = path.rpartition(".")
        earliest = bars[around].segments[-1].start if around else view.started_at
        assert earliest is not None
        assert bar.segments[0].start >= earliest, path
    for handler in ("first~undo", "on_failure:alert"):
        assert [part.kind for part in bars[handler].segments] == ["running"]
    assert bars["on_failure:alert"].segments[0].start >= bars["first~undo"].end
