"""What a run came to: the actual figures that stand beside the estimated ones."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class TaskFacts(msgspec.Struct, frozen=True):
    """What one task of a run came to; where it ran several times, all of them together."""

    status: str
    started: float | None
    """Seconds after the start of the run; None if it did not start."""
    duration: float = 0.0
    """Seconds from its first start to its last end."""
    attempts: int = 0
    rows: int = 1
    """Elements of a map; otherwise 1."""
    output_bytes: int = 0
    """Of its whole output."""
    loops: int = 1
    """How often it ran: once for each element of a map around it."""
    reason: str | None = None
    """Why it was skipped."""
    error: str | None = None
    """Kind and message of its error, in one line."""


class RunFacts(msgspec.Struct, frozen=True):
    """What a run came to."""

    run_id: str
    status: str
    duration: float
    tasks: Mapping[str, TaskFacts]
    """By task path without indexes; tasks that never got ready may be missing."""
    output_bytes: int = 0
