"""Taking turns with other processes that write to the same file.

SQLite lets one process write at a time, and whoever finds the lock taken
sleeps and tries again, up to a tenth of a second each time: under load two
processes spend most of their time asleep while nobody writes, and one of them
may be passed over for a second.  A lock on a file of our own is handed on by
the system at once, in order.  It costs two calls a commit, so it is used only
where somebody was in the way a short while ago.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from flowbuilder.storage.filelock import Turnstile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_REMEMBERED = 10.0
"""Seconds for which turns are taken after somebody was in the way."""


class Turns:
    """This process's turns at the file at `path`; used by one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        self._turnstile: Turnstile | None = None
        self._until: float | None = None

    def contend(self) -> None:
        """Take turns from now on, for a while: somebody was in the way."""
        self._until = time.monotonic() + _REMEMBERED
        if self._turnstile is None:
            self._turnstile = Turnstile(self._path)

    @property
    def needed(self) -> bool:
        """Whether turns are to be taken."""
        if self._until is not None and time.monotonic() > self._until:
            self._until = None
        return self._until is not None

    @contextlib.contextmanager
    def ours(self) -> Iterator[None]:
        """Have our turn, when it comes."""
        turnstile = self._turnstile
        assert turnstile is not None
        turnstile.enter()
        try:
            yield
        finally:
            turnstile.leave()

    def close(self) -> None:
        """Close the file."""
        if self._turnstile is not None:
            self._turnstile.close()
            self._turnstile = None
