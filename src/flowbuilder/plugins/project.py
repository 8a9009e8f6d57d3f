"""Where a project begins."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MARKS: Final = ("flowbuilder.toml", ".flowbuilder", ".git")
"""What shows that a folder is a project's."""


def find_project(start: Path) -> Path:
    """Return the nearest folder upward with a project's mark in it, else `start` itself.

    Args:
        start: a flow's folder, or the folder where a command is given.
    """
    start = Path(os.path.abspath(start))
    for folder in (start, *start.parents):
        if any((folder / mark).exists() for mark in MARKS):
            return folder
    return start
