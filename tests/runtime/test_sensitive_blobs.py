"""Files and tables that sensitive values refer to: kept as long as they are needed, and no longer."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine
from flowbuilder.runtime.encryption import new_key
from flowbuilder.storage.sqlite import SqliteStore
from flowbuilder.testing.flows import load_text
from secrecy import contents

if TYPE_CHECKING:
    from pathlib import Path

    from world import World

LARGE = "x" * 100_000


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The installation's key."""
    key = new_key()
    monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", key)
    return key


FLOW = """
flow: t
inputs: {given: {type: object, sensitive: true}, many: {type: integer}}
tasks:
  read: {type: file, sensitive: true, with: {read: page.txt, as: reference}}
  large: {type: set, sensitive: true, with: {file: "${{ tasks.read.output }}", more: "${{ range(inputs.many) }}"}}
  held: {type: python, needs: [large], with: {call: hold, args: {name: held}}}
  again: {type: file, needs: [held], sensitive: true, with: {read: "${{ tasks.large.output.file }}", as: text}}
  other: {type: file, needs: [held], sensitive: true, with: {read: "${{ inputs.given }}", as: text}}
outputs: {n: "${{ len(tasks.again.output) + len(tasks.other.output) }}"}
"""


@pytest.mark.parametrize("many", [1, 100_000])
async def test_what_only_sealed_values_name_is_swept_behind_its_run_and_not_before(
    many: int, world: World, tmp_path: Path
) -> None:
    (tmp_path / "page.txt").write_text(LARGE)
    path = tmp_path / "store.db"
    store = SqliteStore(path)
    flow = load_text(FLOW, tmp_path)
    async with Engine(":memory:", store=store) as engine:
        given = store.blobs().put(LARGE.upper().encode())
        run = await engine.start(flow, {"given": {"$file": given, "name": "g.txt"}, "many": many})
        await world.begun("held")
        assert store.sweep_blobs(-1.0) == 0
    store = SqliteStore(path)
    async with Engine(
        ":memory:", store=store
    ) as engine:  # the engine before it is gone: from what is on disk
        assert store.sweep_blobs(-1.0) == 0
        world.let_go("held")
        world.let_go("held")
        assert await (await engine.get(run.id)).result(20) == {"n": 2 * len(LARGE)}
        assert store.sweep_blobs(-1.0) == 0
        await engine.delete([run.id])
        assert store.sweep_blobs(-1.0) == (4 if many == 1 else 5)


async def test_a_token_that_looks_like_the_name_of_a_blob_stays_sealed(world: World, tmp_path: Path) -> None:
    token = hashlib.sha256(b"a token").hexdigest()
    async with Engine(tmp_path / "store.db") as engine:
        run = await engine.start(
            load_text("""
flow: t
inputs: {p: {type: string, sensitive: true}}
tasks: {a: {type: set, sensitive: true, with: "${{ inputs.p }}"}}
"""),
            {"p": token},
        )
        await run.wait(20)

    assert token.encode() not in contents(tmp_path)
