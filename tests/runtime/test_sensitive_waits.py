"""What a sensitive task waits for is encrypted by whoever sends it, and stays so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine, Reader
from flowbuilder.core import values
from flowbuilder.runtime.encryption import EncryptionKeyMissing, new_key
from flowbuilder.storage.api import RunFilter
from flowbuilder.testing.flows import load_text
from secrecy import contents
from world import until

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

TOKEN = "tok-5f3b9c-Ünïcode"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The installation's key."""
    key = new_key()
    monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", key)
    return key


SIGNALS = """
flow: t
tasks:
  one: {type: wait, sensitive: true, with: {signal: one}}
  several: {type: wait, sensitive: true, with: {signal: several, count: 2, filter: "event.payload.go"}}
  used: {type: python, with: {call: act, args: {name: used, value: 1}}, needs: [one, several], if: "${{ tasks.one.output == tasks.several.output[1].token }}"}
"""


async def test_a_signal_is_sealed_on_its_way_in_the_journal_and_behind(world: World, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with Engine(path) as engine:
        run = await engine.start(load_text(SIGNALS), {})
        await run.signal("several", {"go": True, "token": TOKEN + "-first"})
        await run.signal("several", {"go": False, "token": TOKEN + "-not"})
        with Reader(path) as reader:
            reader.signal(run.id, "one", TOKEN)
    async with Engine(path) as engine:  # another one, that finds what was taken in the journal
        run = await engine.get(run.id)
        await run.signal("several", {"go": True, "token": TOKEN})
        view = await run.wait(20)

    assert view.status == "succeeded", view.error
    assert world.calls == ["used"]
    assert {view.tasks["one"].output, view.tasks["several"].output} == {"***"}
    assert TOKEN[:12].encode() not in contents(tmp_path)


async def test_a_signal_is_refused_where_it_cannot_be_encrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    async with Engine(path) as engine:
        run = await engine.start(load_text(SIGNALS), {})
        monkeypatch.delenv("FLOWBUILDER_ENCRYPTION_KEY")
        with Reader(path) as reader, pytest.raises(EncryptionKeyMissing, match="there is no key to encrypt"):
            reader.signal(run.id, "one", TOKEN)

    assert TOKEN.encode() not in contents(tmp_path)


APPROVAL = """
flow: t
inputs: {who: {type: string, sensitive: true}}
tasks:
  ask:
    type: approval
    sensitive: true
    with:
      message: "May ${{ inputs.who }} pass?"
      quorum: 2
      form: {type: object, properties: {pin: {type: string, minLength: 4}}}
  used: {type: python, with: {call: act, args: {name: "${{ tasks.ask.output.form.pin }}"}}}
"""


async def test_what_is_filled_in_is_sealed_and_who_has_decided_is_seen(world: World, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with Engine(path) as engine:
        run = await engine.start(load_text(APPROVAL), {"who": "somebody-special"})
        await until(lambda: engine.core.machine.store.facts().list("approval"))
        with Reader(path) as reader:
            reader.approve(run.id, "ada", {"pin": TOKEN + "-a"})
            with pytest.raises(Exception, match="has decided already"):
                reader.approve(run.id, "ada", {"pin": TOKEN + "-b"})
            open, voices = reader.approval(run.id)
            assert open.message == "May *** pass?"
            assert [(voice.by, voice.form_shown()) for voice in voices] == [("ada", "***")]
        assert TOKEN.encode() not in contents(tmp_path)
    async with Engine(path) as engine:
        await engine.approve(run.id, "bob", {"pin": TOKEN})
        view = await (await engine.get(run.id)).wait(20)
        lines = [(line.message, line.data) for _, line in await engine.logs(run.id)]

    assert view.status == "succeeded", view.error
    assert world.calls == [TOKEN]
    assert ("approved by bob", values.encode({"by": "bob", "form": "***"})) in lines
    assert TOKEN.encode() not in contents(tmp_path)
    assert b"somebody-special" not in contents(tmp_path)


async def test_why_somebody_rejects_is_sealed_too(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with Engine(path) as engine:
        run = await engine.start(load_text(APPROVAL), {"who": "somebody-special"})
        await until(lambda: engine.core.machine.store.facts().list("approval"))
        await run.reject("ada", f"his number is {TOKEN}")
        view = await run.wait(20)

    assert view.error is not None
    assert (view.error["kind"], view.error["message"]) == ("approval.rejected", "***")
    assert TOKEN.encode() not in contents(tmp_path)


async def test_what_fits_no_form_is_not_quoted(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    flow = load_text(APPROVAL.replace("quorum: 2", "quorum: 1"))
    async with Engine(path) as engine:
        run = await engine.start(flow, {"who": "somebody-special"})
        await until(lambda: engine.core.machine.store.facts().list("approval"))
        machine = engine.core.machine
        (open,) = await engine.approvals()
        from flowbuilder.core.approvals import Voice, signal_name, voice_id
        from flowbuilder.storage.events import Event

        voice = machine.sealing.sealed_voice(
            run.id, "ask", Voice("ada", True, machine.clock.now(), {"pin": "xyz"})
        )
        event = Event(
            voice_id(open, "ada"), signal_name("ask"), values.encode(voice.kept()), voice.at, "", run.id
        )
        machine.store.events().emit(event)
        machine.hearing.wake()
        logs = machine.store.logs
        await until(lambda: any("not counted" in line.message for _, line in logs(run.id)))
        lines = [line.message for _, line in await engine.logs(run.id)]

    assert "the voice of ada was not counted: it does not fit the form: $.pin" in lines


EVENTS = """
flow: hears
inputs: {order: {type: string}}
tasks:
  got: {type: wait, sensitive: true, with: {event: "card.read", filter: "event.payload.order == inputs.order", timeout: 1h}}
  used: {type: python, with: {call: act, args: {name: "${{ tasks.got.output.card }}"}}}
"""
EMITS = """
flow: emits
inputs: {order: {type: string}, card: {type: string, sensitive: true}}
tasks:
  tell: {type: emit, sensitive: true, with: {event: "card.read", payload: {order: "${{ inputs.order }}", card: "${{ inputs.card }}"}}}
"""


@pytest.mark.parametrize("first", ["hears", "emits"])
async def test_an_event_that_a_sensitive_task_emits_is_read_by_whoever_waits_for_it(
    first: str, world: World, tmp_path: Path
) -> None:
    path = tmp_path / "store.db"
    async with Engine(path) as engine:
        runs = []
        if first == "hears":
            runs = [await engine.start(load_text(EVENTS), {"order": order}) for order in ("A", "B")]
            await until(lambda: len(engine.core.machine.store.events().subscriptions()) == 2)
        other = await engine.start(load_text(EMITS), {"order": "A", "card": TOKEN})
        await other.wait(20)
        if first == "emits":
            runs = [await engine.start(load_text(EVENTS), {"order": order}) for order in ("A", "B")]
        view = await runs[0].wait(20)
        assert view.status == "succeeded", view.error
        assert (await engine.show(runs[1].id)).status in ("running", "waiting")
        (event,) = await engine.events("card.read")
        assert values.to_json(values.decode(event.payload)) == "***"

    assert world.calls == [TOKEN]
    assert TOKEN.encode() not in contents(tmp_path)


async def test_a_run_that_waits_in_the_store_is_woken_by_an_event_that_nobody_can_read_there(
    world: World, tmp_path: Path
) -> None:
    from flowbuilder.runtime.config import Config, EngineConfig

    config = Config(engine=EngineConfig(leave_after=0.0))
    path = tmp_path / "store.db"
    async with Engine(path, config) as engine:
        run = await engine.start(load_text(EVENTS), {"order": "A"})
        await until(lambda: not engine.core.machine.runs.live)
        await (await engine.start(load_text(EMITS), {"order": "A", "card": TOKEN})).wait(20)
        view = await run.wait(20)

    assert view.status == "succeeded", view.error
    assert world.calls == [TOKEN]
    assert TOKEN.encode() not in contents(tmp_path)


async def test_a_value_that_is_asked_for_does_not_lie_in_the_index(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    text = EVENTS.replace("order: {type: string}", "order: {type: string, sensitive: true}")
    async with Engine(path) as engine:
        await engine.start(load_text(text), {"order": "pin-4711"})
        await engine.start(load_text(text.replace("sensitive: true, with", "with")), {"order": "pin-4712"})
        await until(lambda: len(engine.core.machine.store.events().subscriptions()) == 2)

    assert b"pin-471" not in contents(tmp_path)


async def test_a_trigger_of_a_sealed_event_gives_it_to_the_run_and_keeps_it_sealed(
    world: World, tmp_path: Path
) -> None:
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "heard.yaml").write_text("""
flow: heard
inputs: {card: {type: string, sensitive: true}}
triggers: [{event: card.read, with: {card: "${{ trigger.event.payload.card }}"}}]
tasks:
  used: {type: python, with: {call: act, args: {name: "${{ inputs.card == trigger.event.payload.card }}"}}}
  again: {type: python, with: {call: act, args: {name: "${{ inputs.card }}"}}}
""")
    store = tmp_path / "store"
    store.mkdir()
    async with Engine(store / "s.db") as engine:
        await engine.up(flows, watch=False)
        await (await engine.start(load_text(EMITS), {"order": "A", "card": TOKEN})).wait(20)
        await until(lambda: len(world.calls) == 2)
        (row,) = await engine.runs(RunFilter(flow="heard"))
        view = await (await engine.get(row.id)).wait(20)
        assert TOKEN not in str(view.to_json(full=True))
        assert (await (await engine.rerun(row.id)).wait(20)).status == "succeeded"

    assert sorted(map(str, world.calls)) == sorted([TOKEN, "True"] * 2)
    assert TOKEN.encode() not in contents(store)


async def test_whoever_has_other_keys_than_the_run_can_send_it_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    with_input = SIGNALS.replace(
        "tasks:", "inputs: {p: {type: string, sensitive: true, default: hm}}\ntasks:", 1
    )
    async with Engine(path) as engine:
        run = await engine.start(load_text(with_input), {})
        asked = await engine.start(load_text(APPROVAL), {"who": "somebody-special"})
        await until(lambda: engine.core.machine.store.facts().list("approval"))
        monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", new_key())
        with Reader(path) as reader:
            with pytest.raises(EncryptionKeyMissing, match="was encrypted, is not there"):
                reader.signal(run.id, "one", TOKEN)
            with pytest.raises(EncryptionKeyMissing, match="was encrypted, is not there"):
                reader.approve(asked.id, "ada", {"pin": TOKEN})
            assert reader.approval(asked.id)[1] == []
