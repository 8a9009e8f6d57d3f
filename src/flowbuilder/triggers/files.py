"""A trigger of files: each that arrives starts one run, also across restarts.

A file is told from another by its path, its time of change and its size; it
has arrived when it has not changed for a while.  What was taken is a fact of
the store, and the run's key is made of the same, so that a crash in between
starts nothing twice.
"""

from __future__ import annotations

import datetime as dt
import glob
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from flowbuilder.core.triggers import FileTrigger
from flowbuilder.triggers.armed import NOT_NOW
from flowbuilder.triggers.arrived import files_of
from flowbuilder.triggers.state import ARRIVAL, each, fact, read
from flowbuilder.triggers.untimed import Untimed
from flowbuilder.triggers.watching import watch

if TYPE_CHECKING:
    import asyncio

    from flowbuilder.runtime.timers import Timer
    from flowbuilder.triggers.armed import Armed
    from flowbuilder.triggers.arrived import Identity
    from flowbuilder.triggers.service import Triggers
    from flowbuilder.triggers.state import Progress

REMEMBERED: Final = 30 * 86400.0
"""Seconds for which a file is remembered that is no longer there: it may come back as it was."""
AGAIN: Final = 2.0
"""Seconds until it is tried again where the store did not take a start."""


class Taken(msgspec.Struct):
    """A file that a run was started for."""

    changed_ns: int
    size: int


class Arrivals(Untimed):
    """One trigger of files, while its flow is up."""

    def __init__(self, service: Triggers, armed: Armed, progress: Progress | None) -> None:
        super().__init__(service, armed, progress)
        self._taken: dict[str, Identity] = {}
        self._gone: set[str] = set()
        self._seen: dict[str, tuple[Identity, float]] = {}
        """Files that are not taken yet: as what, and since when."""
        self._timer: Timer | None = None
        self._watching: asyncio.Task[Any] | None = None
        self._looking = self._again = False
        self._read = False
        self._pattern = ""
        self.replace(armed)

    def replace(self, armed: Armed) -> None:
        """Take another version of the trigger."""
        self.take(armed)
        kind = armed.trigger.kind
        assert isinstance(kind, FileTrigger)
        self._stable = kind.stable
        pattern = os.path.normpath(os.path.join(armed.plan.folder, os.path.expanduser(kind.pattern)))
        self.note()
        if pattern != self._pattern:
            self._pattern = pattern
            self._seen.clear()
            if self._watching is not None:
                self._watching.cancel()
            if self._service.watches:
                folder, deep = base_of(pattern)
                watching = watch(folder, lambda _path: True, self.look_soon, recursive=deep)
                self._watching = self._service.background.waiting(watching)
        self.look_soon()

    def pass_over(self) -> None:
        """Look again: files that came while it was paused are still there."""
        self.look_soon()

    def close(self) -> None:
        """Look for nothing more."""
        super().close()
        if self._timer is not None:
            self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()

    @property
    def waits(self) -> bool:
        """Whether there are files that may have arrived."""
        return bool(self._seen) or self._looking

    def look_soon(self) -> None:
        """Look for files; once more if something has changed while we look."""
        if self.idle:
            return
        if self._looking:
            self._again = True
            return
        self._looking = True
        self._service.background.soon(self._look())

    async def _look(self) -> None:
        try:
            if not self._read:
                await self._machine.in_thread(self._recall)
                self._read = True
            self._again = True
            while self._again and not self.closed:
                self._again = False
                await self._step()
        except NOT_NOW as error:
            self._service.telling.warn(self.armed.name, f"files are looked for again: {error}")
            self._look_at(AGAIN)
        finally:
            self._looking = False

    def _recall(self) -> None:
        """Read which files were taken; blocks."""
        prefix = f"{self.armed.name}/"
        now = self._machine.clock.now()
        for found in each(self._machine.store, ARRIVAL, prefix):
            if found.expires_at is None or found.expires_at > now:
                taken = read(found, Taken)
                self._taken[found.key.removeprefix(prefix)] = (taken.changed_ns, taken.size)
                if found.expires_at is not None:
                    self._gone.add(found.key.removeprefix(prefix))

    async def _step(self) -> None:
        pattern = self._pattern
        found = await self._machine.in_thread(lambda: files_of(pattern))
        now = self._machine.clock.monotonic()
        arrived: list[str] = []
        wait: float | None = None
        for path, identity in found.items():
            if self._taken.get(path) == identity:
                continue
            known = self._seen.get(path)
            if known is None or known[0] != identity:
                known = self._seen[path] = (identity, now)
            left = known[1] + self._stable - now
            if left <= 0:
                arrived.append(path)
            else:
                wait = left if wait is None else min(wait, left)
        for path in [path for path in self._seen if path not in found]:
            del self._seen[path]
        for path in [path for path in self._taken if path not in found and path not in self._gone]:
            self._forget_some_day(path)
        if wait is not None:
            self._look_at(wait)
        for path in sorted(arrived, key=lambda path: (found[path][0], path)):
            if self.closed:
                return
            await self._take(path, found[path])

    async def _take(self, path: str, identity: Identity) -> None:
        """Start the run of a file."""
        changed_ns, size = identity
        seen = self.armed.view(
            "schedule",
            file={
                "path": path,
                "name": os.path.basename(path),
                "folder": os.path.dirname(path),
                "size": size,
                "modified_at": dt.datetime.fromtimestamp(changed_ns / 1e9, dt.UTC),
            },
        )
        fired = await self._service.fire(self.armed, seen, occasion_of(path, identity))
        self._taken[path] = identity
        self._gone.discard(path)
        self._seen.pop(path, None)
        self._service.keeper.keep(fact(ARRIVAL, f"{self.armed.name}/{path}", Taken(changed_ns, size)))
        self.count(fired)
        self.note()

    def _forget_some_day(self, path: str) -> None:
        self._gone.add(path)
        taken = Taken(*self._taken[path])
        expires_at = self._machine.clock.now() + REMEMBERED
        self._service.keeper.keep(fact(ARRIVAL, f"{self.armed.name}/{path}", taken, expires_at))

    def _look_at(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self.closed:
            self._timer = self._machine.timers.after(delay, self.look_soon)


def occasion_of(path: str, identity: Identity) -> str:
    """Return a file as a part of a run's key."""
    digest = hashlib.sha256(f"{path}\0{identity[0]}\0{identity[1]}".encode()).hexdigest()[:20]
    return f"{os.path.basename(path)[:60]}#{digest}"


def base_of(pattern: str) -> tuple[Path, bool]:
    """Return the folder that all files of a pattern lie in, and whether they may lie deeper."""
    parts = Path(pattern).parts
    fixed: list[str] = []
    for part in parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return Path(*fixed), len(fixed) < len(parts) - 1
