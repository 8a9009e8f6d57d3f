"""The event loop that the settings ask for."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from flowbuilder.runtime.config import Config

T = TypeVar("T")


def run_loop(config: Config, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a loop of its own: uvloop's where that is installed and not refused."""
    factory = None
    if config.engine.uvloop:
        with contextlib.suppress(ImportError):
            import uvloop  # an optional part, and not there on every platform

            factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)
