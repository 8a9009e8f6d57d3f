"""`sensitive`: encrypted in the store, `***` wherever people look, plain for the tasks that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine, KeyConflict, Reader
from flowbuilder.runtime.config import Config, EncryptionConfig
from flowbuilder.runtime.encryption import EncryptionKeyMissing, EncryptionKeyUnusable, new_key
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.flows import load_text, run_flow
from secrecy import contents
from world import until

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

TOKEN = "tok-5f3b9c-Ünïcode"
FLOW = """
flow: t
inputs: {password: {type: string, sensitive: true}, name: {type: string, default: ada}}
tasks:
  token:
    type: python
    sensitive: true
    with: {call: act, args: {name: token, value: {token: "${{ inputs.password + '-session' }}", large: "${{ range(30000) }}"}}}
  chain: {type: set, sensitive: true, with: "${{ tasks.token.output.token }}"}
  length: {type: set, with: "${{ len(tasks.chain.output) }}"}
  each:
    for_each: [1, 2]
    type: python
    sensitive: true
    with: {call: act, args: {name: each, value: "${{ tasks.chain.output }}-${{ item }}"}}
  group:
    type: group
    sensitive: true
    tasks: {inner: {type: set, with: {deep: "${{ tasks.each.output }}"}}}
  flaky:
    type: python
    sensitive: true
    retry: {attempts: 2, delay: 0s}
    on_error: {value: "${{ inputs.password }}"}
    with: {call: fail, args: {name: "flaky", kind: "${{ 'mine' if tasks.group.output else inputs.password }}"}}
  used:
    type: python
    needs: [flaky]
    with: {call: act, args: {name: "${{ tasks.group.output.inner.deep[1] }}", value: 1}}
outputs: {length: "${{ tasks.length.output }}"}
"""


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The installation's key."""
    key = new_key()
    monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", key)
    return key


async def test_later_tasks_use_it_and_nobody_else_sees_it(key: str, world: World, tmp_path: Path) -> None:
    run = await run_flow(FLOW, {"password": TOKEN}, store=SqliteStore(tmp_path / "store.db"))

    assert run.status == "succeeded", run.error
    assert world.calls[-1] == f"{TOKEN}-session-2"
    assert run.outputs == {"length": len(TOKEN) + 8}
    assert run.inputs == {"password": "***", "name": "ada"}
    assert {path: task.output for path, task in {**run.tasks, **run.elements}.items()} == {
        "token": "***",
        "chain": "***",
        "length": len(TOKEN) + 8,
        "each": ["***", "***"],
        "each[0]": "***",
        "each[1]": "***",
        "group": "***",
        "group.inner": "***",
        "flaky": "***",
        "used": 1,
    }
    with Reader(tmp_path / "store.db") as reader:
        assert TOKEN not in str(reader.show(run.run_id).to_json(full=True))


@pytest.mark.parametrize("ends", [True, False])
async def test_no_byte_of_it_is_in_the_files_of_the_store(
    ends: bool, key: str, world: World, tmp_path: Path
) -> None:
    store = SqliteStore(tmp_path / "store.db")
    text = (
        FLOW
        if ends
        else FLOW.replace("used:\n    type: python", "used:\n    type: python\n    timeout: 1h").replace(
            '{call: act, args: {name: "${{ tasks.group.output.inner.deep[1] }}", value: 1}}',
            "{call: hold, args: {name: held}}",
        )
    )
    engine = Engine(":memory:", Config(), store=store)
    async with engine:
        run = await engine.start(load_text(text), {"password": TOKEN})
        if ends:
            await run.wait(20)
        else:
            await world.begun("held")
        kept = contents(tmp_path)

    assert len(kept) > 64 * 1024, "nothing large was kept"
    for spelling in (TOKEN, TOKEN[:10], TOKEN[5:]):
        assert spelling.encode() not in kept
        assert spelling.encode() not in contents(tmp_path)


