"""Paths on this machine: where they start, and how far they may lead."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from flowbuilder.core.errors import TaskFailed

if TYPE_CHECKING:
    from flowbuilder.tasks.api import Call


def modified_at(seconds: float) -> dt.datetime | None:
    """Return when a file was changed; None where its time is none that a calendar has."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def local_path(call: Call, path: str, *, anywhere: bool = False, base: Path | None = None) -> Path:
    """Return a path of a flow's on this machine; blocks for a moment.

    A relative one starts at `base`: the workspace, else the flow file's
    folder.  It must lie in the project, in the workspace, or in the machine's
    folder for temporary files; links are followed before that is asked.

    Raises:
        TaskFailed: `file.outside`, `input`.
    """
    if "\0" in path:
        raise TaskFailed("input", "a path has a NUL character in it")
    start = base if base is not None else call.workspace or call.folder
    whole = Path(os.path.abspath(start / Path(path).expanduser()))
    if anywhere:
        return whole
    real = Path(os.path.realpath(whole))
    roots = (
        [base]
        if base is not None
        else [call.folder, call.services.project(call.folder), Path(tempfile.gettempdir())]
    )
    if call.workspace is not None:
        roots.append(call.workspace)
    if not any(real.is_relative_to(os.path.realpath(root)) for root in roots):
        raise TaskFailed(
            "file.outside",
            f"'{path[:200]}' leads out of {roots[0]}; where that is meant, say so: `anywhere: true`",
        )
    return whole
