"""An engine in memory, and a clock that the test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flowbuilder import Config, Engine
from flowbuilder.testing.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def clock() -> FakeClock:
    """Time that stands still until the test moves it."""
    return FakeClock()


@pytest.fixture
async def engine(clock: FakeClock) -> AsyncIterator[Engine]:
    """An engine over a store in memory."""
    async with Engine.in_memory(Config(), clock=clock) as engine:
        yield engine
