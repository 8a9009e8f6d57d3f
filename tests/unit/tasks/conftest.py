"""A call as the engine makes it, with services that keep what they are told."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import uvloop

from flowbuilder.runtime.clock import SystemClock
from flowbuilder.tasks.api import Call


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run what reads from child processes on both loops: they watch descriptors in ways of their own."""
    if item.path.name in ("test_shell.py", "test_script.py"):
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


class RecordingServices:
    """Services that keep which children were started and ended."""

    clock = SystemClock()

    def __init__(self) -> None:
        self.started: list[tuple[str, int, float]] = []
        self.ended: list[int] = []
        self.session: aiohttp.ClientSession | None = None

    async def http(self) -> aiohttp.ClientSession:
        if self.session is None:
            self.session = aiohttp.ClientSession()
        return self.session

    def child_started(self, run_id: str, pid: int, started: float) -> None:
        self.started.append((run_id, pid, started))

    def child_ended(self, pid: int) -> None:
        self.ended.append(pid)

    def slot(self, kind: str, urgency: float = 0.0) -> contextlib.AbstractAsyncContextManager[None]:
        return contextlib.nullcontext()

    async def in_thread(self, function: Callable[[], Any]) -> Any:
        return await asyncio.to_thread(function)


class Log(list[tuple[str, str, Any]]):
    """Lines as a task type wrote them; a test may await one."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()

    def __call__(self, level: str, message: str, data: Any) -> None:
        self.append((level, message, data))
        self.changed.set()

    async def has(self, message: str) -> None:
        async with asyncio.timeout(20):
            while message not in [line for _, line, _ in self]:
                self.changed.clear()
                await self.changed.wait()


def living(group: int) -> list[int]:
    """Return the processes of a group that are neither gone nor dead and unreaped."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


@pytest.fixture
def group_ends() -> Callable[[int], Awaitable[None]]:
    """Return what waits until nothing of a process group is alive: a kill takes a moment to arrive."""

    async def ends(group: int) -> None:
        async with asyncio.timeout(10):
            while living(group):  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(0.01)

    return ends


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
async def services() -> AsyncIterator[RecordingServices]:
    made = RecordingServices()
    yield made
    if made.session is not None:
        await made.session.close()


MakeCall = Callable[..., Call]


@pytest.fixture
def make_call(tmp_path: Path, log: Log, services: RecordingServices) -> MakeCall:
    """Return a function that makes a call from parameters and whatever else is not usual."""

    def make(params: Any, **others: Any) -> Call:
        usual = {
            "run_id": "run-1",
            "task": "a[0]",
            "attempt": 2,
            "idempotency_key": "run-1/a[0]",
            "folder": tmp_path,
            "env": {},
            "secrets": (),
            "log": log,
            "services": services,
        }
        return Call(params=params, **{**usual, **others})

    return make
