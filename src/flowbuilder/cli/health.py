"""What `flowbuilder doctor` looks at: one function a subject, listed in `CHECKS`.

A check never raises: what it cannot look at is its finding.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from flowbuilder.core.errors import FlowBuilderError, StoreError
from flowbuilder.runtime.project import secrets_path

if TYPE_CHECKING:
    from flowbuilder.cli.workspace import Workspace

State = Literal["ok", "warning", "error"]

LEAST_FREE: Final = 512 * 1024 * 1024
"""Bytes of free disk below which a store is in danger."""
STUCK_AFTER: Final = 60.0
"""Seconds after which a run that nobody drives is worth a word; a command may be just starting."""
_A_MOMENT: Final = 10.0


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    check: str
    status: State
    what: str
    hint: str = ""


def python(_: Workspace) -> Iterator[Finding]:
    """Look at the interpreter."""
    yield Finding("python", "ok", f"Python {platform.python_version()}, {sys.executable}")


def programs(_: Workspace) -> Iterator[Finding]:
    """Look for what shell and script tasks run."""
    for name, needed_by, arguments in (
        ("bash", "shell tasks and bash scripts", ("--version",)),
        ("node", "JavaScript scripts", ("--version",)),
    ):
        path = shutil.which(name)
        if path is None:
            state: State = "error" if name == "bash" else "warning"
            yield Finding(name, state, "not found", f"install it: {needed_by} need it")
            continue
        yield Finding(name, "ok", f"{_first_line([path, *arguments])}, {path}")


def settings(workspace: Workspace) -> Iterator[Finding]:
    """Say which project this is; its settings were read already, or the command had failed."""
    count = len(workspace.sources)
    yield Finding("project", "ok", f"{workspace.project}, {count} setting{'' if count == 1 else 's'} changed")


def folder(workspace: Workspace) -> Iterator[Finding]:
    """Look at the folder of the store: may it be written, is there room."""
    place = workspace.store.parent
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK):
        yield Finding(
            "folder", "error", f"{place} cannot be written", "change its permissions, or use --store"
        )
        return
    free = shutil.disk_usage(place).free
    state: State = "ok" if free >= LEAST_FREE else "error"
    hint = "" if state == "ok" else "free some space: a store that cannot be written starts no runs"
    yield Finding("disk", state, f"{free / 2**30:.1f} GiB free at {place}", hint)


def store(workspace: Workspace) -> Iterator[Finding]:
    """Look over the store's file."""
    if not workspace.store.exists():
        yield Finding("store", "ok", f"none yet; the first run makes {workspace.store}")
        return
    from flowbuilder.storage.sqlite.health import look_over  # start-up time: brings the driver

    try:
        version, wrong = look_over(workspace.store)
    except (StoreError, OSError) as error:
        yield Finding("store", "error", str(error), "keep a copy before anything else is tried")
        return
    for finding in wrong:
        yield Finding("store", "error", finding, "restore a backup; keep a copy of the damaged file")
    if not wrong:
        size = workspace.store.stat().st_size
        yield Finding("store", "ok", f"{workspace.store}, format {version}, {size / 2**20:.1f} MiB, sound")


def runs(workspace: Workspace) -> Iterator[Finding]:
    """Look for engines, and for runs that nobody drives."""
    if not workspace.store.exists():
        return
    from flowbuilder.sdk.reader import Reader  # start-up time: brings the driver

    try:
        with Reader(workspace.store) as reader:
            alive = [engine for engine in reader.engines() if engine.alive]
            waiting = reader.waiting()
    except FlowBuilderError as error:
        yield Finding("runs", "error", str(error))
        return
    pids = ", ".join(str(engine.pid) for engine in alive[:5])
    yield Finding("engines", "ok", f"{len(alive)} alive" + (f": process {pids}" if pids else ""))
    now = time.time()
    stuck = [row for row in waiting if _ready_since(row.wake_at, row.created_at, now) > STUCK_AFTER]
    if stuck:
        hint = "`flowbuilder runs resume --all` carries them on"
        yield Finding("runs", "warning", f"{len(stuck)} that nobody drives: {stuck[0].id} …", hint)
    elif waiting:
        hint = "`flowbuilder runs resume --all` carries them on, as any engine does that takes over"
        yield Finding(
            "runs", "ok", f"{len(waiting)} without an engine at this moment: {waiting[0].id} …", hint
        )
    else:
        yield Finding("runs", "ok", "none is stuck")


def clock(workspace: Workspace) -> Iterator[Finding]:
    """Compare the clock with the file system's, and with the newest run."""
    with tempfile.NamedTemporaryFile() as file:
        apart = os.stat(file.name).st_mtime - time.time()
    if abs(apart) > _A_MOMENT:
        hint = "timers and ids come from the clock: synchronise it"
        yield Finding("clock", "warning", f"the file system's clock is {apart:+.0f} s away from ours", hint)
        return
    moment = time.strftime("%Y-%m-%d %H:%M:%S %z")
    if time.time() < release_made_at():
        yield Finding("clock", "warning", f"it says {moment}, which is before this release was made")
    else:
        yield Finding("clock", "ok", moment)


def secrets(workspace: Workspace) -> Iterator[Finding]:
    """Look at the file of secrets: nobody else may read it."""
    path = secrets_path(workspace.project, workspace.config)
    if not path.exists():
        yield Finding(
            "secrets", "ok", f"no file; values come from FLOWBUILDER_SECRET_… ({path} may hold them)"
        )
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        yield Finding("secrets", "error", f"others can read {path} ({mode:o})", f"chmod 600 {path}")
    else:
        yield Finding("secrets", "ok", f"{path}, readable by its owner only")


CHECKS: Final[tuple[Callable[[Workspace], Iterator[Finding]], ...]] = (
    python,
    programs,
    settings,
    folder,
    store,
    runs,
    clock,
    secrets,
)


def examine(workspace: Workspace) -> list[Finding]:
    """Return the findings of all checks, in order."""
    return [finding for check in CHECKS for finding in check(workspace)]


def release_made_at() -> float:
    """Return when this release's files were made: no honest clock is before that."""
    return Path(__file__).stat().st_mtime - 86400.0


def _ready_since(wake_at: float | None, created_at: float, now: float) -> float:
    """Return for how long a run could have gone on, in seconds; negative while it sleeps."""
    return now - (created_at if wake_at is None else wake_at)


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "it does not answer"
    lines = done.stdout.splitlines() or [""]
    return lines[0]