async def test_a_run_is_carried_on_with_a_key_that_was_replaced_and_not_without_any(
    key: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    flow = load_text("""
flow: t
inputs: {password: {type: string, sensitive: true}}
tasks:
  token: {type: python, sensitive: true, with: {call: act, args: {name: token, value: "${{ inputs.password }}-x"}}}
  held: {type: python, with: {call: hold, args: {name: "${{ tasks.token.output }}"}}}
""")
    async with Engine(path) as engine:
        run = await engine.start(flow, {"password": TOKEN})
        await world.begun(f"{TOKEN}-x")

    monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", new_key())
    async with Engine(path) as engine:
        assert (await engine.row(run.id)).status == "running"
        assert not engine.core.machine.runs.live
        with pytest.raises(EncryptionKeyMissing, match="was encrypted, is not there"):
            await (await engine.get(run.id)).result(20)
    world.calls.clear()
    monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", f"{new_key()}, {key}")
    async with Engine(path) as engine:
        await until(lambda: world.count(f"{TOKEN}-x"))
        world.let_go(f"{TOKEN}-x")
        view = await (await engine.get(run.id)).wait(20)

    assert view.status == "succeeded"
    assert world.count("token") == 0


async def test_without_a_key_nothing_runs(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLOWBUILDER_ENCRYPTION_KEY", raising=False)
    store = SqliteStore(tmp_path / "store.db")
    with pytest.raises(EncryptionKeyMissing, match=r"flow 't' has sensitive values.*flowbuilder keys new"):
        await run_flow(FLOW, {"password": TOKEN}, store=store)

    assert not world.calls
    with Reader(tmp_path / "store.db") as reader:
        assert reader.runs() == []


async def test_an_engine_in_memory_needs_no_key(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLOWBUILDER_ENCRYPTION_KEY", raising=False)

    assert (await run_flow(FLOW, {"password": TOKEN})).status == "succeeded"


async def test_keys_may_lie_in_a_file_that_nobody_else_can_read(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLOWBUILDER_ENCRYPTION_KEY", raising=False)
    file = tmp_path / "keys"
    file.write_text(f"# the new one\n{new_key()}  # of today\n{'0a' * 32}\n")
    file.chmod(0o644)
    config = Config(encryption=EncryptionConfig(key_file=str(file)))
    flow = "flow: t\ntasks: {a: {type: set, sensitive: true, with: 1}}\n"

    with pytest.raises(EncryptionKeyUnusable, match=r"others can read it.*chmod 600"):
        await run_flow(flow, store=SqliteStore(tmp_path / "a.db"), config=config)
    file.chmod(0o600)
    run = await run_flow(flow, store=SqliteStore(tmp_path / "b.db"), config=config)

    assert run.tasks["a"].output == "***"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there is no key"),
        ("#nothing", "it holds no key"),
        ("c2hvcnQ=", "key 1 is not 32 bytes"),
        (f"{'0a' * 32} {'0a' * 31}zz", "key 2 is not 32 bytes"),
        ("ключ", "key 1 is not 32 bytes"),
    ],
)
async def test_a_key_that_is_none_is_told_and_not_shown(
    text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", text)
    with pytest.raises((EncryptionKeyMissing, EncryptionKeyUnusable), match=says) as caught:
        await run_flow(
            "flow: t\ntasks: {a: {type: set, sensitive: true, with: 1}}\n",
            store=SqliteStore(tmp_path / "a.db"),
        )
    assert not text or text not in str(caught.value)


async def test_what_a_sensitive_task_says_is_hidden_and_what_others_say_of_it_is_masked(
    key: str, world: World
) -> None:
    flow = load_text("""
flow: t
tasks:
  token: {sensitive: true, run: "echo abcdefgh-1; echo noise-abcd >&2"}
  tells: {needs: [token], run: "echo \\"I have $T\\" >&2; exit 3", env: {T: "${{ tasks.token.output.stdout | strip }}"}, on_error: continue}
  fails: {sensitive: true, needs: [tells], run: "echo abcdefgh-2 >&2; exit 4"}
""")
    async with Engine.in_memory() as engine:
        run = await engine.start(flow)
        view = await run.wait(20)
        lines = {(log.task, log.message) for _, log in await engine.logs(run.id)}

    assert {message for task, message in lines if task in ("token", "fails")} == {"***"}
    assert ("tells", "I have ***") in lines
    assert view.tasks["tells"].error is not None
    assert "I have" in view.tasks["tells"].error["message"]
    assert "abcdefgh" not in str(view.tasks["tells"].error)
    assert view.error is not None
    assert (view.error["kind"], view.error["message"], view.error["data"]) == ("shell.exit", "***", None)


async def test_a_key_of_a_run_is_compared_with_inputs_that_are_encrypted(key: str, tmp_path: Path) -> None:
    flow = load_text(
        "flow: t\ninputs: {p: {type: string, sensitive: true}}\ntasks: {a: {type: set, with: 1}}\n"
    )
    async with Engine(tmp_path / "store.db") as engine:
        first = await engine.start(flow, {"p": "one"}, key="k")
        again = await engine.start(flow, {"p": "one"}, key="k")
        with pytest.raises(KeyConflict):
            await engine.start(flow, {"p": "two"}, key="k")

    assert first.id == again.id


async def test_an_input_that_does_not_fit_is_not_shown() -> None:
    flow = "flow: t\ninputs: {p: {type: string, minLength: 30, sensitive: true}}\ntasks: {a: {type: set, with: 1}}\n"
    with pytest.raises(Exception, match="does not fit its schema") as caught:
        await run_flow(flow, {"p": TOKEN})

    assert TOKEN not in str(caught.value)


async def test_elements_that_fail_do_not_show_the_element(key: str, world: World, tmp_path: Path) -> None:
    run = await run_flow(
        """
flow: t
inputs: {all: {type: array, sensitive: true}}
tasks:
  each:
    for_each: "${{ inputs.all }}"
    sensitive: true
    on_error: continue
    type: python
    with: {call: fail, args: {name: "${{ item }}", kind: "python.ValueError"}}
""",
        {"all": [TOKEN]},
        store=SqliteStore(tmp_path / "store.db"),
    )

    (error,) = run.tasks["each"].errors or ()
    assert (error["item"], error["message"]) == ("***", "***")
    assert TOKEN.encode() not in contents(tmp_path)


async def test_an_undo_sees_what_is_sensitive_after_a_crash_too(
    key: str, world: World, tmp_path: Path
) -> None:
    run = await run_flow(
        """
flow: t
inputs: {card: {type: string, sensitive: true}}
tasks:
  pay:
    type: python
    sensitive: true
    with: {call: act, args: {name: pay, value: "${{ inputs.card }}"}}
    undo: {type: python, with: {call: act, args: {name: "undo ${{ output }}"}}}
  bad: {type: fail, needs: [pay], with: {message: no}}
""",
        {"card": TOKEN},
        store=SqliteStore(tmp_path / "store.db"),
    )

    assert run.status == "failed"
    assert world.calls == ["pay", f"undo {TOKEN}"]
    assert TOKEN.encode() not in contents(tmp_path)


async def test_a_group_without_outputs_is_as_sensitive_as_its_tasks(
    key: str, world: World, tmp_path: Path
) -> None:
    run = await run_flow(
        """
flow: t
inputs: {p: {type: string, sensitive: true}}
tasks:
  group:
    type: group
    tasks:
      inner: {type: set, sensitive: true, with: "${{ inputs.p }}"}
      other: {type: set, with: 5}
  rescued:
    type: fail
    with: {message: no}
    on_error: {tasks: {mend: {type: set, sensitive: true, with: "${{ inputs.p }}"}}}
  used: {type: python, with: {call: act, args: {name: "${{ tasks.group.output.inner == tasks.rescued.output }}"}}}
""",
        {"p": TOKEN},
        store=SqliteStore(tmp_path / "store.db"),
    )

    assert {path: task.output for path, task in run.tasks.items() if path != "used"} == {
        "group": "***",
        "group.inner": "***",
        "group.other": 5,
        "rescued": "***",
        "rescued!mend": "***",
    }
    assert world.calls == [True]
    assert TOKEN.encode() not in contents(tmp_path)


async def test_rounds_and_cached_outputs_are_encrypted_too(key: str, world: World, tmp_path: Path) -> None:
    flow = """
flow: t
inputs: {p: {type: string, sensitive: true}}
tasks:
  loop:
    type: python
    sensitive: true
    repeat: {until: "loop.index == 3", max: 9, collect: "${{ output }}", state: "${{ inputs.p }}"}
    with: {call: act, args: {name: "${{ loop.index }}", value: "${{ loop.state + 'x' }}"}}
  spin: {type: set, sensitive: true, repeat: {until: "loop.index == 3", max: 9, state: "${{ inputs.p }}"}, with: "${{ loop.state + 'y' }}"}
  kept:
    type: python
    sensitive: true
    cache: {key: a, scope: global}
    with: {call: act, args: {name: made, value: ["${{ inputs.p }}", "${{ tasks.loop.output[-1] }}"]}}
outputs: {loop: "${{ [len(tasks.loop.output), len(tasks.spin.output), len(tasks.kept.output[0])] }}"}
"""
    for _ in range(2):
        run = await run_flow(flow, {"p": TOKEN}, store=SqliteStore(tmp_path / "store.db"))
        assert run.status == "succeeded", run.error
        assert run.outputs == {"loop": [4, len(TOKEN) + 4, len(TOKEN)]}
        assert TOKEN not in str(run.to_json(full=True))

    assert world.count("made") == 1
    assert TOKEN.encode() not in contents(tmp_path)


@pytest.mark.parametrize("text", ["[1][inputs.pin]", "{'a': 1}[inputs.name]"])
@pytest.mark.parametrize("more", ["", "retry: 2", "for_each: [1]", "on_error: {value: VALUE, on: [none]}"])
async def test_an_expression_that_fails_in_a_sensitive_task_does_not_quote_a_value(
    text: str, more: str, key: str, tmp_path: Path
) -> None:
    flow = load_text(
        f"""
flow: t
inputs: {{pin: {{type: integer, sensitive: true}}, name: {{type: string, sensitive: true}}}}
tasks:
  a:
    type: set
    sensitive: true
    with: "${{{{ {text} }}}}"
    {more.replace("VALUE", '"${{ ' + text + ' }}"')}
""",
        tmp_path,
    )
    run = await run_flow(flow, {"pin": 4711, "name": "eve"})

    assert run.error is not None
    assert run.error["kind"] == "expression.missing"
    assert run.error["message"].endswith(": ***")
    assert "4711" not in str(run)
    assert "eve" not in str(run)


@pytest.mark.parametrize("large", [False, True])
async def test_what_a_fork_takes_over_and_what_is_given_to_it_is_sealed_for_the_new_run(
    large: bool, key: str, world: World, tmp_path: Path
) -> None:
    flow = load_text("""
flow: t
inputs: {password: {type: string, sensitive: true}}
tasks:
  token: {type: python, sensitive: true, with: {call: act, args: {name: token, value: "${{ inputs.password }}-x"}}}
  each: {for_each: [1, 2], type: set, sensitive: true, with: "${{ tasks.token.output }}-${{ item }}"}
  last: {type: python, sensitive: true, with: {call: act, args: {name: last, value: "${{ tasks.each.output }}"}}}
  check: {type: set, with: "${{ [len(x) for x in tasks.last.output] }}"}
outputs: {check: "${{ tasks.check.output }}"}
""")
    more = "".join(str(n) for n in range(20_000 if large else 0))
    secret, other = TOKEN + more, TOKEN[::-1] + more + "!"
    path = tmp_path / "store.db"
    async with Engine(path) as engine:
        first = await engine.start(flow, {"password": secret})
        await first.wait(20)
        fork = await engine.fork(first.id, from_tasks=["last"])
        given = await engine.fork(first.id, outputs={"token.output": other})
        results = [await run.result(20) for run in (first, fork, given)]
    async with Engine(path) as engine:  # from what is on disk
        again = await (await engine.fork(given.id, from_tasks=["last"])).result(20)

    lengths = [len(secret) + 4] * 2
    assert [one["check"] for one in results] == [lengths, lengths, [len(other) + 2] * 2]
    assert again == results[2]
    assert world.calls.count("token") == 1
    with Reader(path) as reader:
        for run_id in (fork.id, given.id):
            assert reader.show(run_id).tasks["token"].output == "***"
    kept = contents(tmp_path)
    for spelling in (TOKEN, TOKEN[::-1]):
        assert spelling.encode() not in kept


async def test_a_fork_seals_what_an_edited_flow_says_is_sensitive(
    key: str, world: World, tmp_path: Path
) -> None:
    text = """
flow: t
inputs: {p: {type: string}, given: {type: string}}
tasks:
  one: {type: set, with: "${{ inputs.p }}-1"}
  two: {type: python, with: {call: act, args: {name: two, value: "${{ tasks.one.output }}-2"}}}
  last: {type: python, with: {call: act, args: {name: last, value: "${{ len(tasks.one.output + tasks.two.output) }}"}}}
"""
    edited = text.replace("string}, given", "string, sensitive: true}, given")
    edited = edited.replace("type: set", "type: set, sensitive: true")
    edited = edited.replace(
        "type: python, with: {call: act, args: {name: two",
        "type: python, sensitive: true, with: {call: act, args: {name: two",
    )
    path = tmp_path / "store.db"
    async with Engine(path) as engine:
        first = await engine.start(load_text(text), {"p": TOKEN, "given": "x"})
        await first.wait(20)
        fork = await engine.fork(first.id, from_tasks=["last"], flow=load_text(edited))
        view = await fork.wait(20)
        await engine.delete([first.id])

    assert view.status == "succeeded", view.error
    assert world.calls == ["two", "last", "last"]
    assert view.inputs == {"p": "***", "given": "x"}
    assert {view.tasks[name].output for name in ("one", "two")} == {"***"}
    with Reader(path) as reader:
        assert TOKEN not in str(reader.show(fork.id).to_json(full=True))
        journal = b"".join(reader._store.journal(fork.id)) + reader.row(fork.id).inputs
    assert TOKEN.encode() not in journal
