"""What happens while a project is up, for whoever watches."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

What = Literal[
    "ready",
    "loaded",
    "reloaded",
    "removed",
    "broken",
    "plugin",
    "fired",
    "skipped",
    "refused",
    "paused",
    "resumed",
    "begun",
    "ended",
    "warning",
    "stopping",
    "stopped",
]


class Happening(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happened."""

    what: What
    at: float
    """Seconds since 1970 UTC."""
    flow: str | None = None
    trigger: str | None = None
    """Its full name, `flow/trigger`."""
    run: str | None = None
    status: str | None = None
    message: str = ""
    data: dict[str, Any] = {}
