from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from database_servers import mysql_server, postgres_server

from flowbuilder.sdk.engine import Engine
from flowbuilder.testing import load_text

if TYPE_CHECKING:
    from flowbuilder.runtime.views import RunView


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="fb-pg-") as folder, postgres_server(Path(folder) / "s") as url:
        yield url


@pytest.fixture(scope="session")
def mysql() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="fb-my-") as folder, mysql_server(Path(folder) / "s") as url:
        yield url


@pytest.fixture(params=["sqlite", "duckdb", "postgres", "mysql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Return each kind of database in turn, with a URL."""
    kind: str = request.param
    if kind in ("postgres", "mysql"):
        return kind, request.getfixturevalue(kind)
    return kind, f"{kind}:///{tmp_path / 'shop.db'}"


Ask = Callable[..., Any]


@pytest.fixture
async def engine(tmp_path: Path) -> Any:
    async with Engine(tmp_path / "store.db") as opened:
        yield opened


@pytest.fixture
def ask(engine: Engine, tmp_path: Path) -> Ask:
    """Return what runs one `sql` task over a URL, and returns the run."""

    async def run(url: str, query: str, params: Any = None, **more: Any) -> RunView:
        import msgspec

        given = {
            "connection": url,
            "query": query,
            **({} if params is None else {"params": "${{ inputs.p }}"}),
            **more,
        }
        text = f"flow: ask\ninputs: {{p: {{default: null}}}}\ntasks:\n  a:\n    type: sql\n    with: {msgspec.json.encode(given).decode()}\noutputs: {{a: '${{{{ tasks.a.output }}}}'}}\n"
        started = await engine.start(load_text(text, tmp_path), {"p": params})
        return await started.wait()

    return run
