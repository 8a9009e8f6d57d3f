"""Functions in worker processes: each attempt's process is its own to lose."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from flowbuilder.core.errors import TaskFailed
from flowbuilder.runtime.clock import SystemClock
from flowbuilder.runtime.config import Config, ExecutorsConfig
from flowbuilder.runtime.executors.placer import Placer
from flowbuilder.runtime.services import EngineServices
from flowbuilder.tasks.api import Call, Work
from flowbuilder.tasks.python import Python

CONFIG = Config(executors=ExecutorsConfig(processes=2))

FUNCTIONS = """
import asyncio, datetime, os, signal, sys, time
from flowbuilder.core.errors import TaskFailed

def add(x, y): return x + y
async def add_later(x, y):
    await asyncio.sleep(0)
    return x + y
def where(): return os.getpid()
def die(): os.kill(os.getpid(), signal.SIGKILL)
def leave(): os._exit(7)
def hang(path):
    open(path, "w").write(str(os.getpid()))
    time.sleep(3600)
def wrong(): raise LookupError("not there")
def leave_politely(): sys.exit(3)
def refuse(): raise TaskFailed("order.bad", "no", {"a": (1,)}, retry_after=2.5)
def no_value(): return object()
def plain(): return ({"t": (1, 2)}, datetime.date(2026, 1, 1))
def environment(): return [name for name in os.environ if name.startswith("FLOWBUILDER_SECRET_")]
def prints(): print("loud")
"""

Run = Callable[..., Any]


@pytest.fixture
async def placer() -> AsyncIterator[Placer]:
    services = EngineServices(SystemClock(), CONFIG)
    made = Placer(services, CONFIG)
    yield made
    await made.close()
    await services.close()


@pytest.fixture
def logged() -> list[str]:
    return []


@pytest.fixture
def run(placer: Placer, tmp_path: Path, logged: list[str]) -> Run:
    """Return a function that runs one of FUNCTIONS in a process."""
    (tmp_path / "in_processes.py").write_text(FUNCTIONS)
    type = Python()

    async def run(name: str, *args: Any, executor: Any = "process", timeout: float | None = None) -> Any:
        def log(level: str, message: str, data: Any) -> None:
            logged.append(message)

        params = {"call": f"in_processes:{name}", "args": list(args)}
        call = Call(params, "r", "t", 1, "k", tmp_path, {}, (), log, placer._threads)  # type: ignore[arg-type]
        work: Work = type.work(call)
        async with asyncio.timeout(60):
            return await placer.place(work, executor=executor, timeout=timeout, call=call)

    return run


async def test_values_go_in_and_out_made_plain(run: Run) -> None:
    assert await run("add", 1, 2) == 3
    assert await run("add_later", 1, 2) == 3
    made = await run("plain")
    assert made[0] == {"t": [1, 2]}
    assert made[1].isoformat() == "2026-01-01"


async def test_a_time_limit_moves_a_function_to_a_process(run: Run) -> None:
    assert await run("where", executor="auto", timeout=60.0) != os.getpid()
    assert await run("where", executor="auto") == os.getpid()
    assert await run("where", executor="thread", timeout=60.0) == os.getpid()


async def test_what_a_function_raises_comes_across(run: Run, logged: list[str]) -> None:
    with pytest.raises(TaskFailed) as caught:
        await run("wrong")
    assert (caught.value.kind, caught.value.message) == ("python.LookupError", "not there")
    assert "in wrong" in logged[-1]
    assert "worker.py" not in logged[-1]
    with pytest.raises(TaskFailed) as caught:
        await run("refuse")
    assert caught.value.args == ("order.bad", "no", {"a": [1]})
    assert caught.value.retry_after == 2.5
    for name, kind in [
        ("leave_politely", "python.SystemExit"),
        ("no_value", "output.type"),
        ("nope", "input"),
    ]:
        with pytest.raises(TaskFailed) as caught:
            await run(name)
        assert caught.value.kind == kind


@pytest.mark.parametrize("name", ["die", "leave"])
async def test_a_process_that_dies_fails_its_attempt_and_no_other(run: Run, name: str) -> None:
    other = asyncio.create_task(run("add", 1, 2))
    with pytest.raises(TaskFailed) as caught:
        await run(name)
    assert caught.value.kind == "executor.crashed"
    assert await other == 3
    assert await run("add", 3, 4) == 7


async def until(condition: Callable[[], object]) -> None:
    """Return when something holds of which no one tells us."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - it is another process's
            await asyncio.sleep(0.01)


async def test_a_cancelled_attempt_takes_its_process_along(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    attempt = asyncio.create_task(run("hang", str(file)))
    await until(lambda: file.exists() and file.read_text())
    process = psutil.Process(int(file.read_text()))
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    await until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    assert await run("add", 1, 2) == 3


async def test_a_worker_has_no_secrets_and_leaves_standard_output_alone(
    monkeypatch: pytest.MonkeyPatch, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWBUILDER_SECRET_X", "hidden")
    assert await run("environment") == []
    await run("prints")
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    assert "loud" not in capfd.readouterr().out
