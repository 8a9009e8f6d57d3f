"""What a script may use, and that it has no network."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from flowbuilder.core.errors import FlowError
from flowbuilder.tasks.sandbox import without_network
from flowbuilder.testing import load_text, run_flow

if TYPE_CHECKING:
    from flowbuilder.runtime.views import RunView


async def ran(folder: Path, language: str, code: str, **more: Any) -> RunView:
    params = {"language": language, "code": code, **more}
    text = f"flow: box\ntasks:\n  a:\n    type: script\n    with: {msgspec.json.encode(params).decode()}\n"
    return await run_flow(load_text(text, folder), timeout=60)


@pytest.mark.parametrize(
    ("language", "code", "limits", "kind"),
    [
        ("python", "while True: pass", {"cpu": "1s"}, "resource.cpu"),
        ("bash", "while :; do :; done", {"cpu": "1s"}, "resource.cpu"),
        ("javascript", "while (true) {}", {"cpu": "1s"}, "resource.cpu"),
        ("python", "return len('x' * 600_000_000)", {"memory": "300MB"}, "resource.memory"),
        ("bash", 'x=$(printf "%400000000s" x); echo ${#x}', {"memory": "200MB"}, "resource.memory"),
        (
            "javascript",
            "const a = []; while (true) a.push(new Array(1000).fill(1));",
            {"memory": "64MB"},
            "resource.memory",
        ),
        (
            "python",
            "return len([open('/dev/null') for _ in range(100)])",
            {"open_files": 32},
            "resource.files",
        ),
        ("bash", "while :; do exec {fd}</dev/null; done", {"open_files": 32}, "resource.files"),
        ("bash", "sleep 50", {"time": "200ms"}, "resource.time"),
        ("python", "import time; time.sleep(50)", {"time": "500ms"}, "resource.time"),
    ],
)
async def test_more_than_the_limit_fails_with_a_kind_of_its_own(
    tmp_path: Path, language: str, code: str, limits: dict[str, Any], kind: str
) -> None:
    view = await ran(tmp_path, language, code, limits=limits)

    assert view.error is not None
    assert view.error["kind"] == kind
    assert f"limits.{kind.partition('.')[2].replace('files', 'open_files')}" in view.error["message"]


async def test_what_stays_within_its_limits_is_not_touched(tmp_path: Path) -> None:
    limits = {"cpu": "20s", "memory": "1GB", "time": "50s", "open_files": 100}
    for language, code in (
        ("python", "return sum(range(10))"),
        ("javascript", "return 45"),
        ("bash", "echo 45"),
    ):
        view = await ran(tmp_path, language, code, limits=limits)

        assert view.status == "succeeded", view.error
        assert view.tasks["a"].output in (45, {"exit_code": 0, "stdout": "45\n", "stderr": ""})


@pytest.mark.parametrize(
    "limits",
    [{"cpu": 10}, {"memory": "10"}, {"time": "0"}, {"open_files": 1}, {"disk": "1MB"}],
)
async def test_a_limit_without_a_unit_is_refused(tmp_path: Path, limits: dict[str, Any]) -> None:
    with pytest.raises(FlowError, match=r"FB21[25]"):
        await ran(tmp_path, "bash", "true", limits=limits)


async def test_a_limit_that_is_computed_is_looked_at_too(tmp_path: Path) -> None:
    for limits in ({"memory": "${{ '1' + '0' }}"}, {"memory": "1KB"}, {"time": "0s"}):
        view = await ran(tmp_path, "bash", "true", limits=limits)

        assert view.error is not None
        assert view.error["kind"] == "input"


CONNECT = {
    "python": "import socket\nsocket.create_connection(('127.0.0.1', int(port)), 5).close()\nreturn 'connected'",
    "javascript": "return await new Promise((ok, no) => require('net').connect(Number(port), '127.0.0.1', () => ok('connected')).on('error', no))",
    "bash": "exec 9<>/dev/tcp/127.0.0.1/$port && echo connected",
}


@pytest.mark.parametrize("language", list(CONNECT))
@pytest.mark.parametrize("network", [True, False])
async def test_a_script_reaches_the_network_only_where_that_is_said(
    tmp_path: Path, language: str, network: bool
) -> None:
    if not network and not without_network():
        pytest.skip("the kernel lets nobody make a network namespace")
    reached = 0

    def connected(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal reached
        reached += 1
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        port = str(server.sockets[0].getsockname()[1])
        how = {"network": True} if network else {}
        view = await ran(tmp_path, language, CONNECT[language], args={"port": port}, **how)
        await asyncio.sleep(0)

    assert (view.status == "succeeded", reached > 0) == (network, network), view.error
    if not network:
        assert view.error is not None
        assert "network: true" in view.error["message"]
