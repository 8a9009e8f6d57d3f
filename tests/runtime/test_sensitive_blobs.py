"""Files and tables that sensitive values refer to: kept as long as they are needed, and no longer."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from flowbuilder import Engine
from flowbuilder.core.errors import StoreCorrupt
from flowbuilder.runtime.encryption import EncryptionKeyMissing, new_key
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


FILES = """
flow: t
tasks:
  read: {type: file, sensitive: true, with: {read: page.txt, as: reference}}
  told: {sensitive: true, run: 'cat page.txt'}
  used: {run: 'grep -c LINE "$FILE"', env: {FILE: "${{ tasks.read.output }}"}}
  held: {type: python, needs: [used], with: {call: hold, args: {name: held}}}
  again: {needs: [held], run: 'cp "$FILE" copy.txt; grep -c LINE "$FILE"', env: {FILE: "${{ tasks.read.output }}"}}
outputs: {n: "${{ tasks.used.output.stdout + tasks.again.output.stdout }}"}
"""


async def test_a_file_of_a_sensitive_task_is_sealed_and_read_by_the_tasks_that_follow(
    world: World, tmp_path: Path
) -> None:
    lines, flows, store = "SECRET LINE\n" * 300_000, tmp_path / "flows", tmp_path / "store"
    flows.mkdir()
    store.mkdir()
    (flows / "page.txt").write_text(lines)
    async with Engine(store / "s.db") as engine:
        run = await engine.start(load_text(FILES, flows), {})
        await world.begun("held")
        (folder,) = [engine.core.machine.services.files._folder]  # type: ignore[union-attr]
        assert folder is not None
        assert folder.stat().st_mode & 0o77 == 0
        assert b"SECRET LINE" in contents(folder)
        assert b"SECRET LINE" not in contents(store)
    assert not folder.exists()
    async with Engine(store / "s.db") as engine:
        world.let_go("held")
        assert await (await engine.get(run.id)).result(20) == {"n": "300000\n300000\n"}
        assert (await engine.show(run.id)).tasks["read"].output == "***"
        assert b"SECRET LINE" not in contents(engine.core.machine.services.files._folder)  # type: ignore[union-attr, arg-type]

    assert (flows / "copy.txt").read_text() == lines
    assert b"SECRET LINE" not in contents(store)


async def test_a_file_that_was_changed_or_whose_key_is_gone_is_not_read(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path / "s.db")
    async with engine:
        files = engine.core.machine.services.files
        assert files is not None
        page = tmp_path / "page"
        page.write_bytes(b"x" * 3_000_000)
        name, size = files.put(page)
        assert size == 3_000_000
        sealed = engine.core.machine.store.blobs().path(name)
        assert files.opened("run", sealed).read_bytes() == page.read_bytes()
        files.forget("run")
        data = sealed.read_bytes()
        for wrong in (
            data[:-1],
            data[: 1024 * 1024 + 66],
            data[:60],
            data[:-20] + b"x" + data[-19:],
            data + b"x",
        ):
            other = tmp_path / f"wrong{len(wrong)}"
            other.write_bytes(wrong)
            with pytest.raises(StoreCorrupt, match="is damaged"):
                files.opened("run", other)
    monkeypatch.setenv("FLOWBUILDER_ENCRYPTION_KEY", new_key())
    async with Engine(tmp_path / "s.db") as engine:
        files = engine.core.machine.services.files
        assert files is not None
        with pytest.raises(EncryptionKeyMissing, match="by which a file was encrypted, is not there"):
            files.opened("run", sealed)


async def test_a_table_of_a_sensitive_task_is_sealed(world: World, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    store = tmp_path / "store"
    store.mkdir()
    (tmp_path / "tables.py").write_text(
        "def look(table): return [table.num_rows, table['name'][0].as_py()[::-1]]\n"
    )
    flow = load_text(
        """
flow: t
inputs: {p: {type: string, sensitive: true}}
tasks:
  made: {type: sql, sensitive: true, with: {connection: "sqlite://:memory:", query: "SELECT ?1 AS name", params: ["${{ inputs.p }}"], fetch: arrow}}
  seen: {type: python, executor: thread, with: {call: "tables:look", args: ["${{ tasks.made.output }}"]}}
  over: {type: python, executor: process, with: {call: "tables:look", args: ["${{ tasks.made.output }}"]}}
outputs: {seen: "${{ tasks.seen.output }}", over: "${{ tasks.over.output }}"}
""",
        tmp_path,
    )
    async with Engine(store / "s.db") as engine:
        run = await engine.start(flow, {"p": "PIN-47110815"})
        result = await run.result(60)

    assert result == {"seen": [1, "51801174-NIP"], "over": [1, "51801174-NIP"]}
    assert b"PIN-47110815" not in contents(store)


async def test_an_output_that_a_fork_is_given_keeps_the_files_that_it_names(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "page.txt").write_text(LARGE)
    store = SqliteStore(tmp_path / "store.db")
    flow = load_text(FLOW, tmp_path)
    async with Engine(":memory:", store=store) as engine:
        given = store.blobs().put(LARGE.upper().encode())
        reference = {"$file": given, "name": "g.txt"}
        run = await engine.start(flow, {"given": reference, "many": 1})
        await world.begun("held")
        name = store.blobs().put(b"another file")
        edited = {"file": {"$file": name, "name": "x"}, "more": ["x" * 80_000]}
        fork = await engine.fork(run.id, outputs={"large.output": edited})
        await engine.show(fork.id)
        assert store.sweep_blobs(-1.0) == 0
        world.let_go("held")
        assert await fork.result(20) == {"n": len(LARGE) + len("another file")}
