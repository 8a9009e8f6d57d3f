"""Approvals: who decides, what is filled in, what time does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder import Engine, InputError, NotFound
from flowbuilder.core.errors import Conflict, RunEnded
from flowbuilder.sdk.events import decide, open_approval
from flowbuilder.storage.memory import MemoryStore
from flowbuilder.testing.flows import finish, load_text
from world import until

if TYPE_CHECKING:
    from flowbuilder.sdk.run import Run
    from flowbuilder.testing.fake_clock import FakeClock


def asks(params: str = "", more: str = "") -> Any:
    return load_text(f"""
flow: release
inputs: {{version: {{type: string, default: "1.2"}}}}
tasks:
  ask:
    type: approval
    with:
      message: Release ${{{{ inputs.version }}}}?
      {params}
    {more}
outputs: {{said: "${{{{ tasks.ask.output }}}}"}}
""")


async def at_rest(engine: Engine) -> None:
    """Return when nothing happens until somebody decides, or time passes."""
    machine = engine.core.machine
    await until(lambda: not machine.runs.live and not machine.recovery.busy)


async def begun(engine: Engine, flow: Any) -> Run:
    run = await engine.start(flow)
    await at_rest(engine)
    return run


async def log_of(engine: Engine, run: Run) -> list[str]:
    return [line.message for _, line in await engine.logs(run.id)]


async def test_somebody_approves(engine: Engine, clock: FakeClock) -> None:
    run = await begun(engine, asks())
    (open,) = await engine.approvals()
    assert (open.run_id, open.task, open.message, open.assignees) == (run.id, "ask", "Release 1.2?", None)
    assert (await engine.show(run.id)).tasks["ask"].reason == "for an approval: Release 1.2?"

    clock.advance(60)
    await run.approve("ada")

    said = (await run.result(20))["said"]
    assert (said["by"], said["form"], said["at"].timestamp()) == ("ada", {}, clock.now())
    assert await engine.approvals() == []
    assert await log_of(engine, run) == ["waits for a decision: Release 1.2?", "approved by ada"]


async def test_somebody_rejects(engine: Engine) -> None:
    run = await begun(engine, asks())
    await run.reject("ada", "too early")
    view = await run.wait(20)
    assert view.error["kind"] == "approval.rejected"
    assert view.error["message"] == "rejected by ada: too early"
    assert (view.error["data"]["by"], view.error["data"]["reason"]) == ("ada", "too early")
    with pytest.raises(RunEnded):
        await run.approve("ada")


async def test_a_rejection_may_be_rescued_and_is_never_tried_again(engine: Engine) -> None:
    run = await begun(engine, asks(more='on_error: {value: "${{ error.data.by }}"}\n    retry: 3'))
    await run.reject("ada")
    assert await run.result(20) == {"said": "ada"}


async def test_what_is_filled_in_is_held_against_the_form(engine: Engine) -> None:
    form = (
        "form: {properties: {amount: {type: number, maximum: 100}, note: {type: string, default: none}}, "
        "required: [amount], additionalProperties: false}"
    )
    run = await begun(engine, asks(form))
    with pytest.raises(InputError) as wrong:
        await run.approve("ada", {"amount": 101, "other": 1})
    assert {path for path, _ in wrong.value.violations} == {"$.amount", "$"}
    with pytest.raises(InputError, match="amount"):
        await run.approve("ada")
    await run.approve("ada", {"amount": 7})
    assert (await run.result(20))["said"]["form"] == {"note": "none", "amount": 7}


async def test_without_a_form_nothing_is_filled_in(engine: Engine) -> None:
    run = await begun(engine, asks())
    with pytest.raises(InputError, match="no form"):
        await run.approve("ada", {"x": 1})


async def test_only_assignees_decide(engine: Engine) -> None:
    run = await begun(engine, asks("assignees: [ada, grace]"))
    for say in (run.approve, run.reject):
        with pytest.raises(Conflict, match="only ada, grace may decide"):
            await say("eve")
    with pytest.raises(Conflict, match="nobody is named"):
        await (await begun(engine, asks())).approve(" ")
    await run.approve("grace")
    assert (await run.result(20))["said"]["by"] == "grace"


async def test_a_quorum_counts_people(engine: Engine, clock: FakeClock) -> None:
    run = await begun(engine, asks("assignees: [ada, grace, edsger]\n      quorum: 2"))
    await run.approve("ada")
    with pytest.raises(Conflict, match="ada has decided already"):
        await run.approve("ada")
    await at_rest(engine)
    with pytest.raises(Conflict, match="ada has decided already"):
        await run.reject("ada")
    (open,) = await engine.approvals(run.id)
    assert [voice.by for voice in open.voices] == ["ada"]
    await run.approve("edsger")
    said = (await run.result(20))["said"]
    assert (said["by"], [voice["by"] for voice in said["voices"]]) == ("edsger", ["ada", "edsger"])


async def test_one_rejection_is_enough(engine: Engine) -> None:
    run = await begun(engine, asks("assignees: [ada, grace]\n      quorum: 2"))
    await run.approve("ada")
    await run.reject("grace")
    assert (await run.wait(20)).error["kind"] == "approval.rejected"


async def test_what_is_decided_is_not_decided_again_though_nobody_has_counted_it_yet() -> None:
    first = MemoryStore()
    async with Engine(":memory:", store=first) as engine:
        run = await begun(engine, asks("assignees: [ada, grace, eve]\n      quorum: 2"))
    alone = MemoryStore(first.place)
    alone.open(None)

    def say(by: str, approve: bool = True) -> None:
        row = alone.run(run.id)
        assert row is not None
        decide(
            alone, open_approval(alone, row, None), by, approve=approve, sealing=engine.core.machine.sealing
        )

    say("ada")
    with pytest.raises(Conflict, match="ada has decided already"):
        say("ada", False)
    say("grace")
    with pytest.raises(Conflict, match="approved already"):
        say("eve", False)
    alone.close()
    async with Engine(":memory:", store=MemoryStore(first.place)) as engine:
        said = (await (await engine.get(run.id)).result(20))["said"]
    assert [voice["by"] for voice in said["voices"]] == ["ada", "grace"]


async def test_time_runs_out(engine: Engine, clock: FakeClock) -> None:
    for params, outcome in (
        ("timeout: 2h", "approval.timeout"),
        ("timeout: 2h\n      on_timeout: reject", "approval.rejected"),
        ("timeout: 2h\n      on_timeout: approve", None),
    ):
        run = await engine.start(asks(params))
        await finish(engine, run, clock)
        view = await engine.show(run.id)
        assert (view.error or {}).get("kind") == outcome
        assert view.tasks["ask"].duration == 7200.0
        if outcome is None:
            assert (view.outputs["said"]["by"], view.outputs["said"]["form"]) == (None, {})
    assert await engine.approvals() == []


async def test_people_are_reminded_and_others_asked_in_time(engine: Engine, clock: FakeClock) -> None:
    params = "assignees: [ada]\n      reminder: 1h\n      timeout: 4h\n      escalation: {after: 150m, assignees: [boss]}"
    run = await engine.start(asks(params))
    begun_at = clock.now()
    await finish(engine, run, clock)

    events = [(event.name, event.at - begun_at) for event in await engine.events()]
    assert events == [
        ("approval.reminder", 3600.0),
        ("approval.reminder", 7200.0),
        ("approval.escalated", 9000.0),
        ("approval.reminder", 10800.0),
    ]
    (last,) = await engine.events(limit=1)
    payload = last.value()["payload"]
    assert (payload["message"], payload["assignees"], payload["number"]) == (
        "Release 1.2?",
        ["ada", "boss"],
        3,
    )
    assert (payload["run_id"], payload["task"], payload["flow"]) == (run.id, "ask", "release")
    lines = await log_of(engine, run)
    assert [line.partition(":")[0] for line in lines[1:]] == ["reminder", "reminder", "escalated", "reminder"]


async def test_whom_it_was_escalated_to_may_decide_only_then(engine: Engine, clock: FakeClock) -> None:
    run = await begun(engine, asks("assignees: [ada]\n      escalation: {after: 1h, assignees: [boss]}"))
    with pytest.raises(Conflict):
        await run.approve("boss")
    clock.jump(clock.now() + 3600)
    await until(lambda: engine._store.events().last())
    await at_rest(engine)
    await run.approve("boss")
    assert (await run.result(20))["said"]["by"] == "boss"


async def test_reminders_that_nobody_was_there_to_send_are_one(engine: Engine, clock: FakeClock) -> None:
    await begun(engine, asks("reminder: 1h"))
    clock.jump(clock.now() + 5.5 * 3600)
    await until(lambda: engine._store.events().last())
    await at_rest(engine)
    assert [event.value()["payload"]["number"] for event in await engine.events()] == [5]
    clock.jump(clock.now() + 1800)
    await until(lambda: engine._store.events().last() == 2)


async def test_each_element_asks_for_itself(engine: Engine) -> None:
    flow = load_text("""
