"""`fetch: arrow`: a table beside the journal, which Python functions get without a copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flowbuilder.testing import load_text

if TYPE_CHECKING:
    from flowbuilder.sdk.engine import Engine

Ask = Callable[..., Any]

CODE = """
import pyarrow

def look(table):
    before = pyarrow.total_allocated_bytes()
    total = pyarrow.compute.sum(table["n"]).as_py()
    return {"total": total, "kind": type(table).__name__, "copied": pyarrow.total_allocated_bytes() - before > 1_000_000}

async def wait(tables):
    return {name: table.num_rows for name, table in tables.items()}
"""


@pytest.mark.parametrize("executor", ["auto", "inline", "process"])
async def test_a_python_task_gets_the_table_itself(engine: Engine, tmp_path: Path, executor: str) -> None:
    (tmp_path / "tables.py").write_text("import pyarrow.compute\n" + CODE, "utf-8")
    query = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 200000) SELECT n, 'x' || n AS t FROM r"
    flow = load_text(
        "flow: tables\ntasks:\n"
        f"  ask: {{type: sql, with: {{connection: 'sqlite://:memory:', query: \"{query}\", fetch: arrow}}}}\n"
        f"  look: {{type: python, executor: {executor}, with: {{call: 'tables:look', args: {{table: '${{{{ tasks.ask.output }}}}'}}}}}}\n"
        "  both: {type: python, with: {call: 'tables:wait', args: [{a: '${{ tasks.ask.output }}', b: '${{ tasks.ask.output }}'}]}}\n",
        tmp_path,
    )

    view = await (await engine.start(flow)).wait()

    assert view.status == "succeeded", view.error
    asked = view.tasks["ask"].output
    assert (asked["row_count"], asked["columns"]) == (200000, ["n", "t"])
    assert view.tasks["look"].output == {"total": 20000100000, "kind": "Table", "copied": False}
    assert view.tasks["both"].output == {"a": 200000, "b": 200000}


async def test_every_database_gives_a_table(ask: Ask, engine: Engine, database: tuple[str, str]) -> None:
    import pyarrow

    _, url = database
    view = await ask(url, "SELECT 1 AS n, 'a' AS t UNION ALL SELECT NULL, 'é'", fetch="arrow")

    assert view.status == "succeeded", view.error
    path = engine.core.machine.store.blobs().path(view.tasks["a"].output["$arrow"])
    table = pyarrow.ipc.open_file(pyarrow.memory_map(str(path))).read_all()
    assert sorted(table.to_pylist(), key=str) == [{"n": 1, "t": "a"}, {"n": None, "t": "é"}]


async def test_a_table_of_no_rows_has_its_columns(ask: Ask) -> None:
    view = await ask("sqlite://:memory:", "SELECT 1 AS n, 2 AS m WHERE 1 = 0", fetch="arrow")

    assert view.status == "succeeded", view.error
    assert view.tasks["a"].output["columns"] == ["n", "m"]
    assert view.tasks["a"].output["row_count"] == 0
