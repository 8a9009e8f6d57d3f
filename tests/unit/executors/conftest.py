"""An engine's services, a placer, and work for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from flowbuilder.runtime.clock import SystemClock
from flowbuilder.runtime.config import Config, ExecutorsConfig
from flowbuilder.runtime.executors.placer import Placer
from flowbuilder.runtime.services import EngineServices
from flowbuilder.tasks.api import Call, Work

CONFIG = Config(executors=ExecutorsConfig(threads=2, processes=1, shells=1))


@pytest.fixture
async def services() -> AsyncIterator[EngineServices]:
    made = EngineServices(SystemClock(), CONFIG)
    yield made
    await made.close()


@pytest.fixture
async def placer(services: EngineServices) -> AsyncIterator[Placer]:
    made = Placer(services, CONFIG)
    yield made
    await made.close()


@pytest.fixture
def logged() -> list[tuple[str, str, Any]]:
    return []


@pytest.fixture
def make_work(
    services: EngineServices, logged: list[tuple[str, str, Any]], tmp_path: Path
) -> Callable[..., Work]:
    """Return a function that makes work of a function and its arguments."""

    def make(function: Any, *args: Any, name: str = "m:f", task: str = "t", **kwargs: Any) -> Work:
        def log(level: str, message: str, data: Any) -> None:
            logged.append((level, message, data))

        call = Call(None, "run-1", task, 1, "key", tmp_path, {}, (), log, services)
        return Work(function, args, kwargs, name, call)

    return make
