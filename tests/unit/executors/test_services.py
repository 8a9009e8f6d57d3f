import asyncio
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import psutil
import pytest

from flowbuilder.core.urgency import NORMAL
from flowbuilder.runtime.clock import SystemClock
from flowbuilder.runtime.config import Config, ExecutorsConfig
from flowbuilder.runtime.services import EngineServices
from flowbuilder.tasks.api import Call, Services
from flowbuilder.tasks.shell import Shell


async def test_the_http_session_is_one_and_keeps_no_cookies() -> None:
    services = EngineServices(SystemClock(), Config())
    session = await services.http()
    assert session is await services.http()
    assert isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
    await services.close()
    assert session.closed


async def test_places_for_child_processes_are_bounded() -> None:
    services = EngineServices(SystemClock(), Config(executors=ExecutorsConfig(shells=2)))
    inside, most = 0, 0

    async def hold() -> None:
        nonlocal inside, most
        async with services.slot("shells", NORMAL):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(hold() for _ in range(10)))
    assert most == 2
    await services.close()


async def test_blocking_functions_leave_the_loop() -> None:
    services: Services = EngineServices(SystemClock(), Config())
    assert await services.in_thread(threading.current_thread) is not threading.main_thread()
    await services.close()  # type: ignore[attr-defined]


async def test_closing_ends_what_is_left_and_may_be_repeated(tmp_path: Path) -> None:
    store: Any = SimpleNamespace(path=tmp_path / "store.db")
    services = EngineServices(SystemClock(), Config(), store)
    logged = asyncio.Event()
    call = Call(
        {"command": "echo; trap '' TERM; while :; do sleep 1000; done"},
        *("run-1", "t", 1, "k", tmp_path, {}, ()),
        lambda *_: logged.set(),
        services,
    )
    others = psutil.Process().children(recursive=True)  # servers of other tests
    running = asyncio.create_task(Shell(grace=1000).run(call))
    async with asyncio.timeout(20):
        await logged.wait()
        children = [c for c in psutil.Process().children(recursive=True) if c not in others]
        assert children
        assert (tmp_path / "store.db.children").exists()
        running.cancel()
        await asyncio.sleep(0)
        await services.close()
        await services.close()
        await asyncio.wait([running])
    assert running.cancelled()
    assert not any(c.is_running() and c.status() != psutil.STATUS_ZOMBIE for c in children)
    assert not (tmp_path / "store.db.children").exists()


async def test_a_store_without_a_file_needs_none_for_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    services = EngineServices(SystemClock(), Config())
    assert services.end_orphans() == 0
    services.child_started("run-1", 2**22 + 1, 0.0)
    services.child_ended(2**22 + 1)
    await services.close()
    assert os.listdir() == []
