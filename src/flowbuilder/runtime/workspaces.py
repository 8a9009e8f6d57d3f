"""Folders that the tasks of a group share: `workspace: true`.

One lies at `<store>.workspaces/<run>/<path of the group's attempt>`, so that
a run that is carried on after a crash finds it again.  It is made when the
first task asks for it, and deleted when the end of the group is on disk:
before, a crash might take that end back, and a task that is done again would
miss what those before it have left.  Folders of runs that have ended
otherwise go when an engine starts.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowbuilder.storage.api import LIVE

if TYPE_CHECKING:
    from flowbuilder.runtime.machine import Machine
    from flowbuilder.runtime.state import Execution, Frame

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.#-]{1,80}")


class Workspaces:
    """Knows where each is, and deletes those whose groups have ended."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        path = getattr(machine.store, "path", None)
        self._beside = None if path is None else Path(f"{path}.workspaces").absolute()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def _root(self) -> Path:
        if self._beside is not None:
            return self._beside
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="flowbuilder-", ignore_cleanup_errors=True)
        return Path(self._temporary.name)

    def of(self, execution: Execution) -> Path | None:
        """Return the folder of the innermost group with one around a task."""
        frame: Frame | None = execution.frame
        while frame is not None and frame.owner is not None:
            if frame.owner.task.workspace and frame.plan is frame.owner.task.body:
                return self._folder(frame.owner)
            frame = frame.owner.frame
        return None

    def _folder(self, group: Execution) -> Path:
        name = f"{group.path}#{group.attempt}"
        if not _PLAIN.fullmatch(name):  # keys of a mapping may be any text
            name = f"{re.sub('[^A-Za-z0-9_.-]', '_', group.path)[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        return self._root() / group.frame.run.id / name

    def ended(self, group: Execution) -> None:
        """Delete a group's folder as soon as what comes next is on disk."""
        folder, run = self._folder(group), group.frame.run

        def durable(error: Exception | None) -> None:
            if error is None:
                self._machine.recovery.in_background(
                    self._machine.services.in_thread(functools.partial(_delete, folder))
                )

        self._machine.loop.call_soon(
            lambda: None if run.lost else self._machine.committer.when_on_disk(run, durable)
        )

    def sweep(self) -> None:
        """Delete the folders of runs that have ended; blocks."""
        if self._beside is None or not self._beside.is_dir():
            return
        for folder in self._beside.iterdir():
            row = self._machine.store.run(folder.name)
            if row is None or row.status not in LIVE:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Delete what lives as long as the engine."""
        if self._temporary is not None:
            self._temporary.cleanup()


def _delete(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # others of the run are there, or somebody else was faster
        folder.parent.rmdir()