flow: t
tasks:
  ask:
    type: approval
    for_each: {de: 1, fr: 2}
    with: {message: "${{ item.key }}?"}
    on_error: continue
outputs: {by: "${{ {k: v.by if v else null for k, v in tasks.ask.output.items()} }}"}
""")
    run = await begun(engine, flow)
    assert [open.task for open in await engine.approvals()] == ['ask["de"]', 'ask["fr"]']
    with pytest.raises(NotFound, match="name the task"):
        await run.approve("ada")
    await run.approve("ada", task='ask["fr"]')
    await run.reject("ada", task='ask["de"]')
    assert await run.result(20) == {"by": {"de": None, "fr": "ada"}}


async def test_a_cancelled_run_asks_for_nothing(engine: Engine) -> None:
    run = await begun(engine, asks())
    await run.cancel("enough")
    assert (await run.wait(20)).status == "cancelled"
    assert await engine.approvals() == []
    assert engine._store.facts().list("approval") == []


async def test_a_flow_cannot_forge_a_voice(engine: Engine) -> None:
    run = await begun(engine, asks())
    with pytest.raises(InputError):
        await run.signal("approval:ask", {"by": "eve", "approve": True, "at": 0.0})
    assert len(await engine.approvals()) == 1


async def test_parameters_that_are_worked_out_are_looked_at(engine: Engine) -> None:
    for params in (
        'assignees: "${{ len(inputs.version) }}"',
        'quorum: "${{ len(inputs.version) - 3 }}"',
        'reminder: "${{ inputs.version[0] }}ms"',
        'timeout: "${{ [inputs.version] }}"',
        'assignees: "${{ [inputs.version] }}"\n      quorum: 2',
    ):
        view = await (await engine.start(asks(params))).wait(20)
        assert view.error["kind"].startswith("expression."), params
