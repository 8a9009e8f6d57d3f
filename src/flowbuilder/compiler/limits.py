"""How large a flow may be.

Each bound is there so that a file from a stranger can be looked at in bounded
time and memory; each can be raised by the setting that its error names.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what the compiler reads."""

    source_bytes: int = 1024 * 1024
    """Bytes of one file in UTF-8 (`limits.source_bytes`)."""
    tasks: int = 10_000
    """Tasks of one file, those in groups and handlers among them (`limits.tasks`)."""
    nodes: int = 1_000_000
    """Keys and values of one file once its aliases are written out (`limits.nodes`)."""
    depth: int = 100
    """Lists and mappings inside each other (`limits.depth`); more would outgrow the interpreter's stack."""
    sub_flows: int = 16
    """Flows that call each other by a constant path, one inside the other (`limits.sub_flows`)."""
    files: int = 256
    """Files that one flow is made of (`limits.files`)."""
    queues: frozenset[str] | None = None
    """Queues that there are (`[queues.NAME]`); None where that is not known, and not looked at."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.name != "queues" and getattr(self, field.name) < 1:
                raise ValueError(f"limits.{field.name} must be 1 or more")


DEFAULT_LIMITS = Limits()
