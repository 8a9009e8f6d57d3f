"""What is sensitive is compared without being kept: inputs under a key, keys of the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine, KeyConflict, Reader
from flowbuilder.core.cache import KIND
from flowbuilder.runtime.encryption import new_key
from flowbuilder.storage.api import RunFilter
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.flows import load_text, run_flow
from secrecy import contents

if TYPE_CHECKING:
    from pathlib import Path

    from world import World


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The installation's key."""
    key = new_key()
    monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", key)
    return key


LANE = """
flow: t
concurrency: {limit: 1}
inputs: {p: {type: string, sensitive: true}}
tasks: {a: {type: set, with: 1}}
"""
CACHED = """
flow: t
inputs: {p: {type: string, sensitive: true}}
tasks:
  kept:
    type: python
    sensitive: true
    cache: {key: "${{ inputs.p }}", scope: global}
    with: {call: act, args: {name: made, value: "${{ inputs.p }}"}}
"""


async def test_a_key_in_a_lane_is_compared_with_inputs_that_are_encrypted(key: str, tmp_path: Path) -> None:
    async with Engine(tmp_path / "store.db") as engine:
        first = await engine.start(load_text(LANE), {"p": "one"}, key="k")
        await first.wait(20)
    async with Engine(tmp_path / "store.db") as engine:
        again = await engine.start(load_text(LANE), {"p": "one"}, key="k")
        with pytest.raises(KeyConflict):
            await engine.start(load_text(LANE), {"p": "two"}, key="k")

    assert first.id == again.id


async def test_two_engines_that_start_the_same_in_a_lane_have_one_run(key: str, tmp_path: Path) -> None:
    async with Engine(tmp_path / "store.db") as one, Engine(tmp_path / "store.db") as other:
        flow = load_text(LANE)
        found = [await engine.start(flow, {"p": "one"}, key="k") for engine in (one, other, one)]

        assert len({run.id for run in found}) == 1


async def test_an_output_is_found_in_the_cache_under_a_key_that_was_replaced(
    key: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    await run_flow(CACHED, {"p": "1234"}, store=SqliteStore(path))
    monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", f"{new_key()} {key}")
    run = await run_flow(CACHED, {"p": "1234"}, store=SqliteStore(path))

    assert run.tasks["kept"].reason == "cached"
    assert world.count("made") == 1
    monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", new_key())
    run = await run_flow(CACHED, {"p": "1234"}, store=SqliteStore(path))
    assert run.status == "succeeded"
    assert world.count("made") == 2  # what cannot be opened is made anew


async def test_nobody_finds_out_the_key_of_a_sensitive_output_by_trying(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = set()
    for number in range(2):
        monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", new_key())
        await run_flow(CACHED, {"p": "1234"}, store=SqliteStore(tmp_path / f"{number}.db"))
        with Reader(tmp_path / f"{number}.db") as reader:
            names |= {fact.key for fact in reader.facts().list(KIND)}

    assert len(names) == 2, "the digest is the same in two installations: whoever tries 10,000 PINs has it"


KEYS = """
flow: t
concurrency: {limit: 1, key: "${{ vars.who }}"}
inputs: {p: {type: string, sensitive: true}}
vars: {who: "${{ [inputs.p] }}"}
tasks:
  one: {type: python, rate_limit: {limit: 100, per: 1s, key: "${{ inputs.p }}"}, with: {call: act, args: {name: one}}}
  two: {type: python, needs: [one], circuit_breaker: {failures: 1, reset: 1h, key: "${{ inputs.p }}"}, on_error: continue, with: {call: fail, args: {name: two}}}
  kept: {type: set, needs: [two], cache: {key: "${{ inputs.p }}"}, with: 1}
  each: {for_each: ["${{ inputs.p }}"], type: set, cache: {key: "${{ item }}"}, with: 1}
  held: {type: python, needs: [kept], with: {call: hold, args: {name: held}}}
"""


async def test_keys_of_limits_lanes_and_caches_are_kept_as_digests(
    key: str, world: World, tmp_path: Path
) -> None:
    store = SqliteStore(tmp_path / "store.db")
    async with Engine(":memory:", store=store) as engine:
        first = await engine.start(load_text(KEYS), {"p": "pin-4711"})
        await world.begun("held")
        second = await engine.start(load_text(KEYS), {"p": "pin-4711"})
        other = await engine.start(load_text(KEYS), {"p": "pin-4712"})
        assert (second.status, other.status) == ("queued", "running")
        world.let_go("held")
        for run in (first, second, other):
            assert (await run.wait(20)).status == "succeeded"
        view = await engine.show(second.id)
        assert view.tasks["two"].error is not None
        assert view.tasks["two"].error["kind"] == "circuit.open"
        assert view.tasks["kept"].reason == "cached"
        assert "pin-471" not in str(view.to_json(full=True))
        await engine.stop()

    assert b"pin-471" not in contents(tmp_path)


async def test_an_input_that_a_task_gives_something_sensitive_is_sealed_whatever_the_other_flow_says(
    key: str, world: World, tmp_path: Path
) -> None:
    (tmp_path / "child.yaml").write_text("""
flow: child
inputs: {given: {type: string}, other: {type: string}}
tasks: {a: {type: python, with: {call: act, args: {name: "${{ inputs.given }}"}}}, b: {type: set, with: "${{ inputs.other }}"}}
""")
    flow = load_text(
        """
flow: t
inputs: {p: {type: string, sensitive: true}}
tasks: {sub: {type: flow, with: {path: child.yaml, inputs: {given: "${{ inputs.p }}", other: plain}}}}
""",
        tmp_path,
    )
    store = tmp_path / "store"
    store.mkdir()
    async with Engine(store / "s.db") as engine:
        assert (await (await engine.start(flow, {"p": "pin-4711"})).wait(20)).status == "succeeded"
        (child,) = await engine.runs(RunFilter(flow="child"))
        again = await (await engine.rerun(child.id)).wait(20)
        assert again.inputs == {"given": "***", "other": "plain"}

    assert world.calls == ["pin-4711"] * 2
    assert b"pin-4711" not in contents(store)
