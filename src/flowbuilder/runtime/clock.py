"""The system's clock."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """Time as the machine tells it; passes `core.clock.Clock`."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(asyncio.sleep)
