"""The seam between the engine and time."""

from collections.abc import Awaitable
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits; the engine asks nobody else.

    `testing.FakeClock` jumps; the system's clock is `runtime.clock.SystemClock`.
    """

    def now(self) -> float:
        """Return the time as seconds since 1970-01-01 UTC; may jump when somebody sets it."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some moment; never goes back."""
        ...

    def sleep(self, delay: float) -> Awaitable[None]:
        """Return after `delay` seconds of `monotonic` time."""
        ...
