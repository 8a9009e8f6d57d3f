"""A run in a notebook, as a table that follows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def shown_here() -> Callable[[Any, Any], Any] | None:
    """Return what follows a run, in a notebook; None anywhere else."""
    return None
