"""How a run is started, besides its flow and its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from flowbuilder.core.errors import InputError
from flowbuilder.core.failure import writable
from flowbuilder.core.records import Record
from flowbuilder.runtime.recovered import Recovered

ASIDE: Final = "aside"
"""In `RunRow.about`: the run whose task started this one does not wait for it."""


class Seed(msgspec.Struct, frozen=True):
    """The beginning of a journal, and what it says: of one run, whose start takes it to pieces."""

    records: list[Record]
    found: Recovered


class Start(msgspec.Struct, frozen=True):
    """What is asked for with a start."""

    key: str | None = None
    """Makes the start idempotent within the flow's name."""
    priority: int | None = None
    """0 to 100, more first; the flow's own otherwise."""
    labels: Mapping[str, str] | None = None
    """Added to those of the flow."""
    parent: str | None = None
    """The run whose task starts this one."""
    about: Mapping[str, Any] | None = None
    """What few runs have, kept in `RunRow.about`: `trigger` (what expressions see as `trigger`),
    `config` (what they see as `config`), …"""

    seed: Seed | None = None
    """What the run begins with, if that is not nothing."""
    id: str | None = None
    """The run's id, where it had to be known before; else one is made."""

    def check(self) -> None:
        """Refuse what cannot be kept, before it comes into a group with what others start.

        Raises:
            InputError: with all that is wrong.
        """
        wrong: list[tuple[str, str]] = []
        priority = self.priority
        if priority is not None and not (type(priority) is int and 0 <= priority <= 100):
            wrong.append(("priority", "is a whole number from 0 to 100"))
        texts = [("key", self.key)] if self.key is not None else []
        for name, value in (self.labels or {}).items():
            texts += [("labels", name), ("labels", value)]
        for what, text in texts:
            if not isinstance(text, str) or writable(text) != text:
                wrong.append((what, f"is no text: {text!r:.100}"))
        if wrong:
            raise InputError(wrong)


PLAIN: Final = Start()
"""A start that asks for nothing."""
