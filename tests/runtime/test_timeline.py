"""The stretches of time of a run's tasks, as `runs show` draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbuilder.core import records
from flowbuilder.runtime.timeline import timeline
from flowbuilder.testing.flows import finish, load_text

if TYPE_CHECKING:
    from pathlib import Path

    from flowbuilder import Engine
    from flowbuilder.testing.fake_clock import FakeClock
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

ROUNDS = """
flow: t
tasks:
  g:
    repeat: {until: "loop.index >= 2", max: 9, delay: 10s}
    type: group
    tasks:
      t:
        type: python
        with: {call: act, args: {name: t}}
        undo: {type: python, with: {call: act, args: {name: undo}}}
  bad: {type: fail, needs: [g], with: {message: no}}
"""


def journal(engine: Engine, run_id: str) -> list[records.Record]:
    batches = engine.core.machine.store.journal(run_id)
    return [record for batch in batches for record in records.decode(batch)]


async def test_all_rounds_of_a_loop_are_on_its_line_and_the_pauses_between_them_are_waits(
    engine: Engine, world: World, clock: FakeClock, tmp_path: Path
) -> None:
    flow = load_text(ROUNDS, tmp_path)
    run = await engine.start(flow)
    await finish(engine, run, clock)
    view = await engine.show(run.id)

    bars = {bar.path: bar for bar in timeline(view, journal(engine, run.id), flow.plan, 0.0)}

    assert world.calls == ["t", "t", "t", "undo", "undo", "undo"]
    assert [one.kind for one in bars["g"].segments] == ["running", "waiting"] * 2
    rounds = [one for one in bars["g.t"].segments if one.kind == "running"]
    assert len(rounds) == 3
    assert rounds[2].start - rounds[0].start >= 20
    assert not any(one.kind == "queued" and one.end - one.start > 1 for one in bars["g.t"].segments)
    assert len(bars["g.t~undo"].segments) == 3
    assert {path: task.undone for path, task in view.tasks.items() if task.undone} == {"g.t~undo": 3}


async def test_a_task_is_queued_only_from_when_it_could_have_begun(
    engine: Engine, world: World, tmp_path: Path
) -> None:
    flow = load_text(FLOW, tmp_path)
    run = await engine.start(flow)
    await run.wait()
    view = await engine.show(run.id)

    bars = {bar.path: bar for bar in timeline(view, journal(engine, run.id), flow.plan, 0.0)}

    assert world.calls == ["first", "inner", "undo", "alert"]
    for path, bar in bars.items():
        around, _, _ = path.rpartition(".")
        earliest = bars[around].segments[-1].start if around else view.started_at
        assert earliest is not None
        assert bar.segments[0].start >= earliest, path
    for handler in ("first~undo", "on_failure:alert"):
        assert [part.kind for part in bars[handler].segments] == ["running"]
    assert bars["on_failure:alert"].segments[0].start >= bars["first~undo"].end
